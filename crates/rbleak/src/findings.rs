//! Findings: what holds what grows, in words. The same for a hunt and for a
//! diff of dumps; what a rate is per, the caller says.

use crate::held::{Place, Ranked, RankedSite, Trend};
use crate::sources::Sources;
use rbleak_heap::trace::{Grower, HolderName, Step};
use rbleak_report::{Align, Column, Finding, Line, Row, Section, SourceLine, Table, Value, json};
use rbleak_units::{Bytes, grouped};

/// How findings are worded.
pub(crate) struct Words<'a> {
    /// Paths and source lines.
    pub(crate) sources: &'a Sources,
    /// What a rate is per: `request`, `call`, `dump`.
    pub(crate) per: &'a str,
}

/// Sites shown for each finding.
const MAX_SITES: usize = 6;
/// Lines of source kept before and after the one meant.
const AROUND: u32 = 4;

/// A holder whose content grows.
pub(crate) fn finding(words: &Words<'_>, ranked: &Ranked) -> Finding {
    let (sources, per) = (words.sources, words.per);
    let title = sources.shorten_within(&ranked.holder.name.to_string());
    let summary = format!(
        "holds {:.0} % of the growth: {} per {per}, {} in {} objects",
        ranked.share * 100.0,
        Bytes(ranked.bytes_per.round() as u64),
        ranked.holder.bytes,
        ranked.holder.objects,
    );
    let path = path_words(words, &ranked.holder.name, &ranked.holder.path);
    let mut sections = vec![
        Section::new("allocated", site_lines(words, ranked)),
        Section::new("held by", [path.clone()]),
        Section::new("in dumps", [dumps_line(ranked)]),
    ];
    let mut caveats = Vec::new();
    // Nothing tells an unbounded Hash from a cache far from its bound.
    if let (true, Some(Some(entries))) = (ranked.is_hash, ranked.holder.lengths.last()) {
        caveats.push((
            "unless",
            format!(
                "it is a cache bounded above {} entries, which would still be filling{}",
                grouped(*entries),
                if per == "dump" {
                    ""
                } else {
                    " (--min-rounds N)"
                }
            ),
        ));
    }
    // Only what did not stop is a finding.
    if let Some(row) = ranked.holder.benign
        && ranked.trend == Trend::Growing
    {
        let but = match is_series(ranked) {
            true => "but here it went on from dump to dump",
            false => "which takes a third dump to tell",
        };
        caveats.push((
            "known",
            format!(
                "{}: ordinarily that stops ({}), {but}",
                row.what, row.reason
            ),
        ));
    }
    let of_caveat = |(label, text): &(&str, String)| Section::new(label, [text.clone()]);
    sections.extend(caveats.iter().map(of_caveat));
    let main = ranked
        .sites
        .iter()
        .find_map(|site| site.place.as_ref().filter(|place| place.in_app));
    if let Some(place) = main {
        let lines: Vec<Line> = sources
            .excerpt(&place.file, place.line)
            .into_iter()
            .map(|(text, emphasis)| Line { text, emphasis })
            .collect();
        if !lines.is_empty() {
            sections.push(Section {
                label: "source".to_owned(),
                lines,
            });
        }
    }
    Finding {
        data: json!({
            "holder": title,
            "path": path,
            "steps": steps_data(words, &ranked.holder.name, &ranked.holder.path),
            "share": ranked.share,
            "objects": ranked.holder.objects.0,
            "bytes": ranked.holder.bytes.0,
            "objects_per_request": ranked.objects_per,
            "bytes_per_request": ranked.bytes_per,
            "known_growth": ranked.holder.benign.map(|row| row.id),
            "trend": trend_data(ranked),
            "objects_by_dump": sums(ranked, |born| born.0),
            "bytes_by_dump": sums(ranked, |born| born.1),
            "entries_by_dump": ranked.holder.lengths,
            "accumulators": ranked.holder.accumulators.len(),
            "merged_paths": ranked.holder.paths,
            "born_objects_by_dump": ranked.holder.born.iter().map(|b| b.0).collect::<Vec<_>>(),
            "sites": ranked.sites.iter().map(|site| site_data(sources, site)).collect::<Vec<_>>(),
            "generations": ranked.holder.generations.iter().map(|(generation, (objects, bytes))| {
                json!({ "generation": generation.0, "objects": objects, "bytes": bytes })
            }).collect::<Vec<_>>(),
            "caveats": caveats.iter().map(|(_, text)| text).collect::<Vec<_>>(),
            "source": main.map(|place| source_data(sources, place)),
        }),
        title,
        summary,
        sections,
    }
}

