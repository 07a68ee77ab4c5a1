//! What is said of a series.

use crate::envelope::Axis;
use crate::sample::Signal;
use crate::shapes::Shape;
use rbleak_units::{Bytes, Interval};

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It has levelled off.
    Plateau,
    /// It keeps growing at a steady rate.
    Leak,
    /// It went up by steps and stays there: a large request, a batch; memory
    /// that was needed once and is not given back.
    Bloat,
    /// It grows ever more slowly without coming to a level, as the allocator's
    /// high-water marks do.
    Fragmentation,
    /// It still rises towards a level.
    WarmingUp,
    /// There are too few samples.
    NotEnoughData,
}

/// The verdicts that a series of sufficient length may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plateau,
    Leak,
    Bloat,
    Fragmentation,
    WarmingUp,
}

impl Kind {
    pub(crate) const COUNT: usize = 5;
    pub(crate) const ALL: [Kind; Kind::COUNT] = [
        Kind::Plateau,
        Kind::Leak,
        Kind::Bloat,
        Kind::Fragmentation,
        Kind::WarmingUp,
    ];

    pub(crate) fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn verdict(self) -> Verdict {
        match self {
            Kind::Plateau => Verdict::Plateau,
            Kind::Leak => Verdict::Leak,
            Kind::Bloat => Verdict::Bloat,
            Kind::Fragmentation => Verdict::Fragmentation,
            Kind::WarmingUp => Verdict::WarmingUp,
        }
    }
}

/// Which memory grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grows {
    /// Ruby's objects: live slots carry the growth.
    RubyObjects,
    /// Memory behind malloc, while Ruby's slots are flat.
    Native,
    /// What malloc has handed out, by Ruby's objects or beside them: the
    /// slots are not known.
    Malloc,
    /// What the allocator keeps beside what is in use.
    Allocator,
}

/// How fast it grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Of what: bytes, or objects of [`Signal::LiveSlots`].
    pub signal: Signal,
    /// Per hour, at 95 %.
    pub per_hour: Interval,
    /// Per request, at 95 %, where requests are known.
    pub per_request: Option<Interval>,
}

/// When the limit is reached if the growth goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeToLimit {
    /// The limit.
    pub limit: Bytes,
    /// Seconds from the last sample on, at 95 %; infinite at the upper end
    /// where the rate may be zero.
    pub seconds: Interval,
}

/// That growth is shown to be below a margin: a one-sided test of equivalence
/// (Schuirmann 1987), not a mere failure to find a slope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateauCertificate {
    /// The growth over a window like the observed one is below this share of
    /// the level, with 95 % confidence: the upper bound.
    pub growth_at_most: f64,
    /// The margin that the bound was held against, as a share of the level.
    pub margin: f64,
}

/// Everything that is said of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// How often verdicts of this confidence were right on labelled series,
    /// from 0 to 1; 0 without a verdict.
    pub confidence: f64,
    /// How likely a leak is, from 0 to 1, whatever the verdict.
    pub leak_probability: f64,
    /// Fewer than thirty samples: more may change the verdict.
    pub is_provisional: bool,
    /// Which signal decided.
    pub signal: Option<Signal>,
    /// The family of shapes that explains the deciding signal best.
    pub shape: Option<Shape>,
    /// Along which axis.
    pub axis: Axis,
    /// Which memory grows, where it does and the signals tell.
    pub grows: Option<Grows>,
    /// The rate over the later part of the window, whatever the verdict.
    pub rate: Option<Rate>,
    /// The same of the memory as the kernel sees it, for the time to a limit.
    pub footprint_rate: Option<Rate>,
    /// Only of a leak, and where a limit is given.
    pub time_to_limit: Option<TimeToLimit>,
    /// Only of a plateau or bloat that can be shown.
    pub plateau: Option<PlateauCertificate>,
    /// Lives of the process that were seen, and how many of them were long
    /// enough to be judged.
    pub lives: usize,
    /// Those that were long enough.
    pub lives_judged: usize,
}
