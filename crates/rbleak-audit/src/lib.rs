//! Gems and Rubies known to leak: versions and requirements by RubyGems'
//! rules, lockfiles, advisories, and which of them apply.
//!
//! Pure: text and values in, values out. Must not know files, processes, the
//! clock (today is passed in), the environment, or reports.

pub mod lockfile;
mod requirement;
mod ruby;
mod version;

pub use lockfile::{Lockfile, LockfileError};
pub use requirement::{Clause, Operator, Requirement, RequirementError};
pub use ruby::{RubyVersion, RubyVersionError};
pub use version::{GemVersion, Segment, VersionError};