/// What was new by each dump, and how it went: `0 → 40 → 80 objects, 0 → 3 kB →
/// 6 kB: growing`.
fn dumps_line(ranked: &Ranked) -> String {
    let objects = sums(ranked, |born| born.0).into_iter().map(grouped);
    let bytes = sums(ranked, |born| born.1).into_iter();
    let bytes = bytes.map(|sum| Bytes(sum).to_string());
    let joined = |parts: Vec<String>| parts.join(" → ");
    let mut line = format!(
        "{} objects, {}",
        joined(objects.collect()),
        joined(bytes.collect())
    );
    if is_series(ranked) {
        line.push_str(&format!(": {}", ranked.trend.words()));
    }
    line
}

/// Two dumps have no trend.
fn trend_data(ranked: &Ranked) -> Value {
    match is_series(ranked) {
        true => json!(ranked.trend.words().replace(' ', "_")),
        false => Value::Null,
    }
}

/// Whether there are enough dumps for a trend.
fn is_series(ranked: &Ranked) -> bool {
    ranked.holder.born.len() > 2
}

/// How much of what is new since the first dump was there in each.
fn sums(ranked: &Ranked, of: impl Fn(&(u64, u64)) -> u64) -> Vec<u64> {
    let mut sum = 0;
    let born = ranked.holder.born.iter();
    born.map(|born| {
        sum += of(born);
        sum
    })
    .collect()
}

/// Growth that is known to stop: named, and no finding.
pub(crate) fn known_table(words: &Words<'_>, known: &[Ranked]) -> Option<Table> {
    let row = |ranked: &Ranked| {
        let row = ranked.holder.benign?;
        let path = path_words(words, &ranked.holder.name, &ranked.holder.path);
        Some(Row {
            cells: vec![
                ranked.holder.bytes.to_string(),
                ranked.holder.objects.to_string(),
                match is_series(ranked) {
                    true => ranked.trend.words().to_owned(),
                    false => String::new(),
                },
                format!("{}: {}", row.what, row.reason),
            ],
            data: json!({
                "known_growth": row.id,
                "what": row.what,
                "reason": row.reason,
                "holder": words.sources.shorten_within(&ranked.holder.name.to_string()),
                "path": path,
                "trend": trend_data(ranked),
                "objects": ranked.holder.objects.0,
                "bytes": ranked.holder.bytes.0,
                "objects_by_dump": sums(ranked, |born| born.0),
            }),
        })
    };
    let rows: Vec<Row> = known.iter().filter_map(row).collect();
    let column = |heading: &str, align| Column {
        heading: heading.to_owned(),
        align,
    };
    (!rows.is_empty()).then(|| Table {
        key: "known_growth".to_owned(),
        title: Some("known to fill and stop, and no finding".to_owned()),
        columns: vec![
            column("bytes", Align::Right),
            column("objects", Align::Right),
            column("", Align::Left),
            column("what", Align::Left),
        ],
        rows,
        left_out: 0,
    })
}

/// An object that grows in place.
pub(crate) fn grower_finding(words: &Words<'_>, grower: &Grower, span: u64) -> Finding {
    let per = words.per;
    let title = words.sources.shorten_within(&grower.name.to_string());
    let path = path_words(words, &grower.name, &grower.path);
    let rate = grower.bytes as f64 / span.max(1) as f64;
    let lengths: Vec<String> = grower
        .lengths
        .iter()
        .map(|&length| grouped(length))
        .collect();
    Finding {
        summary: format!("gets longer: {} per {per}", Bytes(rate.round() as u64)),
        sections: vec![
            Section::new("length", [format!("{} in the dumps", lengths.join(" → "))]),
            Section::new("held by", [path.clone()]),
        ],
        data: json!({
            "holder": title,
            "path": path,
            "steps": steps_data(words, &grower.name, &grower.path),
            "lengths_by_dump": grower.lengths,
            "bytes_per_request": rate,
        }),
        title,
    }
}

