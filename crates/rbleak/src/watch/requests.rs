//! Counts requests: a URL that is asked for them, or an access log whose lines
//! are counted. In a thread of its own; the newest count is what there is.

use anyhow::{Context, Result, bail};
use rbleak_process::Pid;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Nobody who counts is asked more often.
const LEAST: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer that counts requests is not longer.
const LONGEST: u64 = 1 << 20;

/// Who counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Answers a number, or Puma's stats.
    Url(String),
    /// One line a request.
    Log(PathBuf),
}

/// The counts so far: of each process, or of all together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    total: Option<f64>,
    by_pid: HashMap<u32, f64>,
}

/// Requests, as counted by somebody else.
#[derive(Clone, Default)]
pub(crate) struct Requests {
    shared: Arc<Mutex<(Counts, Option<String>)>>,
}

impl Source {
    /// From what the user wrote.
    pub(crate) fn of(text: &str) -> Result<Source> {
        if let Some(scheme) = text.split_once("://").map(|(scheme, _)| scheme) {
            if scheme != "http" {
                bail!(
                    "--requests-from {text}: {scheme} is not spoken here: give an http:// address or an access log"
                );
            }
            return Ok(Source::Url(text.to_owned()));
        }
        Ok(Source::Log(PathBuf::from(text)))
    }
}

impl Requests {
    /// Begins to count. The first count is waited for, so that what is wrong
    /// is told before the watch begins.
    pub(crate) fn start(source: Source, every: Duration) -> Result<Requests> {
        let requests = Requests::default();
        let mut counter = Counter::new(source)?;
        requests.put(Ok(counter.count()?));
        let shared = requests.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(every.max(LEAST));
                shared.put(counter.count());
            }
        });
        Ok(requests)
    }

    /// The requests that a process, or all of them, have answered.
    pub(crate) fn of(&self, pid: Pid) -> Option<f64> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &shared.0;
        counts.by_pid.get(&pid.0).copied().or(counts.total)
    }

    /// Why the last count failed.
    pub(crate) fn trouble(&self) -> Option<String> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.1.clone()
    }

    fn put(&self, counted: Result<Counts>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        match counted {
            Ok(counts) => *shared = (counts, None),
            // What is not known now is not known: a count that stands still
            // would look like no requests.
            Err(error) => *shared = (Counts::default(), Some(format!("{error:#}"))),
        }
    }
}

enum Counter {
    Url(String, ureq::Agent),
    Log(Log),
}

impl Counter {
    fn new(source: Source) -> Result<Counter> {
        Ok(match source {
            Source::Url(url) => {
                let config = ureq::Agent::config_builder()
                    .timeout_global(Some(PATIENCE))
                    .proxy(None)
                    .build();
                Counter::Url(url, config.into())
            }
            Source::Log(path) => Counter::Log(Log::open(path)?),
        })
    }

    fn count(&mut self) -> Result<Counts> {
        match self {
            Counter::Url(url, agent) => {
                let failed = || format!("requests cannot be counted by {url}");
                let mut answer = agent.get(url.as_str()).call().with_context(failed)?;
                let body = answer.body_mut().with_config().limit(LONGEST);
                let text = body.read_to_string().with_context(failed)?;
                parse(&text).with_context(|| {
                    format!(
                        "{url} counts no requests: it answers neither a number nor a JSON with requests_count"
                    )
                })
            }
            Counter::Log(log) => Ok(Counts {
                total: Some(log.count()? as f64),
                by_pid: HashMap::new(),
            }),
        }
    }
}

