//! How much of each mapping is in memory: `/proc/PID/smaps`, see
//! proc_pid_smaps(5).
//!
//! As dear to the process that is looked at as
//! [`smaps_rollup`](crate::smaps_rollup), and dearer to whoever reads it: some
//! 700 bytes of text for each mapping.

use crate::maps::{self, Mapping};
use crate::smaps_rollup::MemoryRollup;
use crate::status::kilobytes_of;
use crate::{Pid, ProcessError, procfs};

/// A mapping and what of it is in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Where, and what backs it.
    pub mapping: Mapping,
    /// Its memory.
    pub memory: MemoryRollup,
}

/// The mappings of a process with their memory, by ascending address.
///
/// # Errors
/// [`ProcessError::NoMemory`] for zombies and threads of the kernel, and see
/// there for the rest.
pub fn read(pid: Pid) -> Result<Vec<Resident>, ProcessError> {
    let all = parse(&procfs::text(pid, "smaps")?);
    if all.is_empty() {
        return Err(ProcessError::NoMemory { pid });
    }
    Ok(all)
}

/// The sums over all mappings, as `smaps_rollup` has them.
pub fn rollup(all: &[Resident]) -> MemoryRollup {
    all.iter().fold(MemoryRollup::default(), |sum, one| {
        let one = &one.memory;
        MemoryRollup {
            rss: sum.rss + one.rss,
            pss: sum.pss + one.pss,
            private: sum.private + one.private,
            anonymous: sum.anonymous + one.anonymous,
            huge: sum.huge + one.huge,
            swap: sum.swap + one.swap,
        }
    })
}

/// The mappings in the text of `/proc/PID/smaps`. What cannot be read is left
/// out: a mapping's line, or a figure of one.
pub fn parse(text: &str) -> Vec<Resident> {
    let mut all: Vec<Resident> = Vec::new();
    for line in text.lines() {
        // Figures begin with a capital, mappings with a number in small hex.
        if !line.starts_with(|c: char| c.is_ascii_uppercase()) {
            all.extend(maps::parse_line(line).map(|mapping| Resident {
                mapping,
                memory: MemoryRollup::default(),
            }));
            continue;
        }
        let Some((last, (key, value))) = all.last_mut().zip(line.split_once(':')) else {
            continue;
        };
        let memory = &mut last.memory;
        let figure = match key {
            "Rss" => &mut memory.rss,
            "Pss" => &mut memory.pss,
            "Private_Clean" | "Private_Dirty" => &mut memory.private,
            "Anonymous" => &mut memory.anonymous,
            "AnonHugePages" => &mut memory.huge,
            "Swap" => &mut memory.swap,
            _ => continue,
        };
        let more = kilobytes_of(value).unwrap_or_default();
        figure.0 = figure.0.saturating_add(more.0);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::Backing;
    use proptest::prelude::*;
    use rbleak_units::Bytes;

    const CAPTURED: &str = "\
55a0-55b0 rw-p 00000000 00:00 0                          [heap]
Size:                 64 kB
Rss:                  40 kB
Pss:                  20 kB
Pss_Dirty:            20 kB
Private_Clean:         4 kB
Private_Dirty:         8 kB
Anonymous:            40 kB
Swap:                  4 kB
VmFlags: rd wr mr mw me ac
7f00-7f10 r-xp 00000000 fe:00 12                         /usr/lib/libc.so.6
Rss:                  16 kB
Pss:                   1 kB
Private_Clean:         0 kB
THPeligible:           0
";

    #[test]
    fn each_mapping_has_its_figures() {
        let all = parse(CAPTURED);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].mapping.backing, Backing::Heap);
        let heap = all[0].memory;
        assert_eq!((heap.rss, heap.pss), (Bytes(40 << 10), Bytes(20 << 10)));
        assert_eq!((heap.private, heap.swap), (Bytes(12 << 10), Bytes(4 << 10)));
        assert_eq!(all[1].memory.rss, Bytes(16 << 10));
        assert_eq!(rollup(&all).rss, Bytes(56 << 10));
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(parse("Rss: 4 kB\nnonsense\n"), []);
        let cut = parse("55a0-55b0 rw-p 00000000 00:00 0 [heap]\nRss: x kB\nPs");
        assert_eq!(cut[0].memory, MemoryRollup::default());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(([0-9a-f]{1,6}-[0-9a-f]{1,6} rw-p 0 0:0 0 ?.{0,8}|(Rss|Swap|Private_Dirty): +[0-9]{1,20} kB|.{0,12})\n){0,12}") {
            let all = parse(&text);
            prop_assert!(all.len() <= text.lines().count());
        }
    }

    #[test]
    fn the_sum_of_the_own_mappings_is_about_the_rollup() {
        let sum = rollup(&read(Pid::own()).unwrap());
        let whole = crate::smaps_rollup::read(Pid::own()).unwrap();
        let apart = sum.rss.as_f64() - whole.rss.as_f64();
        assert!(apart.abs() < 0.2 * whole.rss.as_f64(), "{sum:?} {whole:?}");
    }
}
