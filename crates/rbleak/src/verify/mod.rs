//! Whether a leak is gone: one run of a hunt against another.
//!
//! ```text
//! two run folders ─▶ Recorded, Recorded ─judge─▶ Judged ─▶ Document
//! ```
//! A run is known by what lies in its folder alone, so that runs of long ago
//! and of other machines take the same way as two that were just made.

pub(crate) mod args;
pub(crate) mod baseline;
pub(crate) mod document;
pub(crate) mod judge;
pub(crate) mod recorded;
