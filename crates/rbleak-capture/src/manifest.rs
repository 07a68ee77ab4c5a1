//! What is written of a hunt in its run's folder: `manifest.json`.
//!
//! From bytes to values and back; it opens nothing. A manifest may come from
//! another machine or another rbleak, so that nothing in it is believed: its
//! schema is looked at first, and no file it names may lie outside the run's
//! folder.

use serde::{Deserialize, Serialize};
use std::path::{Component, Path, PathBuf};

/// The file's name within a run's folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The only schema so far.
pub const SCHEMA: &str = "rbleak/run/v1";
/// What schemas of runs begin with.
const ANY_VERSION: &str = "rbleak/run/";

/// What was hunted, with what, and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// Of the rbleak that hunted.
    pub rbleak_version: String,
    /// RFC 3339.
    pub started: String,
    /// How far it came.
    pub status: Status,
    /// Why it failed, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The app as it really ran.
    pub app: AppFacts,
    /// What was done to it.
    pub load: LoadFacts,
    /// Of a capture: how the process was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<CaptureFacts>,
    /// Its heap dumps, oldest first.
    pub dumps: Vec<DumpRecord>,
}

/// How a process that rbleak did not start was reached, and what that cost it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptureFacts {
    /// `agent`, `inject`, `snapshot` or `core`.
    pub via: String,
    /// The process's name for short: `puma`, `worker 1`.
    pub process: String,
    /// When it started, in clock ticks since the machine did: with the PID, what
    /// tells it from others.
    pub start_time: u64,
    /// Of an injection: milliseconds for which the main thread stood still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_ms: Option<f64>,
    /// Seconds for which allocations were traced before the first dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced_seconds: Option<f64>,
    /// Whether values of strings were left out.
    pub redacted: bool,
    /// Of a guard's: what made it capture the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerFacts>,
}

/// Why a guard captured a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerFacts {
    /// `leak` or `level`.
    pub kind: String,
    /// In one sentence.
    pub text: String,
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It goes on, or was killed.
    Running,
    /// It has its answer.
    Complete,
    /// By a signal, in good order.
    Interrupted,
    /// See [`Manifest::error`].
    Failed,
}

/// The app as it really ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppFacts {
    /// `config.ru`, the command, or the code.
    pub target: String,
    /// `in process`, `server`, `code`.
    pub mode: String,
    /// The app's folder; sites below it are shown relative to it.
    pub directory: PathBuf,
    /// The agent's folder: what was allocated there is rbleak's own.
    pub agent_directory: PathBuf,
    /// `Rack 2.2.22`, `Rails 6.1.7`, … as loaded.
    pub frameworks: Vec<String>,
    /// Its version.
    pub ruby: Option<String>,
    /// `RAILS_ENV` and `RACK_ENV`; not known of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Of the process that was measured.
    pub pid: Option<u32>,
    /// The allocator in one line.
    pub allocator: Option<String>,
    /// Its name and version.
    pub allocator_kind: Option<String>,
    /// Where the figures of malloc come from.
    pub malloc_source: Option<String>,
}

/// What was done to the app.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadFacts {
    /// What was requested, in turn.
    pub paths: Vec<String>,
    /// By which method; not known of older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A digest of headers and bodies, which may be secret, where there are
    /// any: two runs with the same one sent the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_digest: Option<String>,
    /// The command line that does the same again, a word each; values of headers
    /// and bodies, which may be secret, are left out. Not known of older runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Requests before the first sample.
    pub warmup: u64,
    /// Requests between two samples.
    pub requests_per_round: u64,
    /// How many samples but one.
    pub rounds: u32,
    /// Requests under way at once, over HTTP.
    pub concurrency: Option<usize>,
    /// Seconds from the start of the boot to the verdict.
    pub seconds: f64,
    /// Seconds of that spent booting.
    pub boot_seconds: f64,
    /// Where requests were redirected to, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirected_to: Option<String>,
}

/// One heap dump of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DumpRecord {
    /// `A`, `B`, `C`.
    pub label: String,
    /// Within the run's folder; gone when dumps are not kept.
    pub file: String,
    /// The sidecar of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<String>,
    /// Requests since the first sample.
    pub requests: u64,
    /// Bytes, compressed.
    pub file_bytes: u64,
    /// Of a capture: what the dump cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<DumpCost>,
}

/// When a dump was captured, and what it cost the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DumpCost {
    /// RFC 3339.
    pub at: String,
    /// `GC.count` at that moment.
    pub generation: u64,
    /// How it was taken: `forked`, or `snapshot`, from memory alone.
    pub how: String,
    /// Of one from memory: what a dump of Ruby's own would have and it has not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// Of one from memory: a sentence on how far it can be trusted, where its layout
    /// was never seen to be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// Milliseconds for which the process stood still.
    pub pause_ms: f64,
    /// Memory that the copy took beside the process, as far as it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_memory_bytes: Option<u64>,
    /// Seconds until the dump was written.
    pub seconds: f64,
    /// Bytes as Ruby wrote them.
    pub raw_bytes: u64,
}

