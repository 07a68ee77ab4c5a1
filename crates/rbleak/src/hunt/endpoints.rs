//! A hunt of several endpoints in one boot: blocks in which each endpoint has a
//! turn of its own, in a balanced order, and recorded traffic one more.
//!
//! A block stands where a hunt of one endpoint has a round. Knows how load is
//! cut into turns and what became of them; the app is driven by the caller.

use super::traffic::Traffic;
use crate::held::Ranked;
use rbleak_trend::{Cause, EndpointTurns, Margins, RoundSample, Signals, Turn, balanced_order};

/// Requests of one kind between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// The group of requests, as the app knows it: an endpoint, or the traffic.
    pub(crate) group: usize,
    pub(crate) requests: u64,
}

/// Turns of all endpoints, as they are made.
#[derive(Debug)]
pub(crate) struct Many {
    pub(crate) traffic: Traffic,
    /// Requests of a turn of each endpoint.
    sizes: Vec<u64>,
    /// The endpoint of each recorded request, and how far the replay is.
    replay: (Vec<usize>, u64),
    turns: EndpointTurns,
    blocks: usize,
    last: Option<Read>,
    /// Turns since the first dump.
    traced: Vec<TracedTurn>,
}

/// A sample, and how many collections there had been.
#[derive(Clone, Copy, Debug)]
struct Read {
    sample: RoundSample,
    collections: u64,
}

/// What was requested between two dumps, and the generations that were born
/// meanwhile.
#[derive(Clone, Debug)]
struct TracedTurn {
    endpoint: Option<usize>,
    requests: Vec<u64>,
    /// The last one is of the next turn.
    generations: (u64, u64),
}

/// What was found of each endpoint.
#[derive(Clone, Debug)]
pub(crate) struct EndpointsFound {
    pub(crate) rows: Vec<EndpointRow>,
    pub(crate) skipped: Vec<(String, String)>,
    traced: Vec<TracedTurn>,
}

/// One endpoint.
#[derive(Clone, Debug)]
pub(crate) struct EndpointRow {
    pub(crate) name: String,
    /// Of recorded traffic.
    pub(crate) share: Option<f64>,
    pub(crate) requests: u64,
    pub(crate) signals: Signals,
}

impl EndpointRow {
    pub(crate) fn leaks(&self) -> bool {
        leaks(self.signals.cause)
    }
}

fn leaks(cause: Cause) -> bool {
    matches!(cause, Cause::RubyObjects | Cause::RubyBytes | Cause::Native)
}

impl Many {
    pub(crate) fn new(traffic: Traffic, sizes: Vec<u64>) -> Many {
        let owners = traffic.owners();
        Many {
            replay: (traffic.recorded.iter().map(|&at| owners[at]).collect(), 0),
            turns: EndpointTurns::new(sizes.len()),
            sizes,
            traffic,
            blocks: 0,
            last: None,
            traced: Vec::new(),
        }
    }

    /// The next block: every endpoint once.
    pub(crate) fn block(&mut self) -> Vec<Slice> {
        let order = balanced_order(self.sizes.len(), self.blocks);
        self.blocks += 1;
        let mut slices: Vec<Slice> = order
            .into_iter()
            .map(|endpoint| Slice {
                group: endpoint,
                requests: self.sizes[endpoint],
            })
            .collect();
        if !self.replay.0.is_empty() {
            let requests = self.sizes.iter().copied().max().unwrap_or(1) * 2;
            slices.push(Slice {
                group: self.sizes.len(),
                requests,
            });
        }
        slices
    }

    /// Requests of one block.
    pub(crate) fn per_block(&self) -> u64 {
        let replayed = match self.replay.0.is_empty() {
            true => 0,
            false => self.sizes.iter().copied().max().unwrap_or(1) * 2,
        };
        self.sizes.iter().sum::<u64>() + replayed
    }

    /// What was read before the first turn.
    pub(crate) fn begin(&mut self, sample: RoundSample, collections: u64) {
        self.last = Some(Read {
            sample,
            collections,
        });
    }

    /// What was read after `slice` had been sent.
    pub(crate) fn end(&mut self, slice: Slice, sample: RoundSample, collections: u64) {
        let mut requests = vec![0; self.sizes.len()];
        if slice.group < requests.len() {
            requests[slice.group] = slice.requests;
        } else {
            let (order, at) = &mut self.replay;
            for turn in *at..*at + slice.requests {
                requests[order[(turn % order.len() as u64) as usize]] += 1;
            }
            *at += slice.requests;
        }
        let read = Read {
            sample,
            collections,
        };
        if let Some(before) = self.last.replace(read) {
            if sample.traced {
                self.traced.push(TracedTurn {
                    endpoint: (slice.group < requests.len()).then_some(slice.group),
                    requests: requests.clone(),
                    generations: (before.collections, collections),
                });
            }
            self.turns.push(Turn {
                requests,
                before: before.sample,
                after: sample,
            });
        }
    }

