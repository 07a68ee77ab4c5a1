//! `--update`: fetches a repository of advisories with the user's git, reads
//! all of it, and only then replaces what was there, in one rename.

use super::data::{Folder, data_file, git, head_of};
use crate::files::write_atomically;
use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use rbleak_audit::{Database, Store};
use rbleak_report::{Block, Document, Fact, Note, json};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Where rbleak's own advisories are.
pub(crate) const REPOSITORY: &str = "https://github.com/rbleak/rbleak";

/// Fetches the advisories of `url`.
///
/// # Errors
/// In one sentence what failed; what was there before is still there.
pub(crate) fn update(url: &str, timeout: Duration, today: Date) -> Result<Document> {
    let Some(file) = data_file() else {
        bail!("there is no place for the advisories: set HOME or XDG_DATA_HOME to a folder");
    };
    // Before anything is fetched, see that it can be kept.
    let folder = file.parent().unwrap_or(Path::new("/"));
    let unwritable = || format!("cannot write to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(unwritable)?;
    tempfile::tempfile_in(folder).with_context(unwritable)?;

    let shown = without_password(url);
    let clone = tempfile::tempdir().context("cannot make a temporary folder")?;
    let clone = Clone {
        folder: clone.path().join("clone"),
        _temporary: clone,
    };
    clone
        .fetch(url, timeout)
        .with_context(|| format!("cannot fetch {shown}"))?;
    let read = Folder::read(&clone.folder).map_err(|error| {
        // The temporary folder says nothing to anybody.
        let text = format!("{error:#}").replace(&format!("{}/", clone.folder.display()), "");
        let text = text.replace(&clone.folder.display().to_string(), "it");
        anyhow::anyhow!("{shown} was fetched and is not taken: {text}")
    })?;
    let (commit, committed) = head_of(&clone.folder)
        .with_context(|| format!("{shown} was fetched and is not taken: it has no commit"))?;
    let is_whole = read.date.is_some();
    let date = read.date.unwrap_or(committed);
    let store = Store::new(
        Some(shown.clone()),
        Some(commit.clone()),
        date,
        is_whole,
        &read.database,
    );
    let text = store.to_json()?;
    // What cannot be read again, as a range that RubyGems takes and prints as
    // one that it does not, must not take the place of what can.
    Store::from_json(&text)
        .and_then(|store| store.into_database(&mut Database::default()))
        .with_context(|| format!("{shown} was fetched and is not taken"))?;
    write_atomically(&file, |out| out.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", file.display()))?;

    let mut document = Document::new("rbleak/audit-update/v1");
    let age = super::words::age(date, today);
    document.push(Block::Facts(vec![
        Fact::new("source", format!("{shown} at {}", commit.get(..12).unwrap_or(&commit)), json!({ "url": shown, "commit": commit })),
        Fact::new(
            "advisories",
            format!("{} of {date} ({age})", store.len()),
            json!({ "count": store.len(), "date": date.to_string(), "replace_those_of_rbleak": is_whole }),
        ),
        Fact::new("kept_in", file.display().to_string(), json!(file.display().to_string())),
    ]));
    if !is_whole {
        document.note(Note::plain("they come on top of those that rbleak carries"));
    }
    Ok(document)
}

/// A clone that goes when it is dropped.
struct Clone {
    folder: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Clone {
    fn fetch(&self, url: &str, timeout: Duration) -> Result<()> {
        let parent = self.folder.parent().unwrap_or(Path::new("/"));
        // A path means what it does to the user, not below the temporary folder.
        let local = Path::new(url);
        let url = match local.canonicalize() {
            Ok(path) if !url.contains("://") => path.into_os_string(),
            _ => url.into(),
        };
        let mut command = git(parent);
        command
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "core.symlinks=false",
            ])
            .args(["-c", "protocol.ext.allow=never"])
            .args([
                "-c",
                "http.lowSpeedLimit=1000",
                "-c",
                "http.lowSpeedTime=20",
            ])
            .args([
                "clone",
                "--quiet",
                "--depth",
                "1",
                "--no-tags",
                "--single-branch",
                "--",
            ])
            .arg(url)
            .arg(&self.folder)
            // Nobody is there to answer.
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GCM_INTERACTIVE", "never")
            .env("LC_ALL", "C")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        if std::env::var_os("GIT_SSH_COMMAND").is_none() {
            command.env(
                "GIT_SSH_COMMAND",
                "ssh -o BatchMode=yes -o ConnectTimeout=15",
            );
        }
        let mut child = match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("git is not on the PATH, and is needed for it")
            }
            other => other.context("cannot start git")?,
        };
        let errors = child.stderr.take();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(errors) = errors {
                // What is not UTF-8 is not worth a sentence of its own.
                let _ = errors.take(64 * 1024).read_to_string(&mut text);
            }
            text
        });
        let Some(status) = wait(&mut child, timeout)? else {
            bail!("no answer within {} s", timeout.as_secs());
        };
        let told = reader.join().unwrap_or_default();
        if !status.success() {
            let line = told
                .lines()
                .find(|line| line.starts_with("fatal:") || line.starts_with("ssh:"))
                .or(told.lines().last())
                .unwrap_or("git failed");
            bail!("{}", line.trim_start_matches("fatal: "));
        }
        Ok(())
    }
}

/// `None` when the time is up; the child and its helpers are gone then.
fn wait(child: &mut Child, timeout: Duration) -> Result<Option<std::process::ExitStatus>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for git")? {
            return Ok(Some(status));
        }
        if started.elapsed() > timeout {
            if let Some(pid) = i32::try_from(child.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                // Gone already is as good.
                let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
            }
            child.wait().context("cannot wait for git")?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `https://host/x` for `https://user:secret@host/x`: it is shown and kept.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) if scheme != "ssh" => format!("{scheme}://{}", &rest[at + 1..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown_or_kept() {
        assert_eq!(without_password("https://u:p@h/x@y"), "https://h/x@y");
        assert_eq!(without_password("https://h/x@y"), "https://h/x@y");
        assert_eq!(without_password("ssh://git@h/x"), "ssh://git@h/x");
        assert_eq!(without_password("git@h:x"), "git@h:x");
    }
}
