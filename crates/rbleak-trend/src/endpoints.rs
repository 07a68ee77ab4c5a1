//! Which endpoint grows: turns of one endpoint or of several, each between two
//! samples, and from all of them together the rate of each endpoint.
//!
//! The change over a turn is the sum of what each request of it keeps:
//! a linear regression without an intercept, of which the coefficients are the
//! rates. All endpoints are estimated together, so that turns of mixed traffic
//! count, too, and what the noise is like is learnt from all turns.

use crate::growth::{Assessment, Growth, assess};
use crate::rounds::{Margins, RoundSample, Signals, cause};
use crate::sen::{Point, median};
use nalgebra::{DMatrix, DVector};
use rbleak_units::Interval;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Requests between two samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// How many of each endpoint.
    pub requests: Vec<u64>,
    /// What was read before the first of them.
    pub before: RoundSample,
    /// What was read after the last.
    pub after: RoundSample,
}

/// The turns of all endpoints, in order.
#[derive(Clone, Debug)]
pub struct EndpointTurns {
    endpoints: usize,
    turns: Vec<Turn>,
}

/// Turns of its own that each endpoint is judged by at least.
const MIN_OWN: usize = 6;
/// Huber's constant: 95 % as good as least squares where errors are normal.
const HUBER: f64 = 1.345;
const ITERATIONS: usize = 30;
/// From the median of absolute residuals to a standard deviation.
const MAD: f64 = 1.4826;
/// Least noise of a turn, as a share of what the margin lets it grow: figures
/// that agree to the last slot in a few turns are not known to that slot.
const LEAST_NOISE: f64 = 0.1;

impl EndpointTurns {
    /// No turns yet.
    pub fn new(endpoints: usize) -> EndpointTurns {
        EndpointTurns {
            endpoints,
            turns: Vec::new(),
        }
    }

    /// Adds one more turn; `requests` has a figure for each endpoint.
    pub fn push(&mut self, turn: Turn) {
        debug_assert_eq!(turn.requests.len(), self.endpoints);
        self.turns.push(turn);
    }

    /// All turns so far.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// What each endpoint's requests leave behind. Turns under allocation
    /// tracing are left out, as they are for [`crate::Rounds::judge`].
    ///
    /// An endpoint grows, or is flat, if both say so: the regression over all
    /// turns, and its own turns put end to end and judged as rounds are, which
    /// sees a cache that fills. Its rate is that of the regression; the interval
    /// is the wider of both.
    pub fn judge(&self, margins: &Margins) -> Vec<Signals> {
        let of =
            |value: &dyn Fn(&RoundSample) -> Option<f64>, margin| self.assess(value, margin, false);
        let objects = of(&|s| Some(s.live_slots), margins.objects);
        let memsize = of(&|s| Some(s.memsize), margins.object_bytes);
        let content = of(&|s| s.content, margins.object_bytes);
        let malloc = of(&|s| s.malloc_in_use, margins.native_bytes);
        let free = of(&|s| s.malloc_free, margins.native_bytes);
        let unknown = Assessment {
            growth: Growth::Undecided,
            rate: None,
        };
        (0..self.endpoints)
            .map(|endpoint| {
                let at = |all: &Option<Vec<Assessment>>| all.as_ref().map(|all| all[endpoint]);
                let (objects, memsize) = (at(&objects), at(&memsize));
                let (content, malloc) = (at(&content), at(&malloc));
                let (objects, memsize) = (objects.unwrap_or(unknown), memsize.unwrap_or(unknown));
                Signals {
                    objects,
                    memsize,
                    content,
                    malloc,
                    free: at(&free),
                    cause: cause(&objects, content.as_ref(), &memsize, malloc.as_ref()),
                }
            })
            .collect()
    }

    /// Whether the objects of an endpoint grow when the turns under allocation
    /// tracing are taken in, which come last.
    pub fn objects_go_on(&self, endpoint: usize, margins: &Margins) -> bool {
        let own = self.own(endpoint, &|s| Some(s.live_slots), true);
        own.is_none_or(|points| assess(&points, margins.objects).growth == Growth::Growing)
    }

