//! A watch in lines, for pipes and logs.

use super::state::{Row, State};
use crate::verdicts::{duration, per_hour, word};
use rbleak_report::sanitize;
use rbleak_units::Bytes;

/// Nobody reads more often.
const EVERY: f64 = 5.0;

/// Prints what is new.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    at: Option<f64>,
    events: usize,
}

impl Lines {
    /// The lines that are due.
    pub(crate) fn of(&mut self, state: &State) -> String {
        let mut text = String::new();
        // The oldest may be gone.
        let new = state.event_count - self.events;
        self.events = state.event_count;
        let skipped = state.events.len().saturating_sub(new);
        for event in state.events.iter().skip(skipped) {
            text.push_str(&format!("{:>9}  {}\n", clock(state.now), sanitize(event)));
        }
        if self.at.is_some_and(|at| state.now - at < EVERY) {
            return text;
        }
        let living: Vec<&Row> = state.rows.iter().filter(|r| r.alive.is_some()).collect();
        if living.is_empty() {
            return text;
        }
        self.at = Some(state.now);
        for row in living {
            text.push_str(&format!("{:>9}  {}\n", clock(state.now), line(row)));
        }
        text
    }
}

fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// `worker 1   RSS 120 MB  anonymous 90 MB  LEAK +12 MB per hour`
fn line(row: &Row) -> String {
    let figure = |name: &str, value: Option<Bytes>| {
        value.map_or(String::new(), |value| format!("  {name} {value}"))
    };
    let sample = &row.latest;
    let slots = sample.live_slots.map_or(String::new(), |slots| {
        format!("  slots {}", rbleak_units::grouped(slots as u64))
    });
    format!(
        "{:<12}{}{}{}{slots}{}  age {}  {}",
        sanitize(&row.name),
        figure("RSS", sample.rss),
        figure("PSS", sample.pss),
        figure("anonymous", sample.anonymous),
        figure("malloc", sample.malloc_in_use),
        duration(row.age),
        said(row)
    )
}

/// The verdict so far, in a few words.
pub(crate) fn said(row: &Row) -> String {
    let Some(judgement) = &row.judgement else {
        return String::new();
    };
    match judgement.rate {
        Some(rate) if judgement.verdict == rbleak_trend::Verdict::Leak => {
            format!("{} {}", word(judgement.verdict), per_hour(&rate))
        }
        _ => word(judgement.verdict).to_owned(),
    }
}
