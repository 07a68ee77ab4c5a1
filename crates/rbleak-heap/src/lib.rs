//! Ruby heap dumps: read, diff, trace to their holders.
//!
//! Bytes in, values out. A dump ([`Heap::open`], [`Heap::read`]) becomes
//! columns, one row an object; [`diff()`] says which objects of a later dump
//! were not there in an earlier one. Reading never fails on a bad line: the value
//! comes with its [`Issues`], and being strict is up to the caller.
//!
//! This crate prints nothing, reads neither environment nor clock, and knows
//! neither processes nor reports.

mod builder;
mod chunks;
mod columns;
mod copy;
mod detail;
mod error;
mod group;
mod heap;
mod heapy;
mod ids;
mod index;
mod input;
mod interner;
mod issues;
mod kinds;
mod known;
mod look;
mod mapping;
mod names;
mod naming;
mod neighbours;
mod object;
mod object_type;
mod origin;
mod pages;
mod parallel;
mod read;
mod reader;
mod resolve;
mod scan;
mod shapes;
mod sites;
mod sniff;
mod version;

pub mod diff;
pub mod graph;
pub mod summary;
pub mod trace;

pub use copy::{CopyError, copy_lines};
pub use detail::Detail;
pub use diff::{Diff, DiffError, Identity, diff};
pub use error::ReadError;
pub use group::{Filter, Group, GroupBy, Key, group};
pub use heap::{Heap, TypeCount};
pub use heapy::{HeapyRow, heapy_rows};
pub use ids::{AllocationSite, Generation, ObjectId, Root, SiteId};
pub use issues::{Issue, IssueKind, Issues, Reason, Truncation};
pub use names::{CodeLocation, Names};
pub use neighbours::Neighbours;
pub use object_type::ObjectType;
pub use origin::{Origin, origin};
pub use read::ReadOptions;
pub use shapes::{Shape, Shapes};
pub use version::RubyHint;
