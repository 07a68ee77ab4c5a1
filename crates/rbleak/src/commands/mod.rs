//! One file a command: it plans, calls the libraries, and turns what they
//! found into a document.

pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod hunt;
pub(crate) mod path;
pub(crate) mod retained;
