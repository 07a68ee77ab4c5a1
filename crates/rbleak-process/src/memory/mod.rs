//! The memory of a process, to be read by address: that of a process which
//! stands still, or what a core file kept of it.
//!
//! Reading only, and nothing is believed: any address may be asked for, and what
//! is not there is told. What the bytes mean is not known here.

mod core;
mod live;

pub use self::core::{Core, CoreError};
pub use self::live::Live;

use crate::maps::Mapping;

/// Memory of a process.
pub trait Memory {
    /// Fills `bytes` with what lies from `address` on; `false` where some of it
    /// is not there.
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool;

    /// What is mapped, by ascending address.
    fn mappings(&self) -> &[Mapping];
}

/// Of a thread that stands still: what its registers hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Where its stack ends.
    pub stack_pointer: u64,
    /// All that may hold an address.
    pub general: Vec<u64>,
}
