//! The program that a process runs, as far as its first bytes tell.

use std::fs::File;
use std::io::Read;

use crate::{Pid, ProcessError, procfs};

/// Whether it is a program of 32 bits, by the class in its ELF header
/// (elf(5)).
///
/// # Errors
/// When the process has ended or must not be looked at.
pub fn is_32_bit(pid: Pid) -> Result<bool, ProcessError> {
    const CLASS: usize = 4; // EI_CLASS
    let mut header = [0; CLASS + 1];
    let read = File::open(procfs::path(pid, "exe")).and_then(|mut it| it.read_exact(&mut header));
    read.map_err(|source| ProcessError::reading(pid, "exe", source))?;
    Ok(header.starts_with(b"\x7fELF") && header[CLASS] == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_program_is_as_wide_as_its_pointers() {
        assert_eq!(is_32_bit(Pid::own()).unwrap(), size_of::<usize>() == 4);
        assert!(is_32_bit(Pid(u32::MAX)).is_err());
    }
}
