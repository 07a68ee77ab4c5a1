//! What an audit found, as a document.

use super::data::Data;
use super::words;
use jiff::civil::Date;
use rbleak_audit::advisory::Certainty;
use rbleak_audit::lockfile::Lockfile;
use rbleak_audit::matching::{AdvisoryMatch, Audit, Leak, Matched, Remedy};
use rbleak_audit::{Ignore, RubyVersion};
use rbleak_report::{
    Annotation, Block, Document, Fact, Finding, Level, Line, Note, Rule, Section, Tone, Value,
    Verdict, json,
};
use rbleak_units::grouped;

/// What the document is made of.
pub(crate) struct Told<'a> {
    pub(crate) lockfile: &'a Lockfile,
    /// As it is shown.
    pub(crate) name: &'a str,
    /// As services that look at the sources name it.
    pub(crate) place: String,
    pub(crate) ruby: Option<&'a RubyVersion>,
    pub(crate) data: &'a Data,
    pub(crate) audit: &'a Audit<'a>,
    pub(crate) today: Date,
    /// Show all leaks of everything.
    pub(crate) all: bool,
}

/// Leaks shown of each gem; Ruby has dozens.
const MAX_LEAKS: usize = 4;

/// Builds the document.
pub(crate) fn document(told: &Told<'_>) -> Document {
    let mut document = Document::new("rbleak/audit/v1");
    document.push(Block::Facts(head(told)));
    document.push(Block::Verdict(verdict(told)));
    let findings: Vec<Finding> = told
        .audit
        .found
        .iter()
        .map(|found| finding(told, found))
        .collect();
    if !findings.is_empty() {
        document.push(Block::Findings(findings));
    }
    notes(told, &mut document);
    document.annotations = told
        .audit
        .found
        .iter()
        .flat_map(|found| found.leaks.iter().map(|leak| annotation(told, found, leak)))
        .collect();
    document
}

fn head(told: &Told<'_>) -> Vec<Fact> {
    let mut words = vec![told.name.to_owned(), count(told.audit.gems, "gem")];
    words.extend(told.ruby.map(|ruby| match ruby.engine.as_str() {
        "ruby" => format!("Ruby {}", ruby.to_string().trim_start_matches("ruby ")),
        _ => ruby.to_string(),
    }));
    let lockfile = Fact::new(
        "lockfile",
        words.join(" · "),
        json!({
            "path": told.name,
            "gems": told.audit.gems,
            "ruby": told.ruby.map(ToString::to_string),
        }),
    );
    let date = told.data.date;
    let of = date.map_or("of no known day".to_owned(), |date| {
        format!("of {date} ({})", words::age(date, told.today))
    });
    let many = told.data.database.len();
    let mut advisories = Fact::new(
        "advisories",
        format!("{} {of}, {}", grouped(many as u64), told.data.origin),
        json!({
            "count": many,
            "date": date.map(|date| date.to_string()),
            "age_days": date.map(|date| words::days(date, told.today)),
            "origin": told.data.origin,
        }),
    );
    // A month is what a database of leaks may well be behind.
    if date.is_some_and(|date| words::days(date, told.today) > 30) {
        advisories = advisories.hint("rbleak audit --update");
    }
    vec![lockfile, advisories]
}