/// A bare number, or JSON in which `requests_count` stands: Puma's stats, with
/// one for each worker beside its `pid`.
fn parse(text: &str) -> Option<Counts> {
    let is_count = |count: &f64| count.is_finite() && *count >= 0.0;
    if let Ok(total) = text.trim().parse::<f64>() {
        return is_count(&total).then(|| Counts {
            total: Some(total),
            by_pid: HashMap::new(),
        });
    }
    let json: Value = serde_json::from_str(text).ok()?;
    let workers = json.get("worker_status").and_then(Value::as_array);
    let by_pid: HashMap<u32, f64> = workers
        .into_iter()
        .flatten()
        .filter_map(|worker| {
            let pid = worker.get("pid")?.as_u64()?;
            Some((u32::try_from(pid).ok()?, requests_count(worker)?))
        })
        .collect();
    let total = match by_pid.is_empty() {
        true => Some(requests_count(&json)?),
        // The master serves none, and its workers each their own.
        false => None,
    };
    Some(Counts { total, by_pid })
}

fn requests_count(json: &Value) -> Option<f64> {
    let status = json.get("last_status").unwrap_or(json);
    let count = status.get("requests_count").or(json.get("requests_count"));
    count?.as_f64()
}

/// Lines of a file that grows.
struct Log {
    path: PathBuf,
    file: File,
    inode: u64,
    lines: u64,
}

impl Log {
    /// Lines count from now on.
    fn open(path: PathBuf) -> Result<Log> {
        let failed = || format!("cannot count the lines of {}", path.display());
        let mut file = File::open(&path).with_context(failed)?;
        let inode = file.metadata().with_context(failed)?.ino();
        file.seek(SeekFrom::End(0)).with_context(failed)?;
        Ok(Log {
            inode,
            file,
            lines: 0,
            path,
        })
    }

    fn count(&mut self) -> Result<u64> {
        let failed = || format!("cannot count the lines of {}", self.path.display());
        self.lines += newlines(&mut self.file).with_context(failed)?;
        // Rotated: another file has its name, or it was cut.
        let here = std::fs::metadata(&self.path);
        if here.as_ref().is_ok_and(|here| here.ino() != self.inode) {
            self.file = File::open(&self.path).with_context(failed)?;
            self.inode = here.map_or(self.inode, |here| here.ino());
            self.lines += newlines(&mut self.file).with_context(failed)?;
        } else if here.is_ok_and(|here| self.file.stream_position().is_ok_and(|at| here.len() < at))
        {
            self.file.seek(SeekFrom::Start(0)).with_context(failed)?;
            self.lines += newlines(&mut self.file).with_context(failed)?;
        }
        Ok(self.lines)
    }
}

fn newlines(file: &mut File) -> std::io::Result<u64> {
    let mut block = vec![0; 1 << 16];
    let mut lines = 0;
    loop {
        match file.read(&mut block)? {
            0 => return Ok(lines),
            read => lines += block[..read].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn numbers_and_puma_s_stats_are_counts() {
        assert_eq!(parse("1200\n").and_then(|c| c.total), Some(1200.0));
        let single = parse(r#"{"started_at":"x","requests_count":7}"#);
        assert_eq!(single.and_then(|c| c.total), Some(7.0));
        let cluster = parse(
            r#"{"workers":2,"worker_status":[
                {"pid":11,"index":0,"last_status":{"requests_count":5}},
                {"pid":12,"index":1,"last_status":{"requests_count":9}}]}"#,
        )
        .expect("counts");
        assert_eq!(cluster.total, None);
        assert_eq!((cluster.by_pid[&11], cluster.by_pid[&12]), (5.0, 9.0));
        for wrong in [
            "",
            "no",
            "NaN",
            "-1",
            "{}",
            "[1]",
            r#"{"requests_count":"x"}"#,
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lines_are_counted_from_now_on_through_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, "before\n").unwrap();
        let mut log = Log::open(path.clone()).unwrap();
        let append = |text: &str| {
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        assert_eq!(log.count().unwrap(), 0);
        append("a\nb\nhal");
        assert_eq!(log.count().unwrap(), 2);
        append("f\n");
        std::fs::rename(&path, folder.path().join("access.log.1")).unwrap();
        std::fs::write(&path, "c\n").unwrap();
        assert_eq!(log.count().unwrap(), 4);
        std::fs::write(&path, "").unwrap();
        append("\n");
        assert_eq!(log.count().unwrap(), 5);
    }
}
