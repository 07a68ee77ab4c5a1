//! Bare numbers, one a line, as derailed's `perf:mem_over_time` writes them:
//! MB, every five seconds, and no time.

use super::units::{Unit, quantity};
use super::{Format, Header, ReadOptions, Recording, RecordingError, Tracks, amount, read_line};
use crate::sample::Sample;
use std::io::BufRead;

pub(super) fn read(
    start: &str,
    mut input: impl BufRead,
    mut line: usize,
    options: &ReadOptions,
) -> Result<Recording, RecordingError> {
    let unit = options.unit.unwrap_or(Unit::Megabytes);
    let mut tracks = Tracks::default();
    let mut text = start.to_owned();
    let mut count = 0.0;
    loop {
        if !text.trim().is_empty() {
            let no_amount = || RecordingError::NoAmount {
                line,
                text: text.trim().to_owned(),
            };
            let (value, own) = quantity(&text).ok_or_else(no_amount)?;
            if own.is_some_and(|own| own != unit) {
                return Err(RecordingError::MixedUnits {
                    line,
                    text: text.trim().to_owned(),
                });
            }
            let sample = Sample {
                at: count * options.every,
                rss: Some(amount(value * unit.bytes(), line).map_err(|_| no_amount())?),
                ..Sample::default()
            };
            count += 1.0;
            tracks.push("", sample, line)?;
        }
        text.clear();
        line += 1;
        if read_line(&mut input, &mut text)? == 0 {
            break;
        }
    }
    Ok(Recording {
        format: Format::Numbers,
        header: Header::default(),
        tracks: tracks.0,
        remarks: vec![format!(
            "bare numbers: taken as {} of RSS, one every {} s (--unit, --every)",
            unit.name(),
            options.every
        )],
    })
}
