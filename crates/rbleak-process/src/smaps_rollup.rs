//! How much memory a process holds: `/proc/PID/smaps_rollup`, see
//! proc_pid_smaps(5). Linux 4.14 and later.
//!
//! The kernel walks all pages for it, about 30 to 100 ms per resident GB, and
//! holds up the process's own mmap calls meanwhile: read it every ten seconds
//! or so, not every second.

use rbleak_units::Bytes;

use crate::status::kilobytes;
use crate::{MissingField, Pid, ProcessError, procfs};

/// The memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryRollup {
    /// Resident set: everything in RAM. Counts shared pages in full, so that
    /// the sum over a tree of forked workers counts them many times.
    pub rss: Bytes,
    /// Proportional set: each shared page divided by the number of its users.
    /// The one to add up over a tree.
    pub pss: Bytes,
    /// Unique set (USS): what would be free if the process ended. The one to
    /// follow over time in a worker that shares pages with others.
    pub private: Bytes,
    /// Memory that belongs to no file.
    pub anonymous: Bytes,
    /// The part of it in transparent huge pages.
    pub huge: Bytes,
    /// What lies in swap space.
    pub swap: Bytes,
}

/// The memory of a process.
///
/// # Errors
/// See [`ProcessError`].
pub fn read(pid: Pid) -> Result<MemoryRollup, ProcessError> {
    procfs::parsed(pid, "smaps_rollup", parse)
}

/// Reads the text of `/proc/PID/smaps_rollup`.
///
/// # Errors
/// When a line is missing.
pub fn parse(text: &str) -> Result<MemoryRollup, MissingField> {
    Ok(MemoryRollup {
        rss: kilobytes(text, "Rss")?,
        pss: kilobytes(text, "Pss")?,
        private: kilobytes(text, "Private_Clean")? + kilobytes(text, "Private_Dirty")?,
        anonymous: kilobytes(text, "Anonymous")?,
        // Not on kernels without huge pages.
        huge: kilobytes(text, "AnonHugePages").unwrap_or_default(),
        swap: kilobytes(text, "Swap")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &str = "\
559c9d1d9000-7fff64e93000 ---p 00000000 00:00 0                          [rollup]
Rss:                1640 kB
Pss:                 472 kB
Pss_Dirty:           112 kB
Pss_Anon:            111 kB
Shared_Clean:       1436 kB
Shared_Dirty:          0 kB
Private_Clean:        92 kB
Private_Dirty:       112 kB
Referenced:         1640 kB
Anonymous:           113 kB
AnonHugePages:         0 kB
Swap:                  7 kB
SwapPss:               0 kB
";

    #[test]
    fn kilobytes_of_the_kernel_are_1024_bytes() {
        let memory = parse(CAPTURED).unwrap();
        assert_eq!(memory.rss, Bytes(1640 * 1024));
        assert_eq!(memory.pss, Bytes(472 * 1024));
        assert_eq!(memory.private, Bytes((92 + 112) * 1024));
        assert_eq!(memory.anonymous, Bytes(113 * 1024));
        assert_eq!(memory.swap, Bytes(7 * 1024));
    }

    #[test]
    fn a_missing_line_is_named() {
        assert_eq!(parse("Rss: 1 kB\n"), Err(MissingField("Pss")));
        assert_eq!(parse("Rss: many kB\n"), Err(MissingField("Rss")));
    }

    #[test]
    fn the_own_process_holds_memory() {
        let memory = read(Pid::own()).unwrap();
        assert!(memory.private <= memory.pss && memory.pss <= memory.rss);
        assert!(memory.private > Bytes(0));
    }
}
