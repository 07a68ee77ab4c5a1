//! A watch on one page: memory over time, judged again from its recording.

use super::Wish;
use super::figures::thinned;
use super::folder::Opened;
use super::hunt::minute;
use super::parts::heading;
use crate::verdicts::{Judged, blocks, signal};
use anyhow::{Result, bail};
use rbleak_report::{Block, Document, Note, Page, Plot, PlotPoint, Quantity, Tone};
use rbleak_trend::recording::Recording;
use rbleak_trend::{MemorySeries, Settings, Signal, judge};

/// Processes of which plots are drawn at most.
const MOST_PROCESSES: usize = 8;

/// The document and the page around it.
pub(super) fn tell(
    opened: &Opened,
    recording: &Recording,
    wish: &Wish,
) -> Result<(Document, Page)> {
    if recording.tracks.is_empty() {
        bail!(
            "the recording of {} has no sample yet: watch for longer",
            opened.shown
        );
    }
    let settings = Settings {
        limit: recording.header.limit,
        ..Settings::default()
    };
    let judged: Vec<Judged> = recording
        .tracks
        .iter()
        .map(|track| Judged {
            source: String::new(),
            process: track.name.clone(),
            judgement: judge(&track.series, &settings),
            series: track.series.clone(),
            births: Vec::new(),
        })
        .collect();
    let mut out = Document::new("rbleak/report/v1");
    let mut drawn = Vec::new();
    for block in blocks(&judged) {
        match block {
            Block::Chart(_) => drawn.push(block),
            block => out.push(block),
        }
    }
    for remark in &recording.remarks {
        out.note(Note::plain(remark));
    }
    out.push(heading(
        "memory",
        "Memory over time",
        "What is in use tells more of a leak than what is resident, where the recording has it.",
    ));
    if judged.len() > 1 {
        out.blocks.append(&mut drawn);
    }
    let tracks = recording.tracks.iter().take(MOST_PROCESSES).enumerate();
    let plots = tracks.flat_map(|(at, track)| {
        let name = if judged.len() > 1 {
            track.name.as_str()
        } else {
            ""
        };
        Signal::ALL
            .into_iter()
            .rev()
            .filter_map(move |signal| plot(at, name, &track.series, signal, wish))
    });
    out.push(Block::Plots(plots.collect()));
    let header = &recording.header;
    let started = header.started_at.as_deref().map(minute).unwrap_or_default();
    let page = Page {
        title: header
            .command
            .clone()
            .unwrap_or_else(|| "a watch".to_owned()),
        subtitle: format!("watched from {started} · {}", opened.shown),
        generator: format!("rbleak {}", env!("CARGO_PKG_VERSION")),
    };
    Ok((out, page))
}

fn plot(at: usize, name: &str, series: &MemorySeries, shown: Signal, wish: &Wish) -> Option<Plot> {
    let start = series.lives().next()?.first()?.at;
    let points: Vec<PlotPoint> = series
        .lives()
        .flatten()
        .filter_map(|sample| {
            Some(PlotPoint {
                x: sample.at - start,
                y: shown.of(sample)?,
                is_aside: false,
            })
        })
        .collect();
    let (first, last) = match points.as_slice() {
        [first, .., last] => (first.y, last.y),
        _ => return None,
    };
    let y = match shown {
        Signal::LiveSlots => Quantity::Count,
        _ => Quantity::Bytes,
    };
    Some(Plot {
        key: format!("{at}_{}", signal(shown).replace(' ', "_").to_lowercase()),
        title: match name {
            "" => signal(shown).to_owned(),
            name => format!("{name}: {}", signal(shown)),
        },
        caption: format!("{} → {}", y.words(first), y.words(last)),
        tone: Tone::Plain,
        x_label: "seconds since it began".to_owned(),
        x: Quantity::Seconds,
        y,
        points: thinned(points, wish.points),
        is_joined: true,
        aside: String::new(),
        fit: Vec::new(),
    })
}
