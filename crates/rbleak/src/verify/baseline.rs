//! The app as it was at another git revision, in a worktree of its own.
//!
//! The worktree lies in a temporary folder and is gone with this value; the
//! user's own tree is not touched. Knows git, and nothing of hunts but the
//! folders that a plan names.

use crate::hunt::plan::Plan;
use anyhow::{Context, Result, bail};
use rbleak_capture::Mode;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// A checkout of a revision.
#[derive(Debug)]
pub(crate) struct Worktree {
    /// The root of the user's own tree.
    root: PathBuf,
    /// The root of the checkout: called as the user's own, so that a name that
    /// is derived from it stays.
    checkout: PathBuf,
    /// Its full name.
    pub(crate) commit: String,
    _folder: tempfile::TempDir,
}

impl Worktree {
    /// Checks `revision` out of the repository in which `directory` lies.
    ///
    /// # Errors
    /// If there is no git, no repository, or no such revision.
    pub(crate) fn of(directory: &Path, revision: &str) -> Result<Worktree> {
        let root = git(directory, &["rev-parse", "--show-toplevel"]).with_context(|| {
            format!(
                "--baseline wants the app in a git repository, and {} is in none",
                directory.display()
            )
        })?;
        let root = PathBuf::from(root);
        // A revision that begins with a dash is no flag.
        let name = format!("{revision}^{{commit}}");
        let commit = git(
            &root,
            &[
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &name,
            ],
        )
        .with_context(|| {
            format!(
                "--baseline {revision}: {} has no such revision",
                root.display()
            )
        })?;
        let folder = tempfile::Builder::new()
            .prefix("rbleak-baseline-")
            .tempdir()
            .context("cannot make a temporary folder for the baseline")?;
        let called = root.file_name().unwrap_or(OsStr::new("app"));
        let checkout = folder.path().canonicalize()?.join(called);
        let Some(path) = checkout.to_str() else {
            bail!(
                "cannot check out the baseline to {}: it is no UTF-8",
                checkout.display()
            );
        };
        git(
            &root,
            &["worktree", "add", "--detach", "--quiet", path, &commit],
        )
        .with_context(|| format!("cannot check out {revision}"))?;
        Ok(Worktree {
            root,
            checkout,
            commit,
            _folder: folder,
        })
    }

    /// Copies a file of the user's own tree to the same place of the checkout.
    ///
    /// # Errors
    /// If it lies elsewhere, or cannot be copied.
    pub(crate) fn carry(&self, file: &Path) -> Result<()> {
        let real = file
            .canonicalize()
            .with_context(|| format!("cannot read {} (--carry)", file.display()))?;
        let Ok(relative) = real.strip_prefix(&self.root) else {
            bail!(
                "{} is not below {}: --carry takes files of the repository's own folder",
                file.display(),
                self.root.display()
            );
        };
        let to = self.checkout.join(relative);
        let copied = match to.parent() {
            Some(parent) => std::fs::create_dir_all(parent),
            None => Ok(()),
        };
        copied
            .and_then(|()| std::fs::copy(&real, &to))
            .with_context(|| format!("cannot copy {} to the baseline", file.display()))?;
        Ok(())
    }

    /// The plan for the checkout: the same, in other folders.
    ///
    /// # Errors
    /// If what is to be run is not there at that revision.
    pub(crate) fn plan(&self, plan: &Plan) -> Result<Plan> {
        let mut moved = plan.clone();
        moved.directory = self.moved(&plan.directory);
        if let Mode::InProcess { rackup } = &mut moved.mode {
            *rackup = self.moved(rackup);
        }
        if let Mode::Code {
            boot: Some(boot), ..
        } = &mut moved.mode
        {
            *boot = self.moved(boot);
        }
        let needed = match &moved.mode {
            Mode::InProcess { rackup } => rackup,
            Mode::Code {
                boot: Some(boot), ..
            } => boot,
            Mode::Code { boot: None, .. } | Mode::Server { .. } => &moved.directory,
        };
        if !needed.exists() {
            let relative = needed.strip_prefix(&self.checkout).unwrap_or(needed);
            bail!(
                "{} has no {}: what git does not know is taken along with --carry FILE",
                self.short(),
                relative.display()
            );
        }
        Ok(moved)
    }

    /// As people write it.
    pub(crate) fn short(&self) -> &str {
        self.commit.get(..10).unwrap_or(&self.commit)
    }

    fn moved(&self, path: &Path) -> PathBuf {
        let plain = plain(path);
        match plain.strip_prefix(&self.root) {
            Ok(relative) if relative.as_os_str().is_empty() => self.checkout.clone(),
            Ok(relative) => self.checkout.join(relative),
            Err(_) => path.to_owned(),
        }
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        // What is left when git fails is pruned by git itself one day.
        let path = self.checkout.to_string_lossy();
        let _ = git(&self.root, &["worktree", "remove", "--force", &path]);
    }
}

/// Without `.` and `..`, so that it can be compared.
fn plain(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// What git prints, without its last newline.
fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .output()
        .context("cannot start git")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("it said nothing");
        bail!("git {}: {said}", arguments.first().unwrap_or(&""));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim_end_matches('\n').to_owned())
}
