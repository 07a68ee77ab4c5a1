//! Findings as a hunt wrote them down, as cards with pictures.

use super::Wish;
use super::parts::{array, count, left, right, text};
use rbleak_report::{
    Bar, Bars, Card, Finding, Grid, Measure, Path, PathStep, Picture, Quantity, Row, Section,
    Source, SourceLine, Table, Value,
};
use rbleak_units::{Bytes, grouped};

/// Sites of a card at most.
const MOST_SITES: usize = 12;
/// Bars of a histogram at most: more generations share them.
const MOST_BARS: usize = 60;
/// Steps of a way at most.
const MOST_STEPS: usize = 24;

/// The cards, and how many were left out.
pub(super) fn cards(findings: &Value, per: &str, wish: &Wish) -> (Vec<Card>, usize) {
    let all = array(findings);
    let shown = all.iter().take(wish.findings);
    let cards: Vec<Card> = shown.map(|finding| card(finding, per)).collect();
    let left_out = all.len() - cards.len();
    (cards, left_out)
}

/// One finding, of the data that `findings` of a hunt has.
pub(super) fn card(data: &Value, per: &str) -> Card {
    let rate = data["bytes_per_request"]
        .as_f64()
        .filter(|rate| rate.is_finite());
    let title = match text(&data["title"]) {
        none if none.is_empty() => text(&data["holder"]),
        title => title,
    };
    let mut pictures = vec![Picture::Path(path(data))];
    pictures.extend(source(&data["source"]).map(Picture::Source));
    pictures.extend(sites(data, per).map(Picture::Grid));
    pictures.extend(generations(&data["generations"]).map(Picture::Bars));
    Card {
        figure: figure(data, rate, per),
        share: data["share"].as_f64(),
        pictures,
        finding: Finding {
            summary: match text(&data["summary"]) {
                none if none.is_empty() => summary(data),
                summary => summary,
            },
            title,
            sections: sections(data),
            data: data.clone(),
        },
    }
}

/// What each request leaves; of the endpoint that leaves most, where it is known.
fn figure(data: &Value, rate: Option<f64>, per: &str) -> String {
    let first = &data["by_endpoint"][0];
    let of_endpoint = first["bytes_per_request"].as_f64();
    let words = |rate: f64, per: &str| format!("{} per {per}", Bytes(rate.round().max(0.0) as u64));
    match (of_endpoint, first["endpoint"].as_str(), rate) {
        (Some(rate), Some(endpoint), _) => words(rate, &format!("request of {endpoint}")),
        (_, _, Some(rate)) => words(rate, per),
        _ => String::new(),
    }
}

/// Runs of older versions have no summary.
fn summary(data: &Value) -> String {
    match (data["bytes"].as_u64(), data["objects"].as_u64()) {
        (Some(bytes), Some(objects)) => {
            format!("{} in {} new objects", Bytes(bytes), grouped(objects))
        }
        _ => String::new(),
    }
}

fn path(data: &Value) -> Path {
    let step = |step: &Value| PathStep {
        edge: step["edge"].as_str().map(str::to_owned),
        node: text(&step["object"]),
    };
    let mut steps: Vec<PathStep> = array(&data["steps"])
        .iter()
        .take(MOST_STEPS)
        .map(step)
        .collect();
    if steps.is_empty() {
        // Of older runs only the words are kept.
        let words = text(&data["path"]);
        let parts = words.split(" → ").take(MOST_STEPS);
        let step = |node: &str| PathStep {
            edge: None,
            node: node.to_owned(),
        };
        steps = parts.map(step).collect();
    }
    Path {
        label: "held by".to_owned(),
        steps,
    }
}

fn source(data: &Value) -> Option<Source> {
    let line = data["line"].as_u64()?;
    let lines: Vec<SourceLine> = array(&data["lines"])
        .iter()
        .filter_map(|found| {
            let number = u32::try_from(found["number"].as_u64()?).ok()?;
            Some(SourceLine {
                number,
                text: text(&found["text"]),
                is_meant: u64::from(number) == line,
            })
        })
        .collect();
    (!lines.is_empty()).then(|| Source {
        label: "source".to_owned(),
        place: format!("{}:{line} when it was hunted", text(&data["file"])),
        lines,
    })
}

fn sites(data: &Value, per: &str) -> Option<Grid> {
    let all = array(&data["sites"]);
    let shown = &all[..all.len().min(MOST_SITES)];
    let (mut rows, mut measures) = (Vec::new(), Vec::new());
    for site in shown {
        let rate = site["objects_per_request"].as_f64().unwrap_or(0.0);
        let (objects, bytes) = (count(&site["objects"]), count(&site["bytes"]));
        let place = match (site["file"].as_str(), site["line"].as_u64()) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            _ => "(no allocation site)".to_owned(),
        };
        rows.push(Row {
            cells: vec![
                place,
                text(&site["class"]),
                format!("{rate:.2}"),
                Bytes(bytes / objects.max(1)).to_string(),
                grouped(objects),
                Bytes(bytes).to_string(),
            ],
            data: site.clone(),
        });
        measures.push(vec![
            None,
            None,
            Some(Measure::exact(rate)),
            Some(Measure::exact(bytes as f64 / objects.max(1) as f64)),
            Some(Measure::exact(objects as f64)),
            Some(Measure::exact(bytes as f64)),
        ]);
    }
    (!rows.is_empty()).then(|| Grid {
        table: Table {
            key: "sites".to_owned(),
            title: Some("allocated at".to_owned()),
            columns: vec![
                left("line"),
                left("class"),
                right(&format!("per {per}")),
                right("each"),
                right("objects"),
                right("bytes"),
            ],
            rows,
            left_out: all.len() - shown.len(),
        },
        measures,
    })
}

