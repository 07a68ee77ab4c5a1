//! The lines that other commands show: how many of an app's gems, and in how
//! many ways its Ruby, are known to leak.

use super::{data::Data, ignores, locate, words};
use rbleak_audit::matching::{Audit, Question, audit};
use rbleak_audit::{Ignores, Lockfile, RubyVersion};
use rbleak_report::{Fact, Value, json};
use std::path::Path;

/// The gems of the app in `folder`, run by Ruby `ruby` (`3.1.7`) where that is
/// known. `None` where the folder has no lockfile. What cannot be read is said
/// in the line: no other command fails over it.
pub(crate) fn gems(folder: &Path, ruby: Option<&str>) -> Option<Fact> {
    let path = locate::in_folder(folder)?;
    let told = told(&path, folder, ruby);
    let (text, data) = told.unwrap_or_else(|error| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        (
            format!("not known: {name}: {error:#}"),
            json!({ "error": format!("{error:#}") }),
        )
    });
    Some(Fact::new("gems", text, data).hint("rbleak audit"))
}

/// The Ruby `version` (`3.1.7`, or all that `ruby -v` says). `None` where nothing is known of it, or the
/// advisories cannot be read, which `rbleak audit` says.
pub(crate) fn ruby(version: &str) -> Option<Fact> {
    // `ruby 3.1.7p261 (2025-03-26 revision 0a3704f218) [x86_64-linux-gnu]`
    let version = version.strip_prefix("ruby ").unwrap_or(version);
    let version = version.split(' ').next().unwrap_or(version);
    let ruby = RubyVersion::of_people(version).ok()?;
    let data = Data::load(None).ok()?;
    let (lockfile, ignores) = (Lockfile::default(), Ignores::default());
    let answer = audit(&Question {
        lockfile: &lockfile,
        ruby: Some((&ruby, None)),
        database: &data.database,
        ignores: &ignores,
        today: jiff::ZonedDateTime::now().date(),
    });
    let found = answer.found.first()?;
    let ids: Vec<&str> = found
        .leaks
        .iter()
        .map(|leak| leak.advisory.id.as_str())
        .collect();
    let ways = if ids.len() == 1 { "way" } else { "ways" };
    let text = format!(
        "{version} is known to leak in {} {ways}, {}",
        ids.len(),
        words::remedy(&found.remedy)
    );
    let data = json!({ "version": version, "advisories": ids });
    Some(Fact::new("ruby", text, data).hint("rbleak audit"))
}

fn told(path: &Path, folder: &Path, ruby: Option<&str>) -> anyhow::Result<(String, Value)> {
    let lockfile = Lockfile::parse(&std::fs::read(path)?)?;
    let running = ruby.and_then(|text| RubyVersion::of_people(text).ok());
    let data = Data::load(None)?;
    let ignores = ignores(None, folder)?;
    let question = Question {
        lockfile: &lockfile,
        ruby: running.as_ref().map(|ruby| (ruby, None)).or(lockfile
            .ruby
            .as_ref()
            .map(|(ruby, line)| (ruby, Some(*line)))),
        database: &data.database,
        ignores: &ignores,
        today: jiff::ZonedDateTime::now().date(),
    };
    Ok(line(&audit(&question)))
}

/// `1 of 84 is known to leak: oj 3.14.2, fixed in 3.17.4`.
fn line(audit: &Audit<'_>) -> (String, Value) {
    let leaking: Vec<_> = audit
        .found
        .iter()
        .filter(|found| !found.what.is_ruby())
        .collect();
    let data = json!({
        "gems": audit.gems,
        "leaking": leaking.iter().map(|found| json!({
            "gem": found.what.name(),
            "version": found.what.version(),
            "advisories": found.leaks.iter().map(|leak| leak.advisory.id.as_str()).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    let name = |at: usize| format!("{} {}", leaking[at].what.name(), leaking[at].what.version());
    let text = match leaking.len() {
        0 => format!("none of {} is known to leak", audit.gems),
        1 => format!(
            "1 of {} is known to leak: {}, {}",
            audit.gems,
            name(0),
            words::remedy(&leaking[0].remedy)
        ),
        many => {
            let shown: Vec<String> = (0..many.min(3)).map(name).collect();
            let more = if many > 3 {
                format!(" and {} more", many - 3)
            } else {
                String::new()
            };
            format!(
                "{many} of {} are known to leak: {}{more}",
                audit.gems,
                shown.join(", ")
            )
        }
    };
    (text, data)
}
