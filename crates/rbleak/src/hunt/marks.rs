//! What a hunt says to services of CI: remarks on lines of the sources, and
//! checks as of a test run.

use super::budget::Kept;
use super::document::Told;
use super::endpoints_told;
use crate::audit::place;
use crate::held::Ranked;
use rbleak_report::{
    Annotation, Block, Check, Document, Finding, Level, Outcome, Rule, Tone, Verdict,
};
use std::path::PathBuf;

/// Adds them to the document of a hunt, whose verdict and findings stand in it.
pub(super) fn mark(document: &mut Document, told: &Told<'_>) {
    let mut verdict = None;
    let mut findings: &[Finding] = &[];
    for block in &document.blocks {
        match block {
            Block::Verdict(found) => verdict = Some(found),
            Block::Findings(found) => findings = found,
            _ => {}
        }
    }
    let Some(verdict) = verdict else { return };
    let details = verdict.details.iter().cloned();
    let titles = findings
        .iter()
        .map(|finding| format!("{}: {}", finding.title, finding.summary));
    let one = || {
        vec![Check {
            name: match told.load.paths.as_slice() {
                [] => format!("{} does not leak", told.app.target),
                paths => format!("{} does not leak", paths.join(" ")),
            },
            outcome: outcome(verdict.tone),
            message: format!("{}: {}", verdict.word, verdict.headline),
            details: details.chain(titles).collect(),
        }]
    };
    let checks = match told.endpoints {
        Some(found) => endpoints_told::checks(found, verdict),
        None => one(),
    };
    let mut annotations: Vec<Annotation> = told
        .diagnosis
        .held
        .growing
        .iter()
        .filter_map(|ranked| at_its_line(told, ranked))
        .collect();
    if annotations.is_empty() {
        annotations.push(of_verdict(verdict));
    }
    document.checks = checks;
    document.annotations = annotations;
}

/// How a check of this tone went.
pub(crate) fn outcome(tone: Tone) -> Outcome {
    match tone {
        Tone::Good => Outcome::Passed,
        Tone::Bad => Outcome::Failed,
        Tone::Warning | Tone::Plain => Outcome::Untold,
    }
}

/// A verdict that no line is to blame for.
pub(crate) fn of_verdict(verdict: &Verdict) -> Annotation {
    Annotation {
        rule: rule(),
        level: match outcome(verdict.tone) {
            Outcome::Passed => Level::Note,
            Outcome::Failed => Level::Error,
            Outcome::Untold => Level::Warning,
        },
        title: verdict.word.clone(),
        message: verdict.headline.clone(),
        file: None,
        line: None,
    }
}

/// The line of the app where most of what a holder keeps is born.
fn at_its_line(told: &Told<'_>, ranked: &Ranked) -> Option<Annotation> {
    let places = ranked.sites.iter().filter_map(|site| site.place.as_ref());
    let place = places.into_iter().find(|place| place.in_app)?;
    let workspace = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let name = ranked.holder.name.to_string();
    Some(Annotation {
        rule: rule(),
        level: match told.budget {
            Some((_, Kept::Yes)) => Level::Note,
            Some((_, Kept::Untold)) => Level::Warning,
            Some((_, Kept::No)) | None => Level::Error,
        },
        title: format!("leak: {}", told.sources.shorten_within(&name)),
        message: format!(
            "what is allocated here is kept: {:.2} objects and {:.0} B per request{}",
            ranked.objects_per,
            ranked.bytes_per,
            told.endpoints.map_or("", |_| " of all endpoints")
        ),
        file: Some(place::of(&told.app.directory.join(&place.file), workspace)),
        line: Some(place.line),
    })
}

fn rule() -> Rule {
    Rule {
        id: "leak".to_owned(),
        summary: "Memory is kept with every request".to_owned(),
        description: "The number or size of live objects after full collections grows with the number of requests.".to_owned(),
        url: None,
    }
}
