//! The ends of lines that were read last.
//!
//! From `file` on, a line of an object says where it was allocated, when, how
//! large it is and its flags; thousands of lines say just the same. What was
//! read once is found again by XXH3's 128 bits, and not read a second time: of
//! ten million ends chosen without malice two have the same bits once in
//! 10^24 dumps. Knows nothing of what stands before.

use crate::columns::ABSENT;
use std::ops::RangeInclusive;
use twox_hash::XxHash3_128;

/// So many ends are remembered at first, and at most: a small dump shall not
/// pay for a table that it does not fill.
const FIRST_BITS: u32 = 4;
const MOST_BITS: u32 = 13;
/// Shorter ends are as quickly read as found; longer ones hardly come twice.
const LENGTHS: RangeInclusive<usize> = 16..=1024;

/// What the end of a line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// Where the file's name is in the bytes: start and length.
    pub(super) file: Option<(u16, u16)>,
    pub(super) method: Option<(u16, u16)>,
    pub(super) line: Option<u32>,
    pub(super) generation: Option<u32>,
    pub(super) memsize: Option<u32>,
}

/// Where an end is or would be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TailSlot(u32);

#[derive(Clone, Copy)]
struct Entry {
    /// Of the end's bytes.
    hash: u128,
    tail: Tail,
    /// How the site is spelt, for who numbers spellings; [`ABSENT`] as long as
    /// nobody said.
    spelling: u32,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Tails {
    /// Empty, or a power of two.
    entries: Vec<Entry>,
    /// What was put since the table has its size.
    puts: usize,
}

const NOTHING: Entry = Entry {
    hash: 0,
    tail: Tail {
        file: None,
        method: None,
        line: None,
        generation: None,
        memsize: None,
    },
    spelling: ABSENT,
};

impl Tails {
    /// What these bytes say and where that is remembered, if it is.
    #[inline]
    pub(super) fn get(&self, bytes: &[u8]) -> Option<(TailSlot, &Tail)> {
        if self.entries.is_empty() || !LENGTHS.contains(&bytes.len()) {
            return None;
        }
        let hash = hash(bytes);
        let slot = self.slot(hash);
        let entry = &self.entries[slot];
        (entry.hash == hash).then_some((TailSlot(slot as u32), &entry.tail))
    }

    /// Remembers what these bytes say, instead of what was remembered in their
    /// place; `None` if they are too long or too short for that.
    pub(super) fn put(&mut self, bytes: &[u8], tail: Tail) -> Option<TailSlot> {
        if !LENGTHS.contains(&bytes.len()) {
            return None;
        }
        let slots = self.entries.len();
        if slots == 0 || (self.puts >= slots && slots < 1 << MOST_BITS) {
            let larger = (slots * 4).clamp(1 << FIRST_BITS, 1 << MOST_BITS);
            // Places change with the size, and what is forgotten comes again.
            self.entries = vec![NOTHING; larger];
            self.puts = 0;
        }
        self.puts += 1;
        let hash = hash(bytes);
        let slot = self.slot(hash);
        self.entries[slot] = Entry {
            hash,
            tail,
            spelling: ABSENT,
        };
        Some(TailSlot(slot as u32))
    }

    #[inline]
    fn slot(&self, hash: u128) -> usize {
        hash as usize & (self.entries.len() - 1)
    }

    /// How the site in the bytes that are remembered there is spelt.
    #[inline]
    pub(crate) fn spelling(&self, slot: TailSlot) -> u32 {
        self.entries[slot.0 as usize].spelling
    }

    /// Remembers that too.
    pub(crate) fn spell(&mut self, slot: TailSlot, spelling: u32) {
        self.entries[slot.0 as usize].spelling = spelling;
    }
}

#[inline]
fn hash(bytes: &[u8]) -> u128 {
    XxHash3_128::oneshot(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_and_nothing_else() {
        let mut tails = Tails::default();
        let bytes = b"memsize\":40, \"flags\":{}}";
        assert_eq!(tails.get(bytes), None);
        let tail = Tail {
            memsize: Some(40),
            ..Tail::default()
        };
        let slot = tails.put(bytes, tail).expect("of a usual length");
        assert_eq!(tails.get(bytes), Some((slot, &tail)));
        for at in 0..bytes.len() {
            let mut other = *bytes;
            other[at] ^= 1;
            assert_eq!(tails.get(&other), None);
            assert_eq!(tails.get(&bytes[..at]), None);
        }
        assert_eq!(tails.put(&[b'x'; 1025], tail), None);
        assert_eq!(tails.put(b"short", tail), None);
    }

    #[test]
    fn grows_to_its_bound_and_finds_what_was_put_last() {
        let mut tails = Tails::default();
        for number in 0..20_000_u64 {
            let bytes = format!("memsize\":{number}, \"flags\":{{}}}}");
            let tail = Tail {
                memsize: Some(number as u32),
                ..Tail::default()
            };
            let slot = tails.put(bytes.as_bytes(), tail);
            let found = tails
                .get(bytes.as_bytes())
                .map(|(slot, tail)| (Some(slot), *tail));
            assert_eq!(found, Some((slot, tail)));
        }
        assert_eq!(tails.entries.len(), 1 << MOST_BITS);
    }
}