/// Why bytes are no manifest that can be used. Says what and where in the
/// text; whoever knows the file says which.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// No JSON object with a schema of runs.
    #[error("it is no manifest of a run ({0}); give a folder that rbleak hunt made")]
    NoManifest(String),
    /// Of a schema that this rbleak does not know.
    #[error(
        "its schema is {found:?}, and this rbleak reads {SCHEMA}; take the rbleak that made the run, or a newer one"
    )]
    UnknownSchema {
        /// What it says.
        found: String,
    },
    /// Of the right schema, and not as it should be.
    #[error("it is damaged ({0}); hunt again, or give the heap dumps themselves")]
    Damaged(#[source] serde_json::Error),
    /// A file that it names lies elsewhere.
    #[error(
        "it names {file:?}, which is not within the run's folder; nothing outside is read for a manifest"
    )]
    Outside {
        /// As it stands in the manifest.
        file: String,
    },
}

impl Manifest {
    /// Reads the bytes of a `manifest.json`.
    ///
    /// # Errors
    /// If it is none, of an unknown schema, damaged, or names files that are
    /// not below the run's folder.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        #[derive(Deserialize)]
        struct AnyVersion {
            schema: String,
        }
        let no_manifest = |why: &dyn std::fmt::Display| ManifestError::NoManifest(why.to_string());
        let any: AnyVersion = serde_json::from_slice(bytes).map_err(|error| no_manifest(&error))?;
        if any.schema != SCHEMA {
            return Err(match any.schema.strip_prefix(ANY_VERSION) {
                Some(_) => ManifestError::UnknownSchema { found: any.schema },
                None => no_manifest(&format_args!("its schema is {:?}", any.schema)),
            });
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(ManifestError::Damaged)?;
        for dump in &manifest.dumps {
            for file in std::iter::once(&dump.file).chain(&dump.names) {
                if !is_within(file) {
                    return Err(ManifestError::Outside { file: file.clone() });
                }
            }
        }
        Ok(manifest)
    }

    /// The text of a `manifest.json`.
    ///
    /// # Errors
    /// If a path in it is no UTF-8.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }
}

/// Whether a path, read from a folder, stays below it, symbolic links aside.
fn is_within(file: &str) -> bool {
    let mut parts = Path::new(file).components();
    !file.is_empty()
        && !file.contains('\0')
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = include_str!("../../rbleak/recorded/manifest.json");

    #[test]
    fn a_manifest_reads_back() {
        let manifest = Manifest::parse(RECORDED.as_bytes()).unwrap();
        assert_eq!(manifest.status, Status::Complete);
        assert_eq!(manifest.dumps.len(), 3);
        let again = manifest.to_json().unwrap();
        assert_eq!(Manifest::parse(again.as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn what_is_none_is_told_from_what_is_of_another_version() {
        let said = |text: &str| Manifest::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(said("").contains("no manifest"));
        assert!(said("{}").contains("missing field `schema`"));
        assert!(said("[1]").contains("no manifest"));
        assert!(said(r#"{"schema":"rbleak/diff/v1"}"#).contains("no manifest"));
        let newer = RECORDED.replace("run/v1", "run/v2");
        assert!(said(&newer).contains("its schema is \"rbleak/run/v2\""));
        let cut = &RECORDED[..RECORDED.len() / 2];
        assert!(said(cut).contains("no manifest"), "{}", said(cut));
        let without = RECORDED.replace("\"status\"", "\"state\"");
        assert!(said(&without).contains("missing field `status`"));
    }

    #[test]
    fn no_file_outside_the_run_is_named() {
        for file in [
            "../x",
            "/etc/passwd",
            "a/../../x",
            "",
            "..",
            ".",
            "./x",
            "a\\u0000b",
        ] {
            for key in ["file", "names"] {
                let text = match key {
                    "file" => RECORDED.replace("\"C.ndjson.zst\"", &format!("\"{file}\"")),
                    _ => RECORDED.replace("\"C.names.ndjson.zst\"", &format!("\"{file}\"")),
                };
                let error = Manifest::parse(text.as_bytes()).unwrap_err();
                assert!(
                    matches!(error, ManifestError::Outside { .. }),
                    "{file}: {error}"
                );
            }
        }
        let below = RECORDED.replace("\"C.ndjson.zst\"", "\"dumps/C.ndjson.zst\"");
        assert!(Manifest::parse(below.as_bytes()).is_ok());
    }
}
