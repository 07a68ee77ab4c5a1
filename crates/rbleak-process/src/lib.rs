//! What the operating system knows of a process: maps, allocator, memory,
//! children, ports.
//!
//! Each module reads one thing from `/proc`, as proc(5) describes it, and
//! comes in two parts: `parse`, pure, from text to values, and `read`, thin,
//! which opens the file and names the process in its errors. This crate knows
//! neither Ruby's heap nor reports; it starts, stops and signals nothing, but for
//! [`inject`], which has a Ruby evaluate a piece of code, or a process copied.
//!
//! What the kernel says of a process is trusted over what the environment of
//! the process says: a library that failed to preload is in the environment,
//! and is not mapped.

#![deny(unsafe_code)]

pub mod allocator;
pub mod arenas;
pub mod available;
pub mod cgroup;
pub mod cmdline;
pub mod environ;
mod error;
pub mod exports;
pub mod inject;
pub mod kinds;
pub mod listening;
pub mod local_sockets;
pub mod maps;
pub mod memory;
mod pid;
mod procfs;
pub mod program;
pub mod ruby;
pub mod ruby_pages;
pub mod smaps;
pub mod smaps_rollup;
pub mod stat;
pub mod status;
pub mod thp;
pub mod tree;

pub use error::{MissingField, ProcessError};
pub use pid::Pid;
