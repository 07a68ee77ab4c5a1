//! A series of samples in bounded memory, for a finished recording and for a
//! watch of weeks alike.

use crate::sample::Sample;
use std::collections::VecDeque;

/// Samples kept of one life.
const MOST_SAMPLES: usize = 8192;
/// Lives kept; of workers that restart all the time the last ones count.
const MOST_LIVES: usize = 64;
/// Samples kept of all lives together.
const MOST_IN_ALL: usize = 16_384;

/// Samples in the order in which they were taken, by lives. However many are
/// pushed, no more than 16,384 are kept: when a life has too many, every other
/// one is dropped, and from then on only one of two is taken. Which one of the
/// two is drawn by a fixed rule that no saw-tooth can keep step with.
#[derive(Clone, Debug, Default)]
pub struct MemorySeries {
    lives: VecDeque<Life>,
    pushed: u64,
    lives_dropped: usize,
}

/// The samples of one life.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    key: Option<u64>,
    samples: Vec<Sample>,
    /// One of so many samples is kept.
    stride: u64,
    /// Samples seen since the last bucket of `stride` was full.
    in_bucket: u64,
    buckets: u64,
    /// The newest sample, whether or not it was drawn.
    last: Sample,
}

impl MemorySeries {
    /// An empty series.
    pub fn new() -> MemorySeries {
        MemorySeries::default()
    }

    /// Adds the next sample. A life is a run of samples with the same
    /// [`Sample::life`]; a sample of another begins a new one.
    pub fn push(&mut self, sample: Sample) {
        self.pushed += 1;
        match self.lives.back_mut() {
            Some(life) if life.key == sample.life => life.push(sample),
            _ => {
                self.lives.push_back(Life::new(sample));
                if self.lives.len() > MOST_LIVES {
                    self.lives.pop_front();
                    self.lives_dropped += 1;
                }
            }
        }
        while self.kept() > MOST_IN_ALL {
            let longest = self.lives.iter_mut().max_by_key(|life| life.samples.len());
            if let Some(life) = longest {
                life.halve();
            }
        }
    }

    /// How many samples were pushed.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// How many samples are kept.
    pub fn kept(&self) -> usize {
        self.lives.iter().map(|life| life.samples.len()).sum()
    }

    /// How many of the oldest lives are no longer kept.
    pub fn lives_dropped(&self) -> usize {
        self.lives_dropped
    }

    /// The newest sample.
    pub fn last(&self) -> Option<&Sample> {
        self.lives.back().map(|life| &life.last)
    }

    /// The samples that are kept, life by life, in order.
    pub fn lives(&self) -> impl Iterator<Item = &[Sample]> {
        self.lives.iter().map(|life| life.samples.as_slice())
    }
}

impl FromIterator<Sample> for MemorySeries {
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> MemorySeries {
        let mut series = MemorySeries::new();
        samples.into_iter().for_each(|sample| series.push(sample));
        series
    }
}

impl Life {
    fn new(first: Sample) -> Life {
        Life {
            key: first.life,
            samples: vec![first],
            stride: 1,
            in_bucket: 0,
            buckets: 0,
            last: first,
        }
    }

    fn push(&mut self, sample: Sample) {
        self.last = sample;
        if self.in_bucket == draw(self.buckets, self.stride) {
            self.samples.push(sample);
        }
        self.in_bucket += 1;
        if self.in_bucket == self.stride {
            self.in_bucket = 0;
            self.buckets += 1;
        }
        if self.samples.len() > MOST_SAMPLES {
            self.halve();
        }
    }

    fn halve(&mut self) {
        let mut index = 0;
        self.samples.retain(|_| {
            let (pair, place) = (index / 2, index % 2);
            index += 1;
            draw(pair, 2) == place
        });
        self.stride *= 2;
        self.in_bucket = 0;
    }
}

/// Which of `stride` places of a bucket is kept: splitmix64 of the bucket's
/// number (Steele, Lea & Flood 2014).
fn draw(bucket: u64, stride: u64) -> u64 {
    let mut z = bucket.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % stride
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbleak_units::Bytes;

    fn sample(i: u64, life: u64) -> Sample {
        Sample {
            at: i as f64,
            life: Some(life),
            rss: Some(Bytes(i)),
            ..Sample::default()
        }
    }

    #[test]
    fn weeks_stay_within_their_bound_and_in_order() {
        let mut series = MemorySeries::new();
        for i in 0..3_000_000 {
            series.push(sample(i, 1));
        }
        assert_eq!(series.pushed(), 3_000_000);
        assert!(series.kept() <= MOST_SAMPLES && series.kept() > MOST_SAMPLES / 3);
        let life = series.lives().next().unwrap();
        assert!(life.is_sorted_by(|a, b| a.at < b.at));
        assert_eq!(series.last().map(|s| s.at), Some(2_999_999.0));
        // Spread evenly: each tenth of the time has about a tenth of them.
        for tenth in 0..10 {
            let range = f64::from(tenth) * 3e5..f64::from(tenth + 1) * 3e5;
            let share = life.iter().filter(|s| range.contains(&s.at)).count() * 10;
            assert!(share.abs_diff(life.len()) < life.len() / 10, "{share}");
        }
    }

    #[test]
    fn short_series_are_kept_whole() {
        let series: MemorySeries = (0..5000).map(|i| sample(i, 1)).collect();
        assert_eq!(series.kept(), 5000);
    }

    #[test]
    fn lives_are_kept_apart_and_bounded() {
        let mut series = MemorySeries::new();
        for i in 0..1_000_000u64 {
            series.push(sample(i, i / 5000));
        }
        assert!(series.kept() <= MOST_IN_ALL);
        assert_eq!(series.lives().count(), MOST_LIVES);
        assert_eq!(series.lives_dropped(), 200 - MOST_LIVES);
        // No life is thinned to nothing.
        assert!(series.lives().all(|life| life.len() > 50));
    }
}
