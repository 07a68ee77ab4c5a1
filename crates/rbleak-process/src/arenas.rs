//! How many arenas glibc's malloc has made: from the mappings, and a look at
//! the first words of what may be one.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::maps::{Backing, Mapping};
use crate::{Pid, procfs};

/// HEAP_MAX_SIZE of malloc/arena.c on 64 bits: heaps of arenas other than the
/// main one begin at multiples of it.
const HEAP: u64 = 64 << 20;

/// The number of arenas, the main one too. `None` where the memory of the
/// process cannot be read.
pub fn count(pid: Pid, mappings: &[Mapping]) -> Option<usize> {
    let memory = File::open(procfs::path(pid, "mem")).ok()?;
    let own = |address: u64| {
        let mut all = mappings.iter().filter(|m| m.access.write);
        all.any(|m| (m.start.0..m.end.0).contains(&address))
    };
    let mut arenas = BTreeSet::new();
    for mapping in mappings {
        let is_plain = matches!(
            mapping.backing,
            Backing::Anonymous | Backing::NamedAnonymous(_)
        );
        if !is_plain || !mapping.access.write || !mapping.access.read {
            continue;
        }
        // The kernel merges neighbours: several may begin in one mapping.
        let mut start = mapping.start.0.next_multiple_of(HEAP);
        while start < mapping.end.0 {
            if let Some(arena) = heap_at(&memory, start).filter(|arena| own(*arena)) {
                arenas.insert(arena);
            }
            start += HEAP;
        }
    }
    Some(arenas.len() + 1)
}

/// The arena of the heap that begins at `start`: `heap_info` of
/// malloc/arena.c, which begins with the arena, the heap before, the size, and
/// the size that may be written.
fn heap_at(memory: &File, start: u64) -> Option<u64> {
    let mut bytes = [0; 32];
    memory.read_exact_at(&mut bytes, start).ok()?;
    let word = |i: usize| u64::from_ne_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap_or([0; 8]));
    let [arena, before, size, writable] = [word(0), word(1), word(2), word(3)];
    let plausible = size > 0
        && size <= HEAP
        && size % 16 == 0
        && writable >= size
        && writable <= HEAP
        && writable % 4096 == 0
        && before % HEAP == 0
        // The first heap of an arena holds the arena itself.
        && (before != 0 || (arena > start && arena < start + 4096));
    plausible.then_some(arena)
}
