//! The graph of a heap: dominators, and what each object keeps alive.
//!
//! An object dominates another if all ways from the roots to that one pass it:
//! were it gone, the other would be, too. What it dominates, itself included, is
//! what it *retains*.
//!
//! An edge is a reference, the class and the superclass of an object (a dump
//! leaves the class out of `references`, and without it tens of thousands of
//! live objects look unreachable), and what a root holds. Of stacks, inline
//! caches and the machine stack see [`Layer`]; the table of the allocation
//! tracer and rbleak's agent weigh nothing and are counted apart
//! ([`Dominators::tool_count`]).
//!
//! Everything is linear or nearly so in objects and references, recurses
//! nowhere, and holds whole heaps in a few arrays of u32. Knows neither files nor
//! how results are shown.

mod csr;
mod dominators;
mod input;
mod layers;
mod naming;
mod parts;
mod suspects;
mod top;
mod totals;
mod tree;
mod unreached;

pub use csr::{Csr, CsrError};
pub use dominators::{Count, Dominator, Dominators};
pub use input::GraphInput;
pub use layers::Layer;
pub use naming::{Place, Places};
pub use suspects::{Credit, Suspect};
pub use totals::Total;
pub use tree::DominatorTree;
pub use unreached::Unreached;
