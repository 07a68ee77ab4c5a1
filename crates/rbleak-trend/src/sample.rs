//! One sample of a process's memory, and the figures it may hold.

use rbleak_units::Bytes;

/// What a process held at one moment. Whatever is not known is `None`; rows of
/// one series should know the same figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds since any moment, the same one for the whole series.
    pub at: f64,
    /// Requests answered so far, by any count that only rises within a life.
    pub requests: Option<f64>,
    /// Which life of the process: a restarted worker begins a new one. Any
    /// number that differs from life to life, such as the PID. `None`: not
    /// known, and restarts are guessed from the series.
    pub life: Option<u64>,
    /// Resident set.
    pub rss: Option<Bytes>,
    /// Proportional set.
    pub pss: Option<Bytes>,
    /// Anonymous memory.
    pub anonymous: Option<Bytes>,
    /// Ruby's live slots, best right after a collection.
    pub live_slots: Option<f64>,
    /// Bytes in use according to malloc, best right after a collection.
    pub malloc_in_use: Option<Bytes>,
}

/// A figure of a [`Sample`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Ruby's live slots.
    LiveSlots,
    /// Bytes in use behind malloc.
    MallocInUse,
    /// Anonymous memory.
    Anonymous,
    /// Proportional set.
    Pss,
    /// Resident set.
    Rss,
}

impl Signal {
    /// All of them, the one that says most of a leak first.
    pub const ALL: [Signal; 5] = [
        Signal::LiveSlots,
        Signal::MallocInUse,
        Signal::Anonymous,
        Signal::Pss,
        Signal::Rss,
    ];

    /// The figure in a sample; finite and not negative.
    pub fn of(self, sample: &Sample) -> Option<f64> {
        let value = match self {
            Signal::LiveSlots => sample.live_slots,
            Signal::MallocInUse => sample.malloc_in_use.map(Bytes::as_f64),
            Signal::Anonymous => sample.anonymous.map(Bytes::as_f64),
            Signal::Pss => sample.pss.map(Bytes::as_f64),
            Signal::Rss => sample.rss.map(Bytes::as_f64),
        };
        value.filter(|value| value.is_finite() && *value >= 0.0)
    }

    /// Whether it counts memory of the whole process, as the kernel sees it.
    pub fn is_footprint(self) -> bool {
        matches!(self, Signal::Anonymous | Signal::Pss | Signal::Rss)
    }
}
