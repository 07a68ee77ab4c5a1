//! A run: the folder that keeps one hunt, `.rbleak/TIME/`.
//!
//! `manifest.json` says what was hunted and how it ended, `samples.csv` holds
//! the figures, `memory.csv` what was resident, `report.json` the answer,
//! `app.log` what the app wrote, and `*.ndjson.zst` the heap dumps with their
//! sidecars of names. Everything that the diagnosis needs is in it. What the
//! manifest says, and how a run is read again, is in `rbleak_capture`.

use crate::files::{create_private_directory, write_atomically};
use anyhow::{Context, Result};
use jiff::ZonedDateTime;
pub(crate) use rbleak_capture::manifest::{
    AppFacts, CaptureFacts, DumpCost, DumpRecord, LoadFacts, Manifest, Status, TriggerFacts,
};
use rbleak_capture::manifest::{MANIFEST_FILE, SCHEMA};
use rbleak_trend::RoundSample;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The manifest of a hunt that begins.
pub(crate) fn begun(started: &ZonedDateTime, app: AppFacts, load: LoadFacts) -> Manifest {
    Manifest {
        schema: SCHEMA.to_owned(),
        rbleak_version: env!("CARGO_PKG_VERSION").to_owned(),
        started: started.timestamp().to_string(),
        status: Status::Running,
        error: None,
        app,
        load,
        capture: None,
        dumps: Vec::new(),
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

    /// One in a folder that is there and empty.
    pub(crate) fn begin(path: PathBuf, manifest: Manifest) -> Result<RunDirectory> {
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
        self.write(MANIFEST_FILE, self.manifest.to_json()?.as_bytes())
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

/// The resident set at one moment of a hunt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MemoryPoint {
    /// Since the hunt began.
    pub(crate) seconds: f64,
    /// Since the first sample.
    pub(crate) requests: u64,
    /// Of all processes that serve, together.
    pub(crate) rss_bytes: u64,
}

const MEMORY_COLUMNS: &str = "seconds,requests,rss_bytes";
/// The file of a run that holds them.
pub(crate) const MEMORY_FILE: &str = "memory.csv";

/// `memory.csv`: nothing is judged by it.
pub(crate) fn memory_csv(points: &[MemoryPoint]) -> String {
    let mut text = format!("{MEMORY_COLUMNS}\n");
    for point in points {
        text.push_str(&format!(
            "{:.3},{},{}\n",
            point.seconds, point.requests, point.rss_bytes
        ));
    }
    text
}

/// Reads what [`memory_csv`] wrote; `None` where it is no such text.
pub(crate) fn parse_memory(text: &str) -> Option<Vec<MemoryPoint>> {
    let mut lines = text.lines();
    if lines.next()? != MEMORY_COLUMNS {
        return None;
    }
    let point = |line: &str| {
        let mut fields = line.split(',');
        let seconds: f64 = fields.next()?.parse().ok()?;
        Some(MemoryPoint {
            seconds: Some(seconds).filter(|s| s.is_finite() && *s >= 0.0)?,
            requests: fields.next()?.parse().ok()?,
            rss_bytes: fields.next()?.parse().ok()?,
        })
    };
    lines.map(point).collect()
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

/// Finite figures; requests that only rise are seen to by the regression.
pub(crate) fn is_sane(sample: &RoundSample) -> bool {
    let optional = [sample.content, sample.malloc_in_use, sample.malloc_free];
    let all = [sample.live_slots, sample.memsize];
    all.into_iter()
        .chain(optional.into_iter().flatten())
        .all(|figure| figure.is_finite() && figure >= 0.0)
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
        let memory = vec![MemoryPoint {
            seconds: 1.25,
            requests: 50,
            rss_bytes: 40_000_000,
        }];
        assert_eq!(parse_memory(&memory_csv(&memory)), Some(memory));
        assert_eq!(parse_memory("seconds,requests,rss_bytes\nNaN,1,2\n"), None);
        assert_eq!(parse_samples("time,rss\n1,2\n"), None);
        assert_eq!(parse_samples(&format!("{COLUMNS}\n1,2,x,,,,0\n")), None);
    }
}
