//! A run: the folder that keeps one hunt, `.rbleak/TIME/`.
//!
//! `manifest.json` says what was hunted and how it ended, `samples.csv` holds
//! the figures, `report.json` the answer, `app.log` what the app wrote, and
//! `*.ndjson.zst` the heap dumps with their sidecars of names. Everything that
//! the diagnosis needs is in it.

use crate::files::{create_private_directory, write_atomically};
use anyhow::{Context, Result};
use jiff::ZonedDateTime;
use rbleak_trend::RoundSample;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What was hunted, with what, and how it ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) schema: String,
    pub(crate) rbleak_version: String,
    /// RFC 3339.
    pub(crate) started: String,
    pub(crate) status: Status,
    /// Why it failed, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    pub(crate) app: AppFacts,
    pub(crate) load: LoadFacts,
    pub(crate) dumps: Vec<DumpRecord>,
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Running,
    Complete,
    Interrupted,
    Failed,
}

/// The app as it really ran.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AppFacts {
    /// `config.ru`, the command, or the code.
    pub(crate) target: String,
    /// `in process`, `server`, `code`.
    pub(crate) mode: String,
    /// The app's folder; sites below it are shown relative to it.
    pub(crate) directory: PathBuf,
    /// The agent's folder: what was allocated there is rbleak's own.
    pub(crate) agent_directory: PathBuf,
    /// `Rack 2.2.22`, `Rails 6.1.7`, … as loaded.
    pub(crate) frameworks: Vec<String>,
    pub(crate) ruby: Option<String>,
    pub(crate) pid: Option<u32>,
    /// The allocator in one line.
    pub(crate) allocator: Option<String>,
    pub(crate) allocator_kind: Option<String>,
    /// Where the figures of malloc come from.
    pub(crate) malloc_source: Option<String>,
}

/// What was done to the app.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LoadFacts {
    pub(crate) paths: Vec<String>,
    pub(crate) warmup: u64,
    pub(crate) requests_per_round: u64,
    pub(crate) rounds: u32,
    /// Requests under way at once, over HTTP.
    pub(crate) concurrency: Option<usize>,
    /// Seconds from the start of the boot to the verdict.
    pub(crate) seconds: f64,
    /// Seconds of that spent booting.
    pub(crate) boot_seconds: f64,
    /// Where requests were redirected to, if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redirected_to: Option<String>,
}

/// One heap dump of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DumpRecord {
    /// `A`, `B`, `C`.
    pub(crate) label: String,
    /// Within the run's folder; gone when dumps are not kept.
    pub(crate) file: String,
    /// The sidecar of names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) names: Option<String>,
    /// Requests since the first sample.
    pub(crate) requests: u64,
    /// Compressed.
    pub(crate) file_bytes: u64,
}

pub(crate) const SCHEMA: &str = "rbleak/run/v1";

impl Manifest {
    pub(crate) fn new(started: &ZonedDateTime, app: AppFacts, load: LoadFacts) -> Manifest {
        Manifest {
            schema: SCHEMA.to_owned(),
            rbleak_version: env!("CARGO_PKG_VERSION").to_owned(),
            started: started.timestamp().to_string(),
            status: Status::Running,
            error: None,
            app,
            load,
            dumps: Vec::new(),
        }
    }
}

/// A run's folder, being filled.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    path: PathBuf,
    pub(crate) manifest: Manifest,
}

