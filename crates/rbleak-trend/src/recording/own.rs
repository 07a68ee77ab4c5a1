//! Our own format: its writer and its reader, version 1.

use super::{Format, Recording, RecordingError, Tracks, amount, read_line};
use crate::sample::Sample;
use rbleak_units::Bytes;
use serde_json::{Map, Value, json};
use std::io::BufRead;

/// What the first line of a recording says it is.
pub const SCHEMA: &str = "rbleak/recording/v1";
const FAMILY: &str = "rbleak/recording/";

/// The two lines above a CSV.
pub const CSV_HEADER: &str = "# rbleak/recording/v1\n\
    at_seconds,process,life,requests,rss_bytes,pss_bytes,anonymous_bytes,live_slots,malloc_in_use_bytes,uss_bytes\n";

/// What is known of a whole recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// When it began, RFC 3339.
    pub started_at: Option<String>,
    /// What was watched.
    pub command: Option<String>,
    /// Seconds between samples.
    pub every: Option<f64>,
    /// Memory that the processes may have together.
    pub limit: Option<Bytes>,
}

/// A sample of one process.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The process, by a name that goes on over restarts.
    pub process: String,
    /// What it held.
    pub sample: Sample,
    /// The unique set (USS). Written, and read by nobody yet.
    pub unique: Option<Bytes>,
    /// What its memory was used for, by names of the writer's. Written to
    /// NDJSON alone, and read by nobody yet.
    pub kinds: Vec<(&'static str, Bytes)>,
}

impl Row {
    /// A sample of `process`, and nothing beside it.
    pub fn new(process: impl Into<String>, sample: Sample) -> Row {
        Row {
            process: process.into(),
            sample,
            unique: None,
            kinds: Vec::new(),
        }
    }
}

impl Header {
    /// The first line of a recording, ended by a newline.
    pub fn to_line(&self) -> String {
        let mut map = Map::new();
        map.insert("schema".into(), json!(SCHEMA));
        let known = [
            ("started_at", self.started_at.as_ref().map(|v| json!(v))),
            ("command", self.command.as_ref().map(|v| json!(v))),
            ("every_seconds", self.every.map(|v| json!(v))),
            ("limit_bytes", self.limit.map(|v| json!(v.0))),
        ];
        for (key, value) in known {
            map.extend(value.map(|value| (key.to_owned(), value)));
        }
        format!("{}\n", Value::Object(map))
    }
}

impl Row {
    /// A line of NDJSON, ended by a newline.
    pub fn to_line(&self) -> String {
        let sample = &self.sample;
        let bytes = |value: Option<Bytes>| value.map(|v| json!(v.0));
        let mut map = Map::new();
        map.insert("at_seconds".into(), json!(sample.at));
        map.insert("process".into(), json!(self.process));
        let known = [
            ("life", sample.life.map(|v| json!(v))),
            ("requests", sample.requests.map(|v| json!(v))),
            ("rss_bytes", bytes(sample.rss)),
            ("pss_bytes", bytes(sample.pss)),
            ("anonymous_bytes", bytes(sample.anonymous)),
            ("live_slots", sample.live_slots.map(|v| json!(v))),
            ("malloc_in_use_bytes", bytes(sample.malloc_in_use)),
            ("uss_bytes", bytes(self.unique)),
        ];
        for (key, value) in known {
            map.extend(value.map(|value| (key.to_owned(), value)));
        }
        if !self.kinds.is_empty() {
            let kinds = self.kinds.iter();
            let kinds: Map<String, Value> = kinds
                .map(|(name, bytes)| ((*name).to_owned(), json!(bytes.0)))
                .collect();
            map.insert("kinds_bytes".into(), kinds.into());
        }
        format!("{}\n", Value::Object(map))
    }

    /// A line of CSV below [`CSV_HEADER`], ended by a newline.
    pub fn to_csv(&self) -> String {
        let sample = &self.sample;
        let bytes = |value: Option<Bytes>| value.map_or(String::new(), |v| v.0.to_string());
        let number = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
        // RFC 4180; a line break would make two lines of it.
        let name = self.process.replace(['\n', '\r'], " ").replace('"', "\"\"");
        let life = sample.life.map_or(String::new(), |v| v.to_string());
        let cells = [
            sample.at.to_string(),
            format!("\"{name}\""),
            life,
            number(sample.requests),
            bytes(sample.rss),
            bytes(sample.pss),
            bytes(sample.anonymous),
            number(sample.live_slots),
            bytes(sample.malloc_in_use),
            bytes(self.unique),
        ];
        format!("{}\n", cells.join(","))
    }
}

/// The header in a first line; `None` if it is no header of ours.
pub(super) fn header(line: &str) -> Result<Option<Header>, RecordingError> {
    let Ok(Value::Object(map)) = serde_json::from_str(line) else {
        return Ok(None);
    };
    let Some(schema) = map.get("schema").and_then(Value::as_str) else {
        return Ok(None);
    };
    if schema != SCHEMA {
        return match schema.starts_with(FAMILY) {
            true => Err(RecordingError::Newer {
                schema: schema.to_owned(),
            }),
            false => Ok(None),
        };
    }
    let text = |key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(Some(Header {
        started_at: text("started_at"),
        command: text("command"),
        every: map.get("every_seconds").and_then(Value::as_f64),
        limit: map.get("limit_bytes").and_then(Value::as_u64).map(Bytes),
    }))
}

/// The samples below the header.
pub(super) fn read(
    header: Header,
    mut input: impl BufRead,
    mut line: usize,
) -> Result<Recording, RecordingError> {
    let mut tracks = Tracks::default();
    let mut remarks = Vec::new();
    let mut text = String::new();
    loop {
        text.clear();
        line += 1;
        if read_line(&mut input, &mut text)? == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(&text) {
            Ok(Value::Object(map)) => {
                let (name, sample) = sample(&map, line)?;
                tracks.push(&name, sample, line)?;
            }
            // Cut off while it was written.
            Err(_) if !text.ends_with('\n') => {
                remarks.push(format!(
                    "line {line}, the last, is not whole and is left out"
                ));
            }
            _ => {
                return Err(RecordingError::BadLine {
                    line,
                    text: "this is no sample: a JSON object is expected".to_owned(),
                });
            }
        }
    }
    if tracks.0.is_empty() {
        return Err(RecordingError::Empty);
    }
    Ok(Recording {
        format: Format::Ndjson,
        header,
        tracks: tracks.0,
        remarks,
    })
}

fn sample(map: &Map<String, Value>, line: usize) -> Result<(String, Sample), RecordingError> {
    let number = |key: &'static str| match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(RecordingError::NoAmount {
            line,
            text: format!("{key}: {value}"),
        }),
    };
    let bytes = |key| number(key)?.map(|v| amount(v, line)).transpose();
    let count = |key| number(key)?.map(|v| amount(v, line).map(|_| v)).transpose();
    let at = number("at_seconds")?.ok_or(RecordingError::BadLine {
        line,
        text: "at_seconds is missing".to_owned(),
    })?;
    let name = map.get("process").and_then(Value::as_str);
    Ok((
        name.unwrap_or_default().to_owned(),
        Sample {
            at,
            requests: count("requests")?,
            life: map.get("life").and_then(Value::as_u64),
            rss: bytes("rss_bytes")?,
            pss: bytes("pss_bytes")?,
            anonymous: bytes("anonymous_bytes")?,
            live_slots: count("live_slots")?,
            malloc_in_use: bytes("malloc_in_use_bytes")?,
        },
    ))
}
