//! The answer to a Prometheus range query: `/api/v1/query_range`, result type
//! `matrix`.

use super::units::Unit;
use super::{Format, Header, ReadOptions, Recording, RecordingError, Tracks, amount};
use crate::recording::table::{Figure, figure};
use crate::sample::Sample;
use serde_json::Value;

pub(super) fn read(text: &str, options: &ReadOptions) -> Result<Recording, RecordingError> {
    let root: Value = serde_json::from_str(text).map_err(|_| RecordingError::Unknown)?;
    let no_series = |why: &str| RecordingError::Prometheus {
        why: why.to_owned(),
    };
    let (Some(status), data) = (root["status"].as_str(), &root["data"]) else {
        return Err(RecordingError::Unknown);
    };
    if status != "success" {
        let why = root["error"].as_str().unwrap_or("it says that it failed");
        return Err(no_series(why));
    }
    if data["resultType"] != "matrix" {
        return Err(no_series("ask with query_range, not with query"));
    }
    let results = data["result"].as_array().map_or(&[][..], Vec::as_slice);
    if results.is_empty() {
        return Err(no_series("the query matched nothing in that time"));
    }
    let mut tracks = Tracks::default();
    let mut remarks = Vec::new();
    for (number, result) in results.iter().enumerate() {
        let metric = result["metric"]["__name__"].as_str().unwrap_or("memory");
        let unit = options.unit.unwrap_or(Unit::Bytes);
        let figure = figure(metric).unwrap_or(Figure::Rss);
        let name = name(&result["metric"], number, results.len());
        for (index, pair) in result["values"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            // There are no lines: the place in its series.
            let line = index + 1;
            let number = |value: &Value| match value {
                Value::String(text) => text.parse::<f64>().ok(),
                other => other.as_f64(),
            };
            let at = number(&pair[0]).filter(|at| at.is_finite());
            let at = at.ok_or_else(|| RecordingError::BadTime {
                line,
                text: pair[0].to_string(),
            })?;
            let value = number(&pair[1]).filter(|value| value.is_finite());
            let value = value.ok_or_else(|| RecordingError::NoAmount {
                line,
                text: pair[1].as_str().map_or(pair[1].to_string(), str::to_owned),
            })?;
            let mut sample = Sample {
                at,
                ..Sample::default()
            };
            figure.put(&mut sample, amount(value * unit.bytes(), line)?);
            tracks.push(&name, sample, line)?;
        }
    }
    if tracks.0.is_empty() {
        return Err(RecordingError::Empty);
    }
    if options.unit.is_none() {
        remarks.push("values are taken as bytes, as Prometheus counts (--unit)".to_owned());
    }
    Ok(Recording {
        format: Format::Prometheus,
        header: Header::default(),
        tracks: tracks.0,
        remarks,
    })
}

/// What tells the series apart, by the labels that name a process.
fn name(labels: &Value, number: usize, of: usize) -> String {
    let keys = ["pod", "container", "instance", "worker", "pid", "job"];
    let known: Vec<&str> = keys.iter().filter_map(|key| labels[key].as_str()).collect();
    match (known.is_empty(), of) {
        (true, 1) => String::new(),
        (true, _) => format!("series {}", number + 1),
        // Labels of two series may agree in all that is shown.
        (false, 1) => known.join(" "),
        (false, _) => format!("{} ({})", known.join(" "), number + 1),
    }
}
