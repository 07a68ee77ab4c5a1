//! Tables of a report: endpoints, what levelled off, gems, dumps.

use super::Wish;
use super::figures::range;
use super::parts::{array, count, interval, left, right, text};
use crate::rates::signed_bytes;
use crate::run::Manifest;
use rbleak_report::{Grid, Measure, Quantity, Row, Table, Value, json};
use rbleak_units::{Bytes, Interval, grouped};

/// Endpoints with their rates; `None` where there was but one.
pub(super) fn endpoints(tables: &Value, wish: &Wish) -> Option<Grid> {
    let all = array(&tables["endpoints"]["rows"]);
    let shown = &all[..all.len().min(wish.rows)];
    let has_shares = all.iter().any(|row| row["share"].is_number());
    let mut columns = vec![left("endpoint"), left("verdict")];
    if has_shares {
        columns.push(right("share"));
    }
    columns.extend([
        right("objects per request (95 %)"),
        right("bytes of objects per request (95 %)"),
        left("held by"),
    ]);
    let (mut rows, mut measures) = (Vec::new(), Vec::new());
    for row in shown {
        let (objects, bytes) = (
            &row["objects_per_request"],
            &row["object_bytes_per_request"],
        );
        let (objects, bytes) = (interval(objects), interval(bytes));
        let verdict = match row["cause"].as_str() {
            Some("nothing") => "flat",
            Some("undecided") => "not told",
            Some("ruby_objects") => "leaks objects",
            Some("ruby_bytes") => "grows in place",
            Some("native") => "leaks native memory",
            _ => "",
        };
        let mut cells = vec![text(&row["endpoint"]), verdict.to_owned()];
        let mut measured = vec![None, None];
        if has_shares {
            let share = row["share"].as_f64();
            cells.push(share.map_or(String::new(), |share| format!("{:.1} %", 100.0 * share)));
            measured.push(share.map(Measure::exact));
        }
        cells.extend([
            rate(objects, Quantity::Count),
            rate(bytes, Quantity::Bytes),
            text(&row["holder"]),
        ]);
        measured.extend([objects.map(measure), bytes.map(measure)]);
        rows.push(Row {
            cells,
            data: row.clone(),
        });
        measures.push(measured);
    }
    (!rows.is_empty()).then(|| Grid {
        table: Table {
            key: "endpoints".to_owned(),
            title: None,
            columns,
            left_out: (all.len() - rows.len())
                .saturating_add(count(&tables["endpoints"]["left_out"]) as usize),
            rows,
        },
        measures,
    })
}

fn measure(rate: Interval) -> Measure {
    Measure {
        estimate: rate.estimate,
        interval: Some((rate.low, rate.high)),
    }
}

fn rate(rate: Option<Interval>, quantity: Quantity) -> String {
    let Some(rate) = rate else {
        return "not known".to_owned();
    };
    let estimate = match quantity {
        Quantity::Count => format!("{:.2}", (rate.estimate * 100.0).round() / 100.0 + 0.0),
        _ => signed_bytes(rate.estimate)
            .trim_start_matches('+')
            .to_owned(),
    };
    format!("{estimate} ({})", range(quantity, rate))
}

/// What grew and stopped.
pub(super) fn levelled(facts: &Value, wish: &Wish) -> Option<Table> {
    let all = array(&facts["levelled_off"]);
    let row = |one: &Value| {
        let (what, many) = match one["objects"].as_u64() {
            Some(objects) => ("new objects".to_owned(), grouped(objects)),
            None => (text(&one["class"]), grouped(count(&one["entries_after"]))),
        };
        Row {
            cells: vec![
                text(&one["holder"]),
                match one["objects"].as_u64() {
                    Some(_) => what,
                    None => format!("{what}, entries"),
                },
                many,
            ],
            data: one.clone(),
        }
    };
    let rows: Vec<Row> = all.iter().take(wish.rows).map(row).collect();
    (!rows.is_empty()).then(|| Table {
        key: "levelled_off".to_owned(),
        title: None,
        columns: vec![left("holder"), left("of what"), right("at the end")],
        left_out: all.len() - rows.len(),
        rows,
    })
}

/// Growth that is known to stop.
pub(super) fn known(tables: &Value, wish: &Wish) -> Option<Table> {
    let all = array(&tables["known_growth"]["rows"]);
    let row = |one: &Value| Row {
        cells: vec![
            text(&one["what"]),
            Bytes(count(&one["bytes"])).to_string(),
            grouped(count(&one["objects"])),
            text(&one["trend"]).replace('_', " "),
            text(&one["reason"]),
        ],
        data: one.clone(),
    };
    let rows: Vec<Row> = all.iter().take(wish.rows).map(row).collect();
    (!rows.is_empty()).then(|| Table {
        key: "known_growth".to_owned(),
        title: Some("known to fill and stop, and no finding".to_owned()),
        columns: vec![
            left("what"),
            right("bytes"),
            right("objects"),
            left("trend"),
            left("why it stops"),
        ],
        left_out: all.len() - rows.len(),
        rows,
    })
}

/// Gems that are known to leak.
pub(super) fn gems(facts: &Value, wish: &Wish) -> Option<Table> {
    let all = array(&facts["gems"]["leaking"]);
    let row = |one: &Value| {
        let ids: Vec<String> = array(&one["advisories"]).iter().map(text).collect();
        Row {
            cells: vec![text(&one["gem"]), text(&one["version"]), ids.join(", ")],
            data: one.clone(),
        }
    };
    let rows: Vec<Row> = all.iter().take(wish.rows).map(row).collect();
    (!rows.is_empty()).then(|| Table {
        key: "gems".to_owned(),
        title: Some("gems known to leak".to_owned()),
        columns: vec![left("gem"), left("version"), left("advisories")],
        left_out: all.len() - rows.len(),
        rows,
    })
}

/// What was not requested.
pub(super) fn skipped(facts: &Value, wish: &Wish) -> Option<Table> {
    let all = array(&facts["skipped"]);
    let row = |one: &Value| Row {
        cells: vec![text(&one["endpoint"]), text(&one["why"])],
        data: one.clone(),
    };
    let rows: Vec<Row> = all.iter().take(wish.rows).map(row).collect();
    (!rows.is_empty()).then(|| Table {
        key: "skipped".to_owned(),
        title: Some("not requested".to_owned()),
        columns: vec![left("endpoint"), left("why")],
        left_out: all.len() - rows.len(),
        rows,
    })
}

/// The dumps of a run.
pub(super) fn dumps(manifest: &Manifest) -> Option<Table> {
    let is_hunt = manifest.capture.is_none();
    let rows = manifest.dumps.iter().map(|dump| {
        let when = match (&dump.cost, is_hunt) {
            (Some(cost), _) => format!("{} · paused {:.0} ms", cost.at, cost.pause_ms),
            (None, true) => format!("after {} requests", grouped(dump.requests)),
            (None, false) => String::new(),
        };
        Row {
            cells: vec![
                dump.label.clone(),
                dump.file.clone(),
                Bytes(dump.file_bytes).to_string(),
                when,
            ],
            data: json!({
                "label": dump.label,
                "file": dump.file,
                "file_bytes": dump.file_bytes,
                "requests": dump.requests,
            }),
        }
    });
    let rows: Vec<Row> = rows.collect();
    (!rows.is_empty()).then(|| Table {
        key: "dumps".to_owned(),
        title: Some("heap dumps".to_owned()),
        columns: vec![left("dump"), left("file"), right("size"), left("taken")],
        rows,
        left_out: 0,
    })
}
