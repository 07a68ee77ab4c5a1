//! Hygiene before anything is judged: spikes out, restarts found.

use crate::sample::{Sample, Signal};

/// One reading of one signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// Seconds.
    pub(crate) at: f64,
    /// Requests so far.
    pub(crate) requests: Option<f64>,
    /// In the signal's unit.
    pub(crate) value: f64,
}

/// Readings of one life of a process, in order.
pub(crate) type Readings = Vec<Reading>;

/// A single reading that stands out by this share from both its neighbours is
/// a spike.
const SPIKE: f64 = 0.03;
/// Of so many readings one may be a spike.
const MOST_SPIKES: usize = 20;
/// A fall by this share of the level is a restart if the rest fits.
const RESTART_FALL: f64 = 0.22;
/// More of them are a saw-tooth, as collections make it: where a worker really
/// restarts so often, the recording has to tell its lives apart.
const MOST_FALLS: usize = 3;
/// So is a smaller one, if there are few of them: many are a saw-tooth.
const SMALL_FALL: f64 = 0.12;
const MOST_SMALL_FALLS: usize = 3;
const SMALL_FALL_SPACING: usize = 40;
/// A restart undoes this much of what had grown.
const UNDONE: f64 = 0.45;
/// And returns to the level at boot, give or take.
const NEAR_BOOT: f64 = 1.35;

/// The readings of `signal` in the samples of one life, without spikes.
pub(crate) fn readings_of(samples: &[Sample], signal: Signal) -> Readings {
    let readings: Readings = samples
        .iter()
        .filter_map(|sample| {
            Some(Reading {
                at: sample.at,
                requests: sample.requests.filter(|r| r.is_finite()),
                value: signal.of(sample)?,
            })
        })
        .collect();
    without_spikes(&readings, |reading| reading.value)
}

/// The lives in a run of samples that does not tell them apart, by falls of
/// the memory that look like restarts.
pub(crate) fn guess_lives(samples: &[Sample]) -> Vec<&[Sample]> {
    const SIGNALS: [Signal; 5] = [
        Signal::Rss,
        Signal::Pss,
        Signal::Anonymous,
        Signal::MallocInUse,
        Signal::LiveSlots,
    ];
    let known = |signal: Signal| -> Vec<(usize, f64)> {
        let values = samples.iter().map(|sample| signal.of(sample));
        let known: Vec<_> = values
            .enumerate()
            .filter_map(|(i, v)| Some((i, v?)))
            .collect();
        without_spikes(&known, |&(_, value)| value)
    };
    let all = SIGNALS.map(known);
    let Some(fullest) = all.iter().max_by_key(|values| values.len()) else {
        return vec![samples];
    };
    // The first of those that are known as often.
    let first = all.iter().find(|values| values.len() == fullest.len());
    let chosen = first.unwrap_or(fullest);
    let values: Vec<f64> = chosen.iter().map(|&(_, value)| value).collect();
    let mut lives = Vec::new();
    let mut rest = samples;
    for &at in restarts(&values).iter().rev() {
        let (before, life) = rest.split_at(chosen[at].0);
        lives.push(life);
        rest = before;
    }
    lives.push(rest);
    lives.reverse();
    lives
}

/// Where lives begin, but for the first, as indices into `values`.
fn restarts(values: &[f64]) -> Vec<usize> {
    let falls = |least: f64, most: f64| -> Vec<usize> {
        let mut begin = 0;
        let mut found = Vec::new();
        for i in 1..values.len() {
            let share = fall(&values[begin..], i - begin);
            if (least..most).contains(&share) {
                found.push(i);
                begin = i;
            }
        }
        found
    };
    let large = falls(RESTART_FALL, f64::INFINITY);
    if large.len() > MOST_FALLS {
        return Vec::new();
    }
    if !large.is_empty() {
        return large;
    }
    let small = falls(SMALL_FALL, f64::INFINITY);
    let ends = small.iter().copied().chain([values.len()]);
    let starts = [0].into_iter().chain(small.iter().copied());
    let apart = starts.zip(ends).all(|(a, b)| b - a >= SMALL_FALL_SPACING);
    if small.len() <= MOST_SMALL_FALLS && apart {
        small
    } else {
        Vec::new()
    }
}

