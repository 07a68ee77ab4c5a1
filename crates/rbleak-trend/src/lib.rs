//! From samples of memory to a verdict with its interval.
//!
//! A hunt works in rounds: so many requests, a full collection, a sample. This
//! crate takes such samples, tells what grows and at what rate a request, and
//! says when more rounds are needed. It is pure: it must not know where a
//! sample came from, what a process is, or what time it is.

mod growth;
mod rounds;
mod sen;

pub use growth::{Assessment, Growth, assess};
pub use rounds::{Cause, Margins, RoundSample, Rounds, Signals};
pub use sen::{Point, sen_slope};