    /// The sample after the last turn.
    pub(crate) fn last(&self) -> Option<RoundSample> {
        self.last.map(|read| read.sample)
    }

    /// What comes now is new to the first dump.
    pub(crate) fn first_dump(&mut self) {
        self.traced.clear();
    }

    /// What each endpoint does, so far.
    pub(crate) fn causes(&self, margins: &Margins) -> Vec<Cause> {
        self.turns.judge(margins).iter().map(|s| s.cause).collect()
    }

    /// Whether an endpoint that leaks objects does so to the last turn.
    pub(crate) fn goes_on(&self, margins: &Margins) -> bool {
        let causes = self.causes(margins);
        let of_objects = causes
            .iter()
            .enumerate()
            .filter(|(_, c)| **c == Cause::RubyObjects);
        let mut going = of_objects
            .map(|(at, _)| self.turns.objects_go_on(at, margins))
            .peekable();
        going.peek().is_none() || going.any(|goes_on| goes_on)
    }

    /// What was found; `tells_generations` is whether generations of the dumped
    /// process are those that were counted.
    pub(crate) fn found(self, margins: &Margins, tells_generations: bool) -> EndpointsFound {
        let requests = |at: usize| self.turns.turns().iter().map(|t| t.requests[at]).sum();
        let rows = self.turns.judge(margins).into_iter().enumerate();
        let rows = rows.map(|(at, signals)| EndpointRow {
            name: self.traffic.endpoints[at].name.clone(),
            share: self.traffic.share(at),
            requests: requests(at),
            signals,
        });
        EndpointsFound {
            rows: rows.collect(),
            skipped: self.traffic.skipped.clone(),
            traced: match tells_generations {
                true => self.traced.clone(),
                false => Vec::new(),
            },
        }
    }
}

/// What all endpoints come to: a leak of any is one.
pub(crate) fn overall(causes: &[Cause]) -> Cause {
    let order = [
        Cause::RubyObjects,
        Cause::RubyBytes,
        Cause::Native,
        Cause::Undecided,
    ];
    let found = order.into_iter().find(|cause| causes.contains(cause));
    found.unwrap_or(Cause::Nothing)
}

impl EndpointsFound {
    /// Objects and bytes that a holder gained with each request of each
    /// endpoint, between the dumps: objects are told by the generation in which
    /// they were born. `None` where generations tell nothing.
    pub(crate) fn gained(&self, ranked: &Ranked) -> Option<Vec<(f64, f64)>> {
        if self.traced.is_empty() || ranked.holder.generations.is_empty() {
            return None;
        }
        let mut gained = vec![(0u64, 0u64); self.rows.len()];
        for (generation, (objects, bytes)) in &ranked.holder.generations {
            let born = u64::from(generation.0);
            let turn = self
                .traced
                .iter()
                .find(|turn| (turn.generations.0..turn.generations.1).contains(&born));
            if let Some(endpoint) = turn.and_then(|turn| turn.endpoint) {
                gained[endpoint].0 += objects;
                gained[endpoint].1 += bytes;
            }
        }
        let own = |endpoint: usize| -> u64 {
            let own = self.traced.iter().filter(|t| t.endpoint == Some(endpoint));
            own.map(|turn| turn.requests[endpoint]).sum()
        };
        let per = gained
            .into_iter()
            .enumerate()
            .map(|(endpoint, (objects, bytes))| {
                let requests = own(endpoint).max(1) as f64;
                (objects as f64 / requests, bytes as f64 / requests)
            });
        Some(per.collect())
    }

    /// The holder, of `holders`, that gained most bytes by an endpoint that
    /// leaks.
    pub(crate) fn holder<'r>(&self, endpoint: usize, holders: &'r [Ranked]) -> Option<&'r Ranked> {
        if !self.rows[endpoint].leaks() {
            return None;
        }
        holders
            .iter()
            .filter_map(|ranked| {
                let gained = self.gained(ranked)?[endpoint].1;
                (gained > 0.0).then_some((ranked, gained))
            })
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(ranked, _)| ranked)
    }
}