/// By which share of its level a life (from the first of `values`) falls at
/// `i`, if that looks like a restart; 0 otherwise.
fn fall(values: &[f64], i: usize) -> f64 {
    // Medians: neither a spike before it nor a dip is a restart.
    let before = median_of(&values[i.saturating_sub(5)..i]);
    let after = median_of(&values[i..(i + 3).min(values.len())]);
    if i < 3 || before <= 0.0 || values[i] > (before + after) / 2.0 {
        return 0.0;
    }
    let boot = median_of(&values[..i.min(3)]);
    let lowest = values[..i].iter().copied().fold(f64::INFINITY, f64::min);
    let grown = before - lowest.min(boot);
    if before - after > UNDONE * grown && values[i] < NEAR_BOOT * boot {
        (before - values[i].max(lowest)) / before
    } else {
        0.0
    }
}

fn median_of(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    crate::sen::median(&sorted)
}

/// Leaves out what alone is far from both its neighbours, which agree with each
/// other: it says nothing of what is kept.
fn without_spikes<T: Copy>(readings: &[T], value: impl Fn(&T) -> f64) -> Vec<T> {
    let is_spike = |i: usize| {
        if i == 0 || i + 1 >= readings.len() {
            return false;
        }
        let [a, middle, b] = [i - 1, i, i + 1].map(|i| value(&readings[i]));
        let level = a.max(b);
        level > 0.0
            && (a - b).abs() < SPIKE / 2.0 * level
            && (middle - a).abs().min((middle - b).abs()) > SPIKE * level
            && (middle > a) == (middle > b)
    };
    let spikes: Vec<usize> = (0..readings.len()).filter(|&i| is_spike(i)).collect();
    // A saw-tooth seen at its own pace would lose every other reading: what is
    // common is no spike.
    if spikes.len() * MOST_SPIKES > readings.len() {
        return readings.to_vec();
    }
    let all = readings.iter().enumerate();
    let kept = all.filter(|(i, _)| spikes.binary_search(i).is_err());
    kept.map(|(_, reading)| *reading).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbleak_units::Bytes;

    fn samples(values: &[f64]) -> Vec<Sample> {
        values
            .iter()
            .enumerate()
            .map(|(i, &mb)| Sample {
                at: i as f64,
                rss: Some(Bytes((mb * 1e6) as u64)),
                ..Sample::default()
            })
            .collect()
    }

    fn lengths(values: &[f64]) -> Vec<usize> {
        guess_lives(&samples(values))
            .iter()
            .map(|life| readings_of(life, Signal::Rss).len())
            .collect()
    }

    #[test]
    fn an_isolated_spike_is_dropped_and_a_step_is_not() {
        let mut values = vec![100.0; 40];
        values[20] = 150.0;
        assert_eq!(lengths(&values), [39]);
        let step: Vec<f64> = (0..40)
            .map(|i| if i < 20 { 100.0 } else { 150.0 })
            .collect();
        assert_eq!(lengths(&step), [40]);
    }

    #[test]
    fn a_restart_begins_a_life() {
        let values: Vec<f64> = (0..90).map(|i| 100.0 + f64::from(i % 45) * 2.0).collect();
        assert_eq!(lengths(&values), [45, 45]);
    }

    #[test]
    fn a_saw_tooth_is_no_row_of_restarts() {
        let values: Vec<f64> = (0..90).map(|i| 100.0 + f64::from(i % 10) * 1.8).collect();
        assert_eq!(lengths(&values), [90]);
    }

    #[test]
    fn a_fall_that_leaves_most_of_the_growth_is_no_restart() {
        let mut values: Vec<f64> = (0..80).map(|i| 100.0 + f64::from(i) * 4.0).collect();
        values[60..].iter_mut().for_each(|v| *v -= 95.0);
        assert_eq!(lengths(&values), [80]);
    }
}
