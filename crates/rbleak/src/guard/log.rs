//! What happened, as lines of JSON: `guard.ndjson`. Of bounded length: what is
//! too long becomes `guard.old.ndjson`, in place of the one before.

use anyhow::{Context, Result};
use jiff::Timestamp;
use rbleak_report::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub(crate) const FILE: &str = "guard.ndjson";
pub(crate) const OLD_FILE: &str = "guard.old.ndjson";
/// The schema of the first line.
const SCHEMA: &str = "rbleak/guard-log/v1";
const LONGEST: u64 = 4 << 20;

/// An open log.
#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
    file: File,
    head: Value,
    bytes: u64,
    longest: u64,
}

impl Log {
    /// Begins it. `about` says what is guarded.
    pub(crate) fn begin(folder: &Path, about: &Value) -> Result<Log> {
        let path = folder.join(FILE);
        let head = json!({
            "schema": SCHEMA,
            "rbleak_version": env!("CARGO_PKG_VERSION"),
            "started": Timestamp::now().to_string(),
            "guarded": about,
        });
        let file = create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut log = Log {
            folder: folder.to_owned(),
            file,
            head,
            bytes: 0,
            longest: LONGEST,
        };
        let head = log.head.clone();
        log.append(&head)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(log)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Writes one event down.
    pub(crate) fn write(&mut self, event: &str, text: &str, data: &Value) -> io::Result<()> {
        if self.bytes > self.longest {
            std::fs::rename(self.path(), self.folder.join(OLD_FILE))?;
            self.file = create(&self.path())?;
            self.bytes = 0;
            let head = self.head.clone();
            self.append(&head)?;
        }
        self.append(&json!({
            "at": Timestamp::now().to_string(),
            "event": event,
            "text": text,
            "data": data,
        }))
    }

    fn append(&mut self, line: &Value) -> io::Result<()> {
        let line = format!("{line}\n");
        // In one piece: whoever is killed leaves whole lines.
        self.file.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_lines_of_json_and_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::begin(folder.path(), &json!({"pid": 7})).unwrap();
        log.longest = 2000;
        for number in 0..200 {
            log.write("leak", "worker \"1\"\n", &json!({"number": number}))
                .unwrap();
        }
        for file in [FILE, OLD_FILE] {
            let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
            assert!(text.len() < 2500, "{}", text.len());
            let lines: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(lines[0]["schema"], SCHEMA);
            assert_eq!(lines[1]["event"], "leak");
        }
        let text = std::fs::read_to_string(log.path()).unwrap();
        assert!(text.contains("199"));
    }
}