impl RunDirectory {
    /// Creates a folder of its own under `parent`.
    pub(crate) fn create(
        parent: &Path,
        now: &ZonedDateTime,
        manifest: Manifest,
    ) -> Result<RunDirectory> {
        let name = now.strftime("%Y-%m-%dT%H-%M-%S").to_string();
        let mut path = parent.join(&name);
        let mut attempt = 1;
        loop {
            match create_private_directory(&path) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => {
                    attempt += 1;
                    path = parent.join(format!("{name}.{attempt}"));
                }
                Err(error) => {
                    return Err(error).with_context(|| {
                        format!(
                            "cannot create the run's folder {} (another place: --run-dir DIR)",
                            path.display()
                        )
                    });
                }
            }
        }
        let run = RunDirectory { path, manifest };
        run.save()?;
        Ok(run)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// Writes the manifest as it stands.
    pub(crate) fn save(&self) -> Result<()> {
        let mut text = serde_json::to_string_pretty(&self.manifest)?;
        text.push('\n');
        self.write("manifest.json", text.as_bytes())
    }

    pub(crate) fn write(&self, file: &str, bytes: &[u8]) -> Result<()> {
        let path = self.join(file);
        write_atomically(&path, |out| out.write_all(bytes))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes the samples so far.
    pub(crate) fn write_samples(&self, samples: &[RoundSample]) -> Result<()> {
        self.write("samples.csv", samples_csv(samples).as_bytes())
    }

    /// Size of all dumps, and their number.
    pub(crate) fn dump_bytes(&self) -> u64 {
        self.manifest.dumps.iter().map(|dump| dump.file_bytes).sum()
    }

    /// Removes the dumps; the manifest forgets them.
    pub(crate) fn drop_dumps(&mut self) -> Result<()> {
        for dump in self.manifest.dumps.drain(..) {
            for file in [Some(dump.file), dump.names].into_iter().flatten() {
                let path = self.path.join(file);
                std::fs::remove_file(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        self.save()
    }
}

const COLUMNS: &str =
    "requests,live_slots,memsize_bytes,content_bytes,malloc_in_use_bytes,malloc_free_bytes,traced";

/// `samples.csv`: a header with units, one line a sample; empty where unknown.
pub(crate) fn samples_csv(samples: &[RoundSample]) -> String {
    let mut text = format!("{COLUMNS}\n");
    let known = |value: Option<f64>| value.map(|v| format!("{v:.0}")).unwrap_or_default();
    for sample in samples {
        text.push_str(&format!(
            "{},{:.0},{:.0},{},{},{},{}\n",
            sample.requests,
            sample.live_slots,
            sample.memsize,
            known(sample.content),
            known(sample.malloc_in_use),
            known(sample.malloc_free),
            u8::from(sample.traced),
        ));
    }
    text
}

/// Reads what [`samples_csv`] wrote; `None` where it is no such text.
pub(crate) fn parse_samples(text: &str) -> Option<Vec<RoundSample>> {
    let mut lines = text.lines();
    if lines.next()? != COLUMNS {
        return None;
    }
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let [requests, live_slots, memsize, content, in_use, free, traced] = fields[..] else {
                return None;
            };
            let optional = |text: &str| {
                if text.is_empty() {
                    Some(None)
                } else {
                    text.parse().ok().map(Some)
                }
            };
            Some(RoundSample {
                requests: requests.parse().ok()?,
                live_slots: live_slots.parse().ok()?,
                memsize: memsize.parse().ok()?,
                content: optional(content)?,
                malloc_in_use: optional(in_use)?,
                malloc_free: optional(free)?,
                traced: traced == "1",
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_as_they_were() {
        let samples = vec![
            RoundSample {
                requests: 0,
                live_slots: 31_000.0,
                memsize: 4e6,
                content: Some(5.0),
                malloc_in_use: Some(9e6),
                malloc_free: None,
                traced: false,
            },
            RoundSample {
                requests: 500,
                live_slots: 32_000.0,
                memsize: 4.1e6,
                content: None,
                malloc_in_use: None,
                malloc_free: Some(1.0),
                traced: true,
            },
        ];
        assert_eq!(parse_samples(&samples_csv(&samples)), Some(samples));
        assert_eq!(parse_samples("time,rss\n1,2\n"), None);
        assert_eq!(parse_samples(&format!("{COLUMNS}\n1,2,x,,,,0\n")), None);
    }
}
