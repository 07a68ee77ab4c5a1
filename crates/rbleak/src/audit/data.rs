//! The advisories at hand: those in the binary, those of the last update, or
//! those of a folder.

use crate::files::data_folder;
use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use rbleak_audit::advisory::Subject;
use rbleak_audit::{Advisory, Database, Store};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Made by the build script of `advisories/`.
const EMBEDDED: &str = include_str!(concat!(env!("OUT_DIR"), "/advisories.json"));

/// No advisory is as large.
const MAX_BYTES: u64 = 1024 * 1024;

/// All that is known, and how old it is.
pub(crate) struct Data {
    pub(crate) database: Database,
    /// Where it is from: `carried by rbleak`.
    pub(crate) origin: String,
    /// The day it is of; `None` where a folder does not tell.
    pub(crate) date: Option<Date>,
}

/// Where the updated advisories are kept: below `XDG_DATA_HOME`, or else below
/// `HOME`. `None` where neither names a folder.
pub(crate) fn data_file() -> Option<PathBuf> {
    Some(data_folder()?.join("advisories.json"))
}

impl Data {
    /// What `--db` names, or else the newest of what is at hand.
    ///
    /// # Errors
    /// Where something of it is damaged: an advisory that is overlooked would
    /// pass as none.
    pub(crate) fn load(db: Option<&Path>) -> Result<Data> {
        match db {
            Some(folder) => Data::of_folder(folder),
            None => Data::at_hand(data_file().as_deref()),
        }
    }

    fn of_folder(folder: &Path) -> Result<Data> {
        let read = Folder::read(folder)?;
        Ok(Data {
            date: read.date.or_else(|| Some(head_of(folder)?.1)),
            database: read.database,
            origin: format!("of {}", folder.display()),
        })
    }

    fn at_hand(updated: Option<&Path>) -> Result<Data> {
        let embedded = Store::from_json(EMBEDDED).context("the advisories that rbleak carries")?;
        let updated = updated.map_or(Ok(None), read_store)?;
        let mut database = Database::default();
        match updated {
            // A newer rbleak may carry newer ones.
            Some((store, path)) if !store.is_whole || store.date >= embedded.date => {
                let source = store.source.clone().unwrap_or_default();
                let (date, is_whole, own) = (store.date, store.is_whole, embedded.len());
                if !is_whole {
                    embedded.into_database(&mut database)?;
                }
                store
                    .into_database(&mut database)
                    .with_context(|| damaged(&path))?;
                let besides = if is_whole {
                    String::new()
                } else {
                    format!(", besides the {own} carried by rbleak")
                };
                Ok(Data {
                    database,
                    origin: format!("of {source}{besides}"),
                    date: Some(date),
                })
            }
            _ => {
                let date = embedded.date;
                embedded.into_database(&mut database)?;
                Ok(Data {
                    database,
                    origin: "carried by rbleak".to_owned(),
                    date: Some(date),
                })
            }
        }
    }
}

fn read_store(path: &Path) -> Result<Option<(Store, PathBuf)>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| damaged(path)),
    };
    let store = Store::from_json(&text).with_context(|| damaged(path))?;
    Ok(Some((store, path.to_owned())))
}

fn damaged(path: &Path) -> String {
    format!(
        "cannot read the advisories in {} (rbleak audit --update fetches them anew, removing the file goes back to those that rbleak carries)",
        path.display()
    )
}

/// A folder of advisories, one YAML file each.
pub(crate) struct Folder {
    pub(crate) database: Database,
    /// Its `DATE`, which only rbleak's own folder has.
    pub(crate) date: Option<Date>,
}

impl Folder {
    /// Reads `gems/GEM/ID.yml` and `rubies/ENGINE/ID.yml`, in the folder itself
    /// or in its `advisories`; all of them, and strictly.
    pub(crate) fn read(given: &Path) -> Result<Folder> {
        let nested = given.join("advisories");
        let root = if nested.join("gems").is_dir() {
            nested
        } else {
            given.to_owned()
        };
        if !root.join("gems").is_dir() {
            bail!(
                "there are no advisories in {}: they lie in gems/GEM/ID.yml",
                given.display()
            );
        }
        let mut database = Database::default();
        for kind in ["gems", "rubies"] {
            for subject in entries(&root.join(kind))? {
                // Files such as a README beside the folders are nobody's advisory.
                if !is_real(&subject, true)? {
                    continue;
                }
                for file in entries(&subject)? {
                    if file.extension() == Some(OsStr::new("yml")) && is_real(&file, false)? {
                        database.insert(
                            read_advisory(&file, kind)
                                .with_context(|| file.display().to_string())?,
                        );
                    }
                }
            }
        }
        if database.is_empty() {
            bail!("there is no advisory in {}", root.display());
        }
        let date = match std::fs::read_to_string(root.join("DATE")) {
            Ok(text) => Some(
                text.trim()
                    .parse()
                    .with_context(|| format!("{} holds no date", root.join("DATE").display()))?,
            ),
            Err(_) => None,
        };
        Ok(Folder { database, date })
    }
}

