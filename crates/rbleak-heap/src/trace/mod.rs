//! From objects that stay to what holds them: the finding of a hunt.
//!
//! An allocation site tells where an object was born, not who keeps it. Here
//! the survivors of a diff are followed upward, from each to the old object
//! it hangs on (the accumulation point) and on to something with a name: a
//! constant, a class-level instance variable, a global, a closure. This module
//! must not know requests, rates or how a finding is shown.

mod benign;
mod cluster;
pub(crate) mod entries;
mod grower;
mod holder;
mod path_tree;
mod paths;
mod reach;
mod tracer;
pub(crate) mod words;

pub use benign::{Benign, ROWS as BENIGN};
pub use cluster::SIMILAR;
pub use entries::{HashEntry, hash_entry};
pub use grower::{Grower, growers};
pub use holder::{Holder, HolderName, HolderSite, Step, TraceInput, holders};
pub use path_tree::{PathRow, PathTree};
pub use paths::{PathTo, Paths};
pub use reach::{Parent, Reach};
pub use tracer::tool_objects;
pub use words::root_in_words;
