//! Ruby heap dumps: read, diff, trace to their holders.
//!
//! Bytes in, values out. A dump ([`Heap::open`], [`Heap::read`]) becomes
//! columns, one row an object; [`diff()`] says which objects of a later dump
//! were not there in an earlier one. Reading never fails on a bad line: the value
//! comes with its [`Issues`], and being strict is up to the caller.
//!
//! This crate prints nothing, reads neither environment nor clock, and knows
//! neither processes nor reports. On Linux a file that nobody writes to is mapped
//! under a lease while it is read; for what may happen to it all the same a handler
//! of SIGBUS is installed, which passes on what is not its own.
//!
//! # Three questions
//!
//! What is biggest, who holds it, what grew? `examples/three_questions.rs` asks
//! them of two files; here of a few lines.
//!
//! ```
//! use rbleak_heap::graph::{Dominators, GraphInput};
//! use rbleak_heap::trace::Paths;
//! use rbleak_heap::{Heap, Identity, Names, ReadOptions, diff};
//!
//! let before = r#"{"type":"ROOT", "root":"vm", "references":["0x4000"]}
//! {"address":"0x4000", "type":"MODULE", "name":"Leaky", "references":["0x4028"], "memsize":200}
//! {"address":"0x4028", "type":"ARRAY", "length":0, "memsize":40}
//! "#;
//! let after = r#"{"type":"ROOT", "root":"vm", "references":["0x4000"]}
//! {"address":"0x4000", "type":"MODULE", "name":"Leaky", "references":["0x4028"], "memsize":200}
//! {"address":"0x4028", "type":"ARRAY", "length":1, "references":["0x4050"], "memsize":40}
//! {"address":"0x4050", "type":"STRING", "bytesize":9000, "memsize":9040}
//! "#;
//! let options = ReadOptions::default();
//! let heaps = [
//!     Heap::read(before.as_bytes(), "before", &options)?,
//!     Heap::read(after.as_bytes(), "after", &options)?,
//! ];
//! let heap = &heaps[1];
//!
//! // What is biggest?
//! let names = Names::default();
//! let dominators = Dominators::new(GraphInput {
//!     heap,
//!     names: &names,
//!     is_tool_file: &|_| false,
//! })?;
//! let biggest = dominators.top()[0];
//! assert_eq!(heap.name(biggest), Some("Leaky"));
//! assert_eq!(dominators.retained_size(biggest).0, 200 + 40 + 9040);
//!
//! // What grew?
//! let found = diff(&heaps, Identity::Auto)?;
//! let [new] = found.survivors() else { panic!("one object is new") };
//! assert_eq!(heap.shallow_size(new.id).0, 9040);
//!
//! // Who holds it?
//! let path = Paths::new(heap, &names).to(new.id).expect("a root leads there");
//! assert_eq!(path.name.to_string(), "Leaky (the class itself)");
//! let steps: Vec<_> = path.steps.iter().map(|(_, step)| &*step.object).collect();
//! assert_eq!(steps, ["internal Array (1)", "STRING (internal)"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
mod look;
mod memory;
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
mod series;
mod shapes;
mod sites;
mod sniff;
mod stream;
mod twin;
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
pub use issues::{Cut, Issue, IssueKind, Issues, Reason, Truncation};
pub use memory::{Analysis, Extent, Memory, estimate};
pub use names::{CodeLocation, Names};
pub use neighbours::Neighbours;
pub use object_type::ObjectType;
pub use origin::{Origin, origin};
pub use read::ReadOptions;
pub use shapes::{Shape, Shapes};
pub use version::RubyHint;
