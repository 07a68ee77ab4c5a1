//! `/proc/PID/mem` of a process that stands still.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::Memory;
use crate::maps::{self, Mapping};
use crate::{Pid, ProcessError, procfs};

/// The memory of a process. Whoever opens it sees to it that the process stands
/// still as long as it is read.
#[derive(Debug)]
pub struct Live {
    memory: File,
    mappings: Vec<Mapping>,
}

impl Live {
    /// Opens it.
    ///
    /// # Errors
    /// If the process is gone, or must not be looked at.
    pub fn open(pid: Pid) -> Result<Live, ProcessError> {
        let memory = File::open(procfs::path(pid, "mem"))
            .map_err(|source| ProcessError::reading(pid, "mem", source))?;
        Ok(Live {
            memory,
            mappings: maps::read(pid)?,
        })
    }
}

impl Memory for Live {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        // The kernel takes an offset for a signed number.
        i64::try_from(address).is_ok() && self.memory.read_exact_at(bytes, address).is_ok()
    }

    fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_is_read_and_nothing_else() {
        let live = Live::open(Pid::own()).unwrap();
        let here = [7_u8; 32];
        let mut bytes = [0; 32];
        assert!(live.read(here.as_ptr() as u64, &mut bytes));
        assert_eq!(bytes, here);
        for nowhere in [0, 8, u64::MAX, u64::MAX - 31, 1 << 63] {
            assert!(!live.read(nowhere, &mut bytes), "{nowhere:#x}");
        }
        assert!(!live.mappings().is_empty());
    }
}
