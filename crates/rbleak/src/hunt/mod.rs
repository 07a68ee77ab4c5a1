//! A hunt: plan, measure, diagnose, say.
//!
//! ```text
//! flags ─▶ Plan ─measure─▶ rounds, dumps (in the run's folder) ─diagnose─▶ Diagnosis ─▶ Document
//! ```
//! The diagnosis knows only what was recorded, so that a recorded run (the
//! demo without a Ruby) takes the same way as a live one.

pub(crate) mod args;
pub(crate) mod budget;
pub(crate) mod command_line;
pub(crate) mod diagnose;
pub(crate) mod document;
pub(crate) mod endpoints;
mod endpoints_told;
pub(crate) mod marks;
pub(crate) mod measure;
pub(crate) mod plan;
mod traffic;