/// When the objects were born. What leaks is of all generations alike.
fn generations(data: &Value) -> Option<Bars> {
    let born: Vec<(u64, u64)> = array(data)
        .iter()
        .filter_map(|one| Some((one["generation"].as_u64()?, one["objects"].as_u64()?)))
        .collect();
    let (first, last) = match born.as_slice() {
        [(first, _), .., (last, _)] if last > first => (*first, *last),
        _ => return None,
    };
    // Of a file that anybody may have written: nothing overflows.
    let span = (last - first).saturating_add(1);
    let width = span.div_ceil(MOST_BARS as u64);
    let bars = (0..span.div_ceil(width)).map(|at| {
        let from = first.saturating_add(at.saturating_mul(width));
        let to = from.saturating_add(width - 1).min(last);
        let within = born
            .iter()
            .filter(|(generation, _)| (from..=to).contains(generation));
        Bar {
            label: match from == to {
                true => format!("generation {from}"),
                false => format!("generations {from} to {to}"),
            },
            value: within.map(|(_, objects)| *objects as f64).sum(),
        }
    });
    Some(Bars {
        label: "born in".to_owned(),
        lead: "new objects by the collection before which they were born: what leaks goes on to the last".to_owned(),
        quantity: Quantity::Count,
        bars: bars.collect(),
    })
}

fn sections(data: &Value) -> Vec<Section> {
    let mut sections = Vec::new();
    let arrows = |values: &Value, words: &dyn Fn(u64) -> String| -> Option<String> {
        let all: Option<Vec<String>> = array(values)
            .iter()
            .map(|v| v.as_u64().map(words))
            .collect();
        all.filter(|all| !all.is_empty()).map(|all| all.join(" → "))
    };
    let objects = arrows(&data["objects_by_dump"], &grouped);
    let bytes = arrows(&data["bytes_by_dump"], &|bytes| Bytes(bytes).to_string());
    if let (Some(objects), Some(bytes)) = (objects, bytes) {
        let trend = match text(&data["trend"]).replace('_', " ") {
            none if none.is_empty() => String::new(),
            trend => format!(": {trend}"),
        };
        let lines = [format!("{objects} new objects, {bytes}{trend}")];
        sections.push(Section::new("in dumps", lines));
    }
    if let Some(entries) = arrows(&data["entries_by_dump"], &grouped) {
        sections.push(Section::new("entries", [format!("{entries} in the dumps")]));
    }
    if let Some(lengths) = arrows(&data["lengths_by_dump"], &grouped) {
        sections.push(Section::new("length", [format!("{lengths} in the dumps")]));
    }
    let by = array(&data["by_endpoint"]).iter().map(|one| {
        let figure = |key: &str| one[key].as_f64().unwrap_or(0.0);
        format!(
            "{}: {:.2} objects, {} with each of its requests",
            text(&one["endpoint"]),
            figure("objects_per_request"),
            Bytes(figure("bytes_per_request").round().max(0.0) as u64)
        )
    });
    let by: Vec<String> = by.collect();
    if !by.is_empty() {
        sections.push(Section::new("by endpoint", by));
    }
    let caveats: Vec<String> = array(&data["caveats"]).iter().map(text).collect();
    if !caveats.is_empty() {
        sections.push(Section::new("unless", caveats));
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbleak_report::json;

    #[test]
    fn a_finding_of_an_older_run_is_told_all_the_same() {
        let card = card(
            &json!({ "holder": "A::B", "path": "A::B → Array (3) → String", "objects": 3, "bytes": 120 }),
            "request",
        );
        assert_eq!(card.finding.title, "A::B");
        assert_eq!(card.finding.summary, "120 B in 3 new objects");
        let Picture::Path(path) = &card.pictures[0] else {
            panic!("no path");
        };
        assert_eq!(path.steps.len(), 3);
        assert_eq!(card.figure, "");
    }

    #[test]
    fn many_generations_share_bars_and_none_is_lost() {
        let born: Vec<Value> = (100..1000)
            .map(|generation| json!({ "generation": generation, "objects": 2 }))
            .collect();
        let bars = generations(&json!(born)).unwrap();
        assert!(bars.bars.len() <= MOST_BARS);
        assert_eq!(bars.bars.iter().map(|bar| bar.value).sum::<f64>(), 1800.0);
        assert_eq!(bars.bars[0].label, "generations 100 to 114");
        let far =
            json!([{ "generation": 0, "objects": 1 }, { "generation": u64::MAX, "objects": 1 }]);
        assert!(generations(&far).is_some_and(|bars| bars.bars.len() <= MOST_BARS));
        // One generation is no histogram.
        assert!(generations(&json!([{ "generation": 1, "objects": 2 }])).is_none());
    }
}
