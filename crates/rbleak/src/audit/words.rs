//! Wording that the answer, the update and the summary share.

use jiff::civil::Date;
use rbleak_audit::advisory::{Advisory, Nature};
use rbleak_audit::matching::{AdvisoryMatch, Matched, Remedy, Unknown};
use rbleak_units::grouped;

/// `today`, `1 day old`, `400 days old`.
pub(super) fn age(date: Date, today: Date) -> String {
    match days(date, today) {
        ..=0 => "today".to_owned(),
        1 => "1 day old".to_owned(),
        days => format!("{} days old", grouped(days.unsigned_abs())),
    }
}

/// Days from `date` to `today`; negative where it is yet to come.
pub(super) fn days(date: Date, today: Date) -> i64 {
    i64::from((today - date).get_days())
}

/// `fixed in 3.17.4`.
pub(super) fn remedy(remedy: &Remedy) -> String {
    match remedy {
        Remedy::AtLeast(version) => format!("fixed in {version}"),
        Remedy::After(version) => format!("fixed in the release after {version}"),
        Remedy::Unknown => "no release is known to be free of it".to_owned(),
    }
}

/// What to run, and what stands in the way.
pub(super) fn fix(found: &AdvisoryMatch<'_>) -> Vec<String> {
    let target = match &found.remedy {
        Remedy::AtLeast(version) => version.to_string(),
        Remedy::After(version) => format!("the release after {version}"),
        Remedy::Unknown => return Vec::new(),
    };
    let Matched::Gem { .. } = found.what else {
        return vec![format!("run Ruby {target} or later")];
    };
    let name = found.what.name();
    let mut gems = vec![name.to_owned()];
    let mut lines = Vec::new();
    for (who, dependency) in &found.blockers {
        let asked = &dependency.requirement;
        let line = dependency.line;
        match who {
            None => lines.push(format!(
                "first let the Gemfile allow {target}: it asks for {name} {asked} (line {line})"
            )),
            Some(who) => {
                lines.push(format!(
                    "{who} asks for {name} {asked} (line {line}) and has to give way"
                ));
                if !gems.iter().any(|known| known == who) {
                    gems.push((*who).to_owned());
                }
            }
        }
    }
    lines.push(format!("bundle update --conservative {}", gems.join(" ")));
    lines
}

/// `4 112 B per call of …, measured on 3.14.2`.
pub(super) fn measured(advisory: &Advisory) -> Option<String> {
    let measured = advisory.measured.as_ref()?;
    let bytes = measured.bytes_per_call;
    let bytes = if bytes < 100.0 {
        format!("{bytes:.0} B")
    } else {
        format!("{} B", grouped(bytes.round() as u64))
    };
    Some(format!(
        "{bytes} per call of {}, measured on {}",
        measured.call, measured.version
    ))
}

/// `native memory`.
pub(super) fn nature(nature: Nature) -> &'static str {
    match nature {
        Nature::Native => "native memory",
        Nature::Threads => "threads",
        Nature::Descriptors => "file descriptors",
        Nature::UnboundedCache => "a cache without bound",
        Nature::Retention => "Ruby objects",
        Nature::ExternalStore => "memory of another process",
    }
}

/// The key of a nature in JSON.
pub(super) fn nature_key(nature: Nature) -> &'static str {
    match nature {
        Nature::Native => "native",
        Nature::Threads => "threads",
        Nature::Descriptors => "descriptors",
        Nature::UnboundedCache => "unbounded_cache",
        Nature::Retention => "retention",
        Nature::ExternalStore => "external_store",
    }
}

/// Why nothing can be said of a gem that is no release.
pub(super) fn unknown(unknown: &Unknown<'_>) -> String {
    let gem = unknown.gem;
    let source = unknown.source;
    let mut from = source.option("remote").unwrap_or("elsewhere").to_owned();
    if let Some(revision) = source.option("revision") {
        from.push_str(&format!(" at {}", revision.get(..7).unwrap_or(revision)));
    }
    let ids: Vec<&str> = unknown
        .would_leak
        .iter()
        .map(|advisory| advisory.id.as_str())
        .collect();
    let release = if ids.is_empty() {
        format!("the release {} does not", gem.version)
    } else {
        format!("the release {} does ({})", gem.version, ids.join(", "))
    };
    format!(
        "{} {} (line {}) is from {from}: whether that code leaks is not known; {release}",
        gem.name, gem.version, gem.line
    )
}
