//! The number of a process.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The number of a process, as `ps` shows it. The kernel gives numbers of
/// ended processes out again: together with
/// [`Stat::start_time`](crate::stat::Stat::start_time) it is an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

impl Pid {
    /// The process that calls.
    pub fn own() -> Pid {
        Pid(std::process::id())
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Pid {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Pid)
    }
}
