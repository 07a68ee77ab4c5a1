//! A run as it is compared: its manifest, its samples, and what its report
//! says of the verdict and of who held what.

use crate::rates::cause_of_name;
use crate::run::{Manifest, is_sane, parse_samples};
use anyhow::{Context, Result, bail};
use rbleak_capture::RecordedRun;
use rbleak_report::Value;
use rbleak_trend::{Cause, Rounds};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Samples and reports are some kilobytes each: what is larger is none.
const MOST_BYTES: u64 = 64 << 20;
const SCHEMA: &str = "rbleak/hunt/v1";

/// A run of a hunt that came to its end.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The folder, as the user named it.
    pub(crate) shown: String,
    pub(crate) manifest: Manifest,
    pub(crate) rounds: Rounds,
    /// What the hunt concluded, its dumps taken into account.
    pub(crate) cause: Cause,
    /// What grew and who held it, by name.
    pub(crate) holders: BTreeMap<String, HolderRate>,
}

/// How fast a holder grew.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct HolderRate {
    /// Per request; none for what grows in place.
    pub(crate) objects: f64,
    /// Per request.
    pub(crate) bytes: f64,
}

impl Recorded {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// If it is none, its hunt did not come to its end, or a file of it is
    /// gone or damaged.
    pub(crate) fn open(folder: &Path, shown: String) -> Result<Recorded> {
        let manifest = RecordedRun::manifest(folder)?;
        let path = folder.join("samples.csv");
        let Some(samples) = parse_samples(&text(&path)?) else {
            bail!(
                "cannot use {}: these are no samples of a hunt; hunt again",
                path.display()
            );
        };
        if let Some(wrong) = samples.iter().position(|sample| !is_sane(sample)) {
            bail!(
                "cannot use {}: line {} has figures that no hunt writes; hunt again",
                path.display(),
                wrong + 2
            );
        }
        let mut rounds = Rounds::default();
        samples.into_iter().for_each(|sample| rounds.push(sample));
        let path = folder.join("report.json");
        let report: Value = serde_json::from_str(&text(&path)?)
            .with_context(|| format!("cannot use {}", path.display()))?;
        if report["schema"] != SCHEMA {
            bail!(
                "cannot use {}: its schema is {}, and this rbleak reads {SCHEMA}",
                path.display(),
                report["schema"]
            );
        }
        let cause = report["verdict"]["cause"].as_str().and_then(cause_of_name);
        let Some(cause) = cause else {
            bail!(
                "cannot use {}: it has no verdict of a hunt; hunt again",
                path.display()
            );
        };
        Ok(Recorded {
            shown,
            manifest,
            rounds,
            cause,
            holders: holders(&report["findings"]),
        })
    }

    pub(crate) fn leaks(&self) -> bool {
        matches!(
            self.cause,
            Cause::RubyObjects | Cause::RubyBytes | Cause::Native
        )
    }

    /// What a rate is per.
    pub(crate) fn per(&self) -> &'static str {
        match self.manifest.app.mode.as_str() {
            "code" => "call",
            _ => "request",
        }
    }
}

fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

/// By name; several findings of one name are one.
fn holders(findings: &Value) -> BTreeMap<String, HolderRate> {
    let mut all: BTreeMap<String, HolderRate> = BTreeMap::new();
    for finding in findings.as_array().into_iter().flatten() {
        let Some(name) = finding["holder"].as_str() else {
            continue;
        };
        let rate = |key: &str| {
            let figure = finding[key].as_f64().unwrap_or(0.0);
            if figure.is_finite() { figure } else { 0.0 }
        };
        let sum = all.entry(name.to_owned()).or_default();
        sum.objects += rate("objects_per_request");
        sum.bytes += rate("bytes_per_request");
    }
    all
}