pub(crate) fn path_words(words: &Words<'_>, name: &HolderName, path: &[Step]) -> String {
    let mut parts = Vec::new();
    match name {
        HolderName::Named(name) | HolderName::Thread(name) | HolderName::Root(name) => {
            parts.push(name.clone());
        }
        // Their first step says the same.
        HolderName::Closure(_) | HolderName::Instance(_) | HolderName::Module(_) => {}
    }
    for step in path {
        parts.extend(step.edge.clone());
        parts.push(step.object.clone());
    }
    words.sources.shorten_within(&parts.join(" → "))
}

/// The same way for machines, from the name on.
fn steps_data(words: &Words<'_>, name: &HolderName, path: &[Step]) -> Value {
    let step = |edge: Option<&str>, object: &str| json!({ "edge": edge, "object": words.sources.shorten_within(object) });
    let first = match name {
        HolderName::Named(name) | HolderName::Thread(name) | HolderName::Root(name) => Some(name),
        HolderName::Closure(_) | HolderName::Instance(_) | HolderName::Module(_) => None,
    };
    let first = first.map(|name| step(None, name));
    let rest = path.iter();
    let rest = rest.map(|found| step(found.edge.as_deref(), &found.object));
    first.into_iter().chain(rest).collect()
}

/// The source around a place as it is now: whoever shows a run later cannot know
/// whether the file is still the same.
fn source_data(sources: &Sources, place: &Place) -> Value {
    let lines = sources.lines(&place.file, place.line, AROUND);
    // Empty lines at the ends say nothing.
    let is_said = |line: &SourceLine| line.is_meant || !line.text.trim().is_empty();
    let first = lines.iter().position(is_said).unwrap_or(0);
    let end = lines.iter().rposition(is_said).map_or(0, |last| last + 1);
    let lines = lines[first.min(end)..end]
        .iter()
        .map(|line| json!({ "number": line.number, "text": line.text }));
    json!({
        "file": sources.shorten(&place.file),
        "line": place.line,
        "lines": lines.collect::<Vec<_>>(),
    })
}

fn site_lines(words: &Words<'_>, ranked: &Ranked) -> Vec<String> {
    let per = words.per;
    let place = |site: &RankedSite| match &site.place {
        Some(place) => format!("{}:{}", words.sources.shorten(&place.file), place.line),
        None => "(no allocation site)".to_owned(),
    };
    let shown = &ranked.sites[..ranked.sites.len().min(MAX_SITES)];
    let wide = |text: &dyn Fn(&RankedSite) -> usize| shown.iter().map(text).max().unwrap_or(0);
    let (places, classes) = (
        wide(&|site| place(site).chars().count()),
        wide(&|site| site.class.chars().count()),
    );
    let mut lines: Vec<String> = shown
        .iter()
        .map(|site| {
            format!(
                "{:<places$}  {:<classes$}  {:>6.2}/{per}  {:>7}",
                place(site),
                site.class,
                site.objects_per,
                Bytes(site.bytes_each.round() as u64).to_string(),
            )
        })
        .collect();
    if ranked.sites.len() > shown.len() {
        lines.push(format!(
            "… and {} more sites",
            ranked.sites.len() - shown.len()
        ));
    }
    lines
}

fn site_data(sources: &Sources, site: &RankedSite) -> Value {
    let place = |get: &dyn Fn(&Place) -> Value| site.place.as_ref().map_or(Value::Null, get);
    json!({
        "file": place(&|p| json!(sources.shorten(&p.file))),
        "line": place(&|p| json!(p.line)),
        "method": place(&|p| json!(p.method)),
        "in_app": place(&|p| json!(p.in_app)),
        "class": site.class,
        "objects": site.objects,
        "bytes": site.bytes,
        "objects_per_request": site.objects_per,
    })
}
