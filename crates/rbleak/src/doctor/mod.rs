//! What a running Ruby really has for memory: looked at, judged, worded.

pub(crate) mod args;
pub(crate) mod document;
pub(crate) mod findings;
pub(crate) mod look;
pub(crate) mod start;