    /// One figure of all endpoints; `None` where it is not known throughout.
    fn assess(
        &self,
        value: &dyn Fn(&RoundSample) -> Option<f64>,
        margin: f64,
        traced: bool,
    ) -> Option<Vec<Assessment>> {
        let own: Option<Vec<Vec<Point>>> = (0..self.endpoints)
            .map(|endpoint| self.own(endpoint, value, traced))
            .collect();
        let own = own?;
        let joint = self.joint(value, margin);
        let both = |(endpoint, points): (usize, &Vec<Point>)| {
            let alone = assess(points, margin);
            let (Some(joint), Some(rate)) = (&joint, alone.rate) else {
                return Assessment {
                    growth: Growth::Undecided,
                    rate: alone.rate,
                };
            };
            let joint = joint[endpoint];
            let growth = match alone.growth {
                Growth::Growing if joint.is_above(margin) => Growth::Growing,
                Growth::Flat if joint.is_below(margin) => Growth::Flat,
                _ => Growth::Undecided,
            };
            Assessment {
                growth,
                rate: Some(Interval {
                    estimate: joint.estimate,
                    low: joint.low.min(rate.low.min(joint.estimate)),
                    high: joint.high.max(rate.high.max(joint.estimate)),
                }),
            }
        };
        Some(own.iter().enumerate().map(both).collect())
    }

    /// The changes over an endpoint's own turns, put end to end.
    fn own(
        &self,
        endpoint: usize,
        value: &dyn Fn(&RoundSample) -> Option<f64>,
        traced: bool,
    ) -> Option<Vec<Point>> {
        let mut at = Point { x: 0.0, value: 0.0 };
        let mut points = vec![at];
        for turn in &self.turns {
            if self.is_of(turn) != Some(endpoint) || (!traced && turn.is_traced()) {
                continue;
            }
            at.x += turn.requests[endpoint] as f64;
            at.value += value(&turn.after)? - value(&turn.before)?;
            points.push(at);
        }
        Some(points)
    }

    /// The only endpoint of a turn; `None` where it is mixed traffic.
    fn is_of(&self, turn: &Turn) -> Option<usize> {
        let mut own = (0..self.endpoints).filter(|&endpoint| turn.requests[endpoint] > 0);
        match (own.next(), own.next()) {
            (Some(endpoint), None) => Some(endpoint),
            _ => None,
        }
    }

    /// The regression over the later two thirds of the untraced turns: by
    /// Huber's estimator (Huber 1964), which single turns with a late `require`
    /// or a cache move little, with its asymptotic covariance (Huber 1973, H1).
    /// `None` where an endpoint has too few turns of its own, or two endpoints
    /// cannot be told apart.
    fn joint(
        &self,
        value: &dyn Fn(&RoundSample) -> Option<f64>,
        margin: f64,
    ) -> Option<Vec<Interval>> {
        let turns = self.later();
        let change = |turn: &Turn| Some(value(&turn.after)? - value(&turn.before)?);
        let y: Vec<f64> = turns
            .iter()
            .map(|turn| change(turn))
            .collect::<Option<_>>()?;
        let y = DVector::from_vec(y);
        let x = DMatrix::from_fn(turns.len(), self.endpoints, |row, column| {
            turns[row].requests[column] as f64
        });
        // Begun at each endpoint's median turn.
        let mut rates = DVector::zeros(self.endpoints);
        for endpoint in 0..self.endpoints {
            let mut own: Vec<f64> = turns
                .iter()
                .zip(&y)
                .filter(|(turn, _)| self.is_of(turn) == Some(endpoint))
                .map(|(turn, change)| change / turn.requests[endpoint] as f64)
                .collect();
            if own.len() < MIN_OWN {
                return None;
            }
            own.sort_by(f64::total_cmp);
            rates[endpoint] = median(&own);
        }
        let sizes: f64 = turns
            .iter()
            .map(|t| t.requests.iter().sum::<u64>() as f64)
            .sum();
        let least = (LEAST_NOISE * margin * sizes / turns.len() as f64).max(f64::MIN_POSITIVE);
        let scale = |residuals: &DVector<f64>| {
            let mut all: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
            all.sort_by(f64::total_cmp);
            (MAD * median(&all)).max(least)
        };
        let mut residuals = &y - &x * &rates;
        for _ in 0..ITERATIONS {
            let bound = HUBER * scale(&residuals);
            let weights = residuals.map(|r| (bound / r.abs()).min(1.0));
            let weighted = DMatrix::from_fn(x.nrows(), x.ncols(), |row, column| {
                x[(row, column)] * weights[row]
            });
            let next = (weighted.transpose() * &x)
                .cholesky()?
                .solve(&(weighted.transpose() * &y));
            let moved = (&next - &rates).amax();
            rates = next;
            residuals = &y - &x * &rates;
            if moved <= 1e-9 * margin {
                break;
            }
        }
        let bound = HUBER * scale(&residuals);
        let (n, p) = (turns.len() as f64, self.endpoints as f64);
        let within = residuals.iter().filter(|r| r.abs() <= bound).count() as f64 / n;
        if within == 0.0 || n <= p {
            return None;
        }
        let psi: f64 = residuals.iter().map(|r| r.abs().min(bound).powi(2)).sum();
        // Huber's correction for few observations a coefficient.
        let k = 1.0 + p / n * (1.0 - within) / within;
        let variance = ((psi / (n - p)).max(least * least)) * (k / within).powi(2);
        let inverse = (x.transpose() * &x).cholesky()?.inverse();
        let t = StudentsT::new(0.0, 1.0, n - p).ok()?.inverse_cdf(0.975);
        Some(
            (0..self.endpoints)
                .map(|at| {
                    let reach = t * (variance * inverse[(at, at)]).sqrt();
                    Interval {
                        estimate: rates[at],
                        low: rates[at] - reach,
                        high: rates[at] + reach,
                    }
                })
                .collect(),
        )
    }