fn verdict(told: &Told<'_>) -> Verdict {
    let audit = told.audit;
    let gems = audit
        .found
        .iter()
        .filter(|found| !found.what.is_ruby())
        .count();
    let ruby = audit.found.iter().find(|found| found.what.is_ruby());
    let data = json!({
        "gems": audit.gems,
        "leaking_gems": gems,
        "ruby_leaks": ruby.is_some(),
        "not_applicable": audit.found.iter().chain(&audit.passed_over).flat_map(|found| {
            found.excluded.iter().map(|excluded| json!({
                "name": found.what.name(),
                "version": found.what.version(),
                "id": excluded.advisory.id,
                "because": excluded.because,
            }))
        }).collect::<Vec<_>>(),
        "unknown": audit.unknown.iter().map(|unknown| json!({
            "name": unknown.gem.name,
            "version": unknown.gem.version.as_str(),
            "line": unknown.gem.line,
            "source": unknown.source.option("remote"),
            "revision": unknown.source.option("revision"),
            "release_leaks": unknown.would_leak.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "ignored": audit.found.iter().chain(&audit.passed_over).flat_map(|found| {
            found.ignored.iter().map(|(leak, ignore)| json!({
                "name": found.what.name(),
                "version": found.what.version(),
                "id": leak.advisory.id,
                "reason": ignore.reason,
                "until": ignore.until.map(|until| until.to_string()),
            }))
        }).collect::<Vec<_>>(),
        "unused_ignores": ids(&audit.unused),
        "expired_ignores": ids(&audit.expired),
    });
    let of = count(audit.gems, "gem");
    let (is, are) = ("is known to leak", "are known to leak");
    let headline = match (gems, ruby) {
        (0, None) => format!("none of {of} {is}"),
        (0, Some(ruby)) => format!("none of {of}, but {} {is}", title(ruby)),
        (1, None) => format!("1 of {of} {is}"),
        (1, Some(ruby)) => format!("1 of {of} and {} {are}", title(ruby)),
        (many, None) => format!("{many} of {of} {are}"),
        (many, Some(ruby)) => format!("{many} of {of} and {} {are}", title(ruby)),
    };
    let clean = audit.found.is_empty();
    Verdict {
        word: if clean {
            "NO KNOWN LEAK"
        } else {
            "KNOWN LEAKS"
        }
        .to_owned(),
        tone: if clean { Tone::Good } else { Tone::Bad },
        headline,
        details: Vec::new(),
        data,
    }
}

fn ids(ignores: &[&Ignore]) -> Vec<String> {
    ignores.iter().map(|ignore| ignore.id.clone()).collect()
}

/// `oj 3.14.2`, `Ruby 3.1.7`.
fn title(found: &AdvisoryMatch<'_>) -> String {
    let name = match found.what.name() {
        "ruby" if found.what.is_ruby() => "Ruby",
        name => name,
    };
    format!("{name} {}", found.what.version())
}

fn finding(told: &Told<'_>, found: &AdvisoryMatch<'_>) -> Finding {
    let shown = if told.all { usize::MAX } else { MAX_LEAKS };
    let mut sections: Vec<Section> = found
        .leaks
        .iter()
        .take(shown)
        .map(|leak| leak_section(told, leak))
        .collect();
    let left = found.leaks.len().saturating_sub(shown);
    if left > 0 {
        sections.push(Section::new(
            "",
            [format!("… and {} (--all)", count(left, "more leak"))],
        ));
    }
    let excluded: Vec<String> = found
        .excluded
        .iter()
        .take(shown)
        .map(|excluded| {
            let (id, because) = (&excluded.advisory.id, &excluded.because);
            format!("{id} does not apply here because {because}")
        })
        .collect();
    if !excluded.is_empty() {
        sections.push(Section::new("not here", excluded));
    }
    if let Matched::Gem { way, .. } = &found.what {
        let way = match way.len() {
            0 => "the lockfile does not say".to_owned(),
            1 => format!("{} (the Gemfile asks for it)", way[0]),
            _ => way.join(" → "),
        };
        sections.push(Section::new("came in by", [way]));
    }
    let fix = words::fix(found);
    if !fix.is_empty() {
        sections.push(Section::new("fix", fix));
    }
    if let Some(line) = found.what.line() {
        sections.push(Section::new("line", [format!("{}:{line}", told.name)]));
    }
    let mut summary = words::remedy(&found.remedy);
    let open = found
        .leaks
        .iter()
        .filter(|leak| leak.advisory.fixed.is_empty())
        .count();
    if open > 0 && found.remedy != Remedy::Unknown {
        summary.push_str(&format!(" but for {open} without a fix"));
    }
    Finding {
        title: title(found),
        summary,
        sections,
        data: finding_data(found),
    }
}

/// What leaks, when, how much, under which condition, and where it is told.
fn leak_section(told: &Told<'_>, leak: &Leak<'_>) -> Section {
    let advisory = leak.advisory;
    let mut lines = vec![Line {
        text: advisory.title.clone(),
        emphasis: true,
    }];
    let mut plain = |text: String| lines.push(Line::plain(text));
    if let Some(trigger) = &advisory.trigger {
        plain(format!("when: {trigger}"));
    }
    if !leak.provided.is_empty() {
        plain(format!("only if {}", leak.provided.join(", and ")));
    }
    if let Some(measured) = words::measured(advisory) {
        plain(measured);
    }
    if told.all {
        plain(advisory.description.replace('\n', " "));
        if let Some(evidence) = &advisory.evidence {
            plain(format!(
                "certainty: {}: {evidence}",
                certainty(advisory.certainty)
            ));
        }
    }
    let nature = advisory
        .nature
        .map(|nature| format!("{} · ", words::nature(nature)));
    let nature = nature.unwrap_or_default();
    plain(format!("{nature}{} · {}", advisory.id, advisory.url));
    Section {
        label: "leaks".to_owned(),
        lines,
    }
}

fn finding_data(found: &AdvisoryMatch<'_>) -> Value {
    let (way, platforms, lines) = match &found.what {
        Matched::Gem { entries, way } => (
            json!(way),
            json!(
                entries
                    .iter()
                    .map(|gem| gem.platform.as_deref().unwrap_or("ruby"))
                    .collect::<Vec<_>>()
            ),
            json!(entries.iter().map(|gem| gem.line).collect::<Vec<_>>()),
        ),
        Matched::Ruby { line, .. } => (
            Value::Null,
            Value::Null,
            json!(line.iter().collect::<Vec<_>>()),
        ),
    };
    json!({
        "kind": if found.what.is_ruby() { "ruby" } else { "gem" },
        "name": found.what.name(),
        "version": found.what.version(),
        "fixed_in": match &found.remedy {
            Remedy::AtLeast(version) => json!(version.as_str()),
            _ => Value::Null,
        },
        "fixed_after": match &found.remedy {
            Remedy::After(version) => json!(version.as_str()),
            _ => Value::Null,
        },
        "fix": words::fix(found),
        "came_in_by": way,
        "platforms": platforms,
        "lines": lines,
        "leaks": found.leaks.iter().map(leak_data).collect::<Vec<_>>(),
    })
}

fn leak_data(leak: &Leak<'_>) -> Value {
    let advisory = leak.advisory;
    let ranges = |ranges: &[rbleak_audit::Requirement]| -> Vec<String> {
        ranges.iter().map(ToString::to_string).collect()
    };
    json!({
        "id": advisory.id,
        "title": advisory.title,
        "url": advisory.url,
        "description": advisory.description,
        "nature": advisory.nature.map(words::nature_key),
        "trigger": advisory.trigger,
        "only_if": leak.provided,
        "affected": ranges(&advisory.affected),
        "fixed": ranges(&advisory.fixed),
        "certainty": certainty(advisory.certainty),
        "evidence": advisory.evidence,
        "bytes_per_call": advisory.measured.as_ref().map(|measured| measured.bytes_per_call),
        "measured_call": advisory.measured.as_ref().map(|measured| measured.call.as_str()),
    })
}

fn certainty(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::High => "high",
        Certainty::Medium => "medium",
        Certainty::Low => "low",
    }
}

fn notes(told: &Told<'_>, document: &mut Document) {
    let audit = told.audit;
    for unknown in &audit.unknown {
        document.note(Note::warning(words::unknown(unknown)));
    }
    for found in &audit.passed_over {
        for excluded in &found.excluded {
            let (id, because) = (&excluded.advisory.id, &excluded.because);
            let title = title(found);
            document.note(Note::plain(format!(
                "{title}: {id} does not apply here because {because}"
            )));
        }
    }
    for found in audit.found.iter().chain(&audit.passed_over) {
        for (leak, ignore) in &found.ignored {
            let until = ignore.until.map(|until| format!(" until {until}"));
            let until = until.unwrap_or_default();
            let (id, reason, title) = (&leak.advisory.id, &ignore.reason, title(found));
            document.note(Note::plain(format!(
                "{title}: {id} is ignored{until}: {reason}"
            )));
        }
    }
    for ignore in &audit.expired {
        let until = ignore
            .until
            .map_or(String::new(), |until| until.to_string());
        document.note(Note::warning(format!(
            "the ignore of {} has expired on {until}: {}",
            ignore.id, ignore.reason
        )));
    }
    for ignore in &audit.unused {
        document.note(Note::warning(format!(
            "the ignore of {} is of no use any more: remove it from .rbleak.yml",
            ignore.id
        )));
    }
    if told.ruby.is_none() {
        document.note(Note::plain(
            "the lockfile does not say which Ruby runs it: --ruby VERSION audits that, too",
        ));
    }
    for (name, line) in &told.lockfile.unknown_sections {
        document.note(Note::warning(format!(
            "the section {name} (line {line}) is not known to rbleak, and was skipped"
        )));
    }
    if !told.lockfile.has_dependencies {
        document.note(Note::warning(
            "the lockfile has no DEPENDENCIES: it may have been cut",
        ));
    }
}

fn annotation(told: &Told<'_>, found: &AdvisoryMatch<'_>, leak: &Leak<'_>) -> Annotation {
    let advisory = leak.advisory;
    let mut message = advisory.title.clone();
    if !leak.provided.is_empty() {
        message.push_str(&format!(", if {}", leak.provided.join(", and ")));
    }
    message.push_str(&format!("; {}", words::remedy(&found.remedy)));
    if let Some(fix) = words::fix(found).last() {
        message.push_str(&format!(": {fix}"));
    }
    if let Matched::Gem { way, .. } = &found.what
        && way.len() > 1
    {
        message.push_str(&format!(". It came in by {}", way.join(" → ")));
    }
    Annotation {
        rule: Rule {
            id: advisory.id.clone(),
            summary: advisory.title.clone(),
            description: advisory.description.clone(),
            url: Some(advisory.url.clone()),
        },
        level: if leak.provided.is_empty() && advisory.certainty == Certainty::High {
            Level::Error
        } else {
            Level::Warning
        },
        title: title(found),
        message,
        file: Some(told.place.clone()),
        line: found.what.line(),
    }
}

fn count(many: usize, what: &str) -> String {
    let plural = if many == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(many as u64))
}
