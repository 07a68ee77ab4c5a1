//! Which Ruby wrote a dump, told by what it writes.
//!
//! A dump does not say. Each row of [`MARKERS`] is something that appeared
//! with, or disappeared before, a version. A new Ruby is a row here and a
//! fixture.

use std::fmt;

/// The range of Ruby versions that may have written a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RubyHint {
    /// The first version (major, minor) that writes what was seen.
    pub at_least: (u8, u8),
    /// The last version that writes what was seen; `None`: still does.
    pub at_most: Option<(u8, u8)>,
}

impl fmt::Display for RubyHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.at_least;
        match self.at_most {
            Some(last) if last == self.at_least => write!(f, "Ruby {major}.{minor}"),
            Some(last) => write!(f, "Ruby {major}.{minor} to {}.{}", last.0, last.1),
            None => write!(f, "Ruby {major}.{minor} or later"),
        }
    }
}

/// Major, minor.
type Version = (u8, u8);

/// What a version can be told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// Live objects without memsize: it did not count the slot.
    NoMemsize,
    Imemo,
    ImemoType,
    /// `superclass` on classes.
    Superclass,
    Shape,
    /// Shapes of the types CAPACITY_CHANGE and INITIAL_CAPACITY.
    CapacityShape,
    /// Shapes of type FROZEN.
    FrozenShape,
    /// `imemo_type` callcache with `receiver_class`.
    ReceiverClass,
    /// `chilled` strings.
    Chilled,
    /// A root `global_list`.
    ListRoot,
    /// Internal objects `fields`, or shapes of type OBJ_ID.
    Fields,
}

const COUNT: usize = Marker::Fields as usize + 1;

/// Marker, first version that writes it, last version that does.
const MARKERS: [(Marker, Version, Option<Version>); COUNT] = [
    (Marker::NoMemsize, (2, 1), Some((2, 1))),
    (Marker::Imemo, (2, 3), None),
    (Marker::ImemoType, (2, 5), None),
    (Marker::Superclass, (3, 1), None),
    (Marker::Shape, (3, 2), None),
    (Marker::CapacityShape, (3, 2), Some((3, 2))),
    (Marker::FrozenShape, (3, 2), Some((3, 4))),
    (Marker::ReceiverClass, (3, 3), None),
    (Marker::Chilled, (3, 4), None),
    (Marker::ListRoot, (2, 1), Some((3, 3))),
    (Marker::Fields, (4, 0), None),
];

/// Markers that every full dump of its version has, with the last version
/// that lacks it: its absence tells something too.
const ABSENT: [(Marker, Version); 6] = [
    (Marker::Imemo, (2, 2)),
    (Marker::ImemoType, (2, 4)),
    (Marker::Superclass, (3, 0)),
    (Marker::Shape, (3, 1)),
    (Marker::ReceiverClass, (3, 2)),
    (Marker::Fields, (3, 4)),
];

/// The markers seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Markers(u32);

impl Markers {
    pub(crate) fn see(&mut self, marker: Marker) {
        self.0 |= 1 << marker as u32;
    }

    /// What another part of the dump has seen, too.
    pub(crate) fn merge(&mut self, other: Markers) {
        self.0 |= other.0;
    }

    pub(crate) fn has(self, marker: Marker) -> bool {
        self.0 & (1 << marker as u32) != 0
    }

    /// What the markers say; `full` if the dump lists the whole heap.
    pub(crate) fn hint(self, full: bool) -> RubyHint {
        let mut at_least = (2, 1);
        let mut at_most: Option<Version> = None;
        let mut cap = |last: Version| at_most = Some(at_most.map_or(last, |most| most.min(last)));
        for (marker, first, last) in MARKERS {
            if self.has(marker) {
                at_least = at_least.max(first);
                if let Some(last) = last {
                    cap(last);
                }
            }
        }
        if full {
            for (marker, last) in ABSENT {
                if !self.has(marker) {
                    cap(last);
                }
            }
        }
        // Contradictions come from edited dumps: what was seen counts.
        RubyHint {
            at_least,
            at_most: at_most.map(|most| most.max(at_least)),
        }
    }
}