    /// The untraced turns, without the first third of each kind, by which the
    /// app only warms up.
    fn later(&self) -> Vec<&Turn> {
        let kind = |turn: &Turn| self.is_of(turn).unwrap_or(self.endpoints);
        let mut left = vec![0usize; self.endpoints + 1];
        let untraced = || self.turns.iter().filter(|turn| !turn.is_traced());
        untraced().for_each(|turn| left[kind(turn)] += 1);
        left.iter_mut()
            .for_each(|many| *many = many.div_ceil(3).min(many.saturating_sub(MIN_OWN)));
        untraced()
            .filter(|turn| {
                let left = &mut left[kind(turn)];
                let is_later = *left == 0;
                *left = left.saturating_sub(1);
                is_later
            })
            .collect()
    }
}

impl Turn {
    fn is_traced(&self) -> bool {
        self.before.traced || self.after.traced
    }
}

/// The order of the endpoints in block after block: rows of a Williams square
/// (Williams 1949). In as many blocks as there are endpoints each is at each
/// place once, and where their number is even each follows each other once, so
/// that neither drift nor what a predecessor leaves behind is put down to one.
pub fn balanced_order(endpoints: usize, block: usize) -> Vec<usize> {
    (0..endpoints)
        .map(|place| {
            // 0, 1, n-1, 2, n-2, …
            let step = match place % 2 {
                1 => place.div_ceil(2),
                _ => endpoints - place / 2,
            };
            (step + block) % endpoints
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Cause;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn sample(slots: f64) -> RoundSample {
        RoundSample {
            requests: 0,
            live_slots: slots,
            memsize: 40.0 * slots,
            content: None,
            malloc_in_use: None,
            malloc_free: None,
            traced: false,
        }
    }

    /// `change` says by how many slots an endpoint's turn grows, by its block.
    fn turns(
        endpoints: usize,
        blocks: usize,
        mut change: impl FnMut(usize, usize) -> f64,
    ) -> EndpointTurns {
        let mut all = EndpointTurns::new(endpoints);
        let mut slots = 1e5;
        for block in 0..blocks {
            for endpoint in balanced_order(endpoints, block) {
                let before = sample(slots);
                slots += change(endpoint, block);
                let mut requests = vec![0; endpoints];
                requests[endpoint] = 50;
                all.push(Turn {
                    requests,
                    before,
                    after: sample(slots),
                });
            }
        }
        all
    }

    #[test]
    fn each_leak_is_found_with_its_rate_and_no_other_is_blamed() {
        let all = turns(12, 8, |endpoint, block| match endpoint {
            3 => 50.0,
            8 => 350.0,
            // A cache that fills at first, and one that is loaded late.
            5 if block < 3 => 40.0,
            6 if block == 4 => 90.0,
            _ => 0.0,
        });
        let found = all.judge(&Margins::default());
        for (endpoint, signals) in found.iter().enumerate() {
            let rate = signals.objects.rate.expect("a rate");
            let (wanted, is) = match endpoint {
                3 => (Cause::RubyObjects, 1.0),
                8 => (Cause::RubyObjects, 7.0),
                _ => (Cause::Nothing, 0.0),
            };
            // What jumped once may need more blocks, and is no leak.
            if endpoint == 6 {
                assert_ne!(signals.cause, Cause::RubyObjects);
                continue;
            }
            assert_eq!(signals.cause, wanted, "{endpoint}: {signals:?}");
            assert!((rate.estimate - is).abs() < 0.01, "{endpoint}: {rate:?}");
        }
    }

    #[test]
    fn few_blocks_tell_nothing() {
        let found = turns(3, 5, |_, _| 50.0).judge(&Margins::default());
        assert!(
            found.iter().all(|s| s.cause == Cause::Undecided),
            "{found:?}"
        );
    }

    /// Turns of mixed traffic say the same as those of each endpoint.
    #[test]
    fn mixed_turns_count() {
        let mut all = turns(2, 8, |endpoint, _| [50.0, 0.0][endpoint]);
        for block in 0..8u32 {
            let part = u64::from(20 + block);
            all.push(Turn {
                requests: vec![part, 50 - part],
                before: sample(1e5),
                after: sample(1e5 + part as f64),
            });
        }
        let found = all.judge(&Margins::default());
        let rate = found[0].objects.rate.expect("a rate");
        assert!((rate.estimate - 1.0).abs() < 1e-6, "{rate:?}");
        assert_eq!(found[1].cause, Cause::Nothing);
    }

    /// With noise of a few slots in each turn, intervals hold the truth as often
    /// as they say, and nothing is called a leak that is none.
    #[test]
    fn intervals_hold_the_truth_in_noise() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let (mut held, mut all, mut wrong) = (0, 0, 0);
        for _ in 0..60 {
            let truth = [0.0, 0.0, 1.0, 0.0, 0.2, 0.0];
            let noise = |random: &mut ChaCha8Rng| -> f64 {
                (0..4).map(|_| random.random_range(-1.5..1.5)).sum()
            };
            let turns = turns(6, 10, |endpoint, _| {
                truth[endpoint] * 50.0 + noise(&mut random)
            });
            for (signals, truth) in turns.judge(&Margins::default()).iter().zip(truth) {
                let rate = signals.objects.rate.expect("a rate");
                all += 1;
                held += usize::from(rate.low <= truth && truth <= rate.high);
                wrong += usize::from(truth == 0.0 && signals.objects.growth == Growth::Growing);
                assert!((rate.estimate - truth).abs() < 0.1, "{rate:?} for {truth}");
            }
        }
        assert!(held * 100 >= all * 94, "{held} of {all}");
        assert_eq!(wrong, 0);
    }

    #[test]
    fn every_endpoint_is_at_every_place() {
        for endpoints in 1..14 {
            let mut at = vec![vec![0; endpoints]; endpoints];
            let mut after = vec![vec![0; endpoints]; endpoints];
            for block in 0..endpoints {
                let order = balanced_order(endpoints, block);
                for (place, &endpoint) in order.iter().enumerate() {
                    at[place][endpoint] += 1;
                }
                order.windows(2).for_each(|two| after[two[0]][two[1]] += 1);
            }
            assert!(at.iter().flatten().all(|&times| times == 1), "{endpoints}");
            if endpoints % 2 == 0 {
                let pairs = after
                    .iter()
                    .enumerate()
                    .flat_map(|(a, row)| row.iter().enumerate().filter(move |(b, _)| a != *b));
                assert!(
                    pairs.into_iter().all(|(_, &times)| times == 1),
                    "{endpoints}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_changes_give_intervals_around_their_estimates(
            changes in prop::collection::vec(-1e5..1e5f64, 24..96),
        ) {
            let mut at = changes.iter().cycle();
            let found = turns(3, 8, |_, _| *at.next().unwrap()).judge(&Margins::default());
            for signals in found {
                if let Some(rate) = signals.objects.rate {
                    prop_assert!(rate.low <= rate.estimate && rate.estimate <= rate.high);
                }
            }
        }
    }
}
