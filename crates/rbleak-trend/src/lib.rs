//! From samples of memory to a verdict with its interval.
//!
//! Two ways lead through this crate, over the same statistics. A hunt works in
//! [`Rounds`]: so many requests, a full collection, a sample; the question is
//! which kind of memory grows per request. A watch or a recording is a
//! [`MemorySeries`] of whatever could be sampled from outside, and [`judge`]
//! tells a plateau, a leak, bloat, fragmentation and warming up apart, with a
//! confidence, a rate with its interval, and a certificate for a plateau.
//!
//! It is pure: it must not know where a sample came from, what a process is,
//! or what time it is. The verdict of a series is a heuristic whose figures
//! come from labelled series; see `examples/bars`.

mod calibration;
mod compare;
mod endpoints;
mod envelope;
mod growth;
mod judge;
mod kendall;
mod least_squares;
mod lives;
mod rate;
pub mod recording;
mod rounds;
mod sample;
mod sen;
mod series;
mod shapes;
mod verdict;
mod weigh;

pub use compare::difference;
pub use endpoints::{EndpointTurns, Turn, balanced_order};
pub use envelope::Axis;
pub use growth::{Assessment, Fit, Growth, assess, fit};
pub use judge::{Settings, judge, seconds_until};
pub use rounds::{
    Bound, CERTIFIED_ROUNDS, Cause, FlatCertificate, Margins, RoundSample, Rounds, Signals,
};
pub use sample::{Sample, Signal};
pub use sen::{Point, sen_slope};
pub use series::MemorySeries;
pub use shapes::Shape;
pub use verdict::{Grows, Judgement, PlateauCertificate, Rate, TimeToLimit, Verdict};
