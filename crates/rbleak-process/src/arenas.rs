//! How many arenas glibc's malloc has made: from the mappings, and a look at
//! the first words of what may be one.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::maps::{Backing, Mapping};
use crate::{Pid, procfs};

/// HEAP_MAX_SIZE of malloc/arena.c on 64 bits: heaps of arenas other than the
/// main one begin at multiples of it.
const HEAP: u64 = 64 << 20;

/// A stretch of 64 MiB that an arena other than the main one has reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaHeap {
    /// Where it begins.
    pub start: u64,
    /// The arena that it belongs to.
    pub arena: u64,
}

impl ArenaHeap {
    /// The addresses that it has reserved, used or not.
    pub fn range(&self) -> Range<u64> {
        self.start..self.start + HEAP
    }
}

/// The number of arenas, the main one too. `None` where the memory of the
/// process cannot be read.
pub fn count(pid: Pid, mappings: &[Mapping]) -> Option<usize> {
    Some(number(&heaps(pid, mappings)?))
}

/// The number of arenas that these belong to, and the main one.
pub fn number(heaps: &[ArenaHeap]) -> usize {
    let arenas: BTreeSet<u64> = heaps.iter().map(|heap| heap.arena).collect();
    arenas.len() + 1
}

/// The heaps of all arenas but the main one, by address. `None` where the
/// memory of the process cannot be read.
pub fn heaps(pid: Pid, mappings: &[Mapping]) -> Option<Vec<ArenaHeap>> {
    let memory = File::open(procfs::path(pid, "mem")).ok()?;
    let own = |address: u64| {
        let mut all = mappings.iter().filter(|m| m.access.write);
        all.any(|m| (m.start.0..m.end.0).contains(&address))
    };
    let mut found = Vec::new();
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
                found.push(ArenaHeap { start, arena });
            }
            start += HEAP;
        }
    }
    Some(found)
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