fn read_advisory(file: &Path, kind: &str) -> Result<Advisory> {
    let name = |path: Option<&OsStr>| path.unwrap_or_default().to_string_lossy().into_owned();
    let size = std::fs::metadata(file)?.len();
    if size > MAX_BYTES {
        bail!("{size} bytes are too many for an advisory");
    }
    let text = std::fs::read_to_string(file)?;
    let advisory = Advisory::from_yaml(&text, &name(file.file_stem()))?;
    let folder = name(file.parent().and_then(Path::file_name));
    let expected = match kind {
        "gems" => Subject::Gem(folder),
        _ => Subject::Ruby(folder),
    };
    if advisory.subject != expected {
        bail!(
            "it is about {}, and lies in the folder of {}",
            advisory.subject.name(),
            expected.name()
        );
    }
    Ok(advisory)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = match std::fs::read_dir(folder) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", folder.display()));
        }
    };
    let mut all: Vec<PathBuf> = list
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<_>>()
        .with_context(|| format!("cannot read {}", folder.display()))?;
    all.sort();
    Ok(all)
}

/// Whether this is a folder, or a file; links are neither, as what they lead to
/// is not the repository's.
fn is_real(path: &Path, folder: bool) -> Result<bool> {
    let kind = std::fs::symlink_metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .file_type();
    Ok(if folder {
        kind.is_dir()
    } else {
        kind.is_file()
    })
}

/// The commit that is checked out in `folder` and its day, where git can tell.
pub(crate) fn head_of(folder: &Path) -> Option<(String, Date)> {
    let output = git(folder)
        .args(["log", "-1", "--format=%H %cI"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (commit, time) = text.trim().split_once(' ')?;
    Some((commit.to_owned(), time.get(..10)?.parse().ok()?))
}

/// git in `folder`, whatever repository rbleak is called from.
pub(crate) fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).stdin(Stdio::null());
    let of_git = |name: &OsString| {
        [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
        ]
        .iter()
        .any(|known| name == known)
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| of_git(name)) {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(date: &str, is_whole: bool) -> tempfile::NamedTempFile {
        let text = "gem: oj\nurl: https://example.com\ntitle: t\nleaky_versions: ['< 99']\n";
        let database: Database = [Advisory::from_yaml(text, "oj-x").unwrap()]
            .into_iter()
            .collect();
        let source = Some("https://example.com/x.git".to_owned());
        let store = Store::new(source, None, date.parse().unwrap(), is_whole, &database);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), store.to_json().unwrap()).unwrap();
        file
    }

    #[test]
    fn the_newest_whole_one_is_taken_and_others_come_on_top() {
        let own = Data::at_hand(None).unwrap().database.len();
        let count = |date, is_whole| {
            let file = store(date, is_whole);
            Data::at_hand(Some(file.path())).unwrap().database.len()
        };
        assert_eq!(count("2999-01-01", true), 1);
        assert_eq!(count("2000-01-01", true), own);
        assert_eq!(count("2000-01-01", false), own + 1);
        let none = Data::at_hand(Some(Path::new("/dev/null/x"))).unwrap();
        assert_eq!(
            (none.database.len(), none.origin.as_str()),
            (own, "carried by rbleak")
        );
    }

    #[test]
    fn what_is_half_written_is_an_error_that_says_what_to_do() {
        let file = store("2999-01-01", true);
        let text = std::fs::read(file.path()).unwrap();
        for end in [0, 10, text.len() - 2] {
            std::fs::write(file.path(), &text[..end]).unwrap();
            let error = Data::at_hand(Some(file.path())).err().unwrap();
            assert!(
                format!("{error:#}").contains("rbleak audit --update"),
                "{error:#}"
            );
        }
    }
}
