//! Gems and Rubies known to leak: versions and requirements by RubyGems'
//! rules, lockfiles, advisories, and which of them apply.
//!
//! Pure: text and values in, values out. Must not know files, processes, the
//! clock (today is passed in), the environment, or reports.

pub mod advisory;
mod database;
mod ignore;
pub mod lockfile;
pub mod matching;
mod requirement;
mod ruby;
mod version;

pub use advisory::Advisory;
pub use database::{Database, Store, StoreError};
pub use ignore::{Ignore, Ignores};
pub use lockfile::{Lockfile, LockfileError};
pub use matching::{AdvisoryMatch, Audit, Question, audit};
pub use requirement::{Clause, Operator, Requirement, RequirementError};
pub use ruby::{RubyVersion, RubyVersionError};
pub use version::{GemVersion, Segment, VersionError};
