//! The ends of lines that were read last.
//!
//! From `file` on, a line of an object says where it was allocated, when, how
//! large it is and its flags; thousands of lines say just the same. What was
//! read once is found again by its bytes, all of them compared, and not read
//! a second time. Knows nothing of what stands before.

use crate::columns::ABSENT;

/// So many ends are remembered at first, and at most: a small dump shall not
/// pay for a table that it does not fill.
const FIRST_BITS: u32 = 4;
const MOST_BITS: u32 = 13;
/// Longer ends are read each time.
const MAX_BYTES: usize = 256;
/// Shorter ones are as quickly read as found.
const MIN_BYTES: usize = 16;

/// What the end of a line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// Where the file's name is in the bytes: start and length.
    pub(super) file: Option<(u16, u16)>,
    pub(super) method: Option<(u16, u16)>,
    pub(super) line: Option<u64>,
    pub(super) generation: Option<u64>,
    pub(super) memsize: Option<u64>,
}

/// Where an end is or would be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TailSlot(u32);

#[derive(Clone)]
struct Entry {
    bytes: [u8; MAX_BYTES],
    length: usize,
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
    bytes: [0; MAX_BYTES],
    length: 0,
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
        if self.entries.is_empty() || bytes.len() < MIN_BYTES {
            return None;
        }
        let slot = self.slot(bytes);
        let entry = &self.entries[slot];
        (entry.bytes[..entry.length] == *bytes).then_some((TailSlot(slot as u32), &entry.tail))
    }

    /// Remembers what these bytes say, instead of what was remembered in their
    /// place; `None` if they are too long or too short for that.
    pub(super) fn put(&mut self, bytes: &[u8], tail: Tail) -> Option<TailSlot> {
        if !(MIN_BYTES..=MAX_BYTES).contains(&bytes.len()) {
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
        let slot = self.slot(bytes);
        let entry = &mut self.entries[slot];
        entry.bytes[..bytes.len()].copy_from_slice(bytes);
        entry.length = bytes.len();
        entry.tail = tail;
        entry.spelling = ABSENT;
        Some(TailSlot(slot as u32))
    }

    #[inline]
    fn slot(&self, bytes: &[u8]) -> usize {
        (hash(bytes) >> 32) as usize & (self.entries.len() - 1)
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

/// Of at least 16 bytes. Products of pairs of words, which do not wait for
/// each other; good enough for a table in which the last one wins.
#[inline]
fn hash(bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
    let mix = |pair: &[u8; 16], salt: u64| {
        let (low, high) = pair.split_first_chunk::<8>().map_or((0, 0), |(low, high)| {
            (word(low), high.first_chunk::<8>().map_or(0, word))
        });
        // Digits of pi.
        let product = u128::from(low ^ salt) * u128::from(high ^ 0x1319_8a2e_0370_7344);
        product as u64 ^ (product >> 64) as u64
    };
    let mut hash = bytes.len() as u64;
    let mut salt = 0x243f_6a88_85a3_08d3_u64;
    let (pairs, _) = bytes.as_chunks::<16>();
    for pair in pairs {
        hash = hash.wrapping_add(mix(pair, salt));
        salt = salt.wrapping_add(0xa409_3822_299f_31d0);
    }
    if let Some(last) = bytes.last_chunk::<16>() {
        hash = hash.wrapping_add(mix(last, salt));
    }
    hash.wrapping_mul(0x082e_fa98_ec4e_6c89)
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
        assert_eq!(tails.put(&[b'x'; MAX_BYTES + 1], tail), None);
        assert_eq!(tails.put(b"short", tail), None);
    }

    #[test]
    fn grows_to_its_bound_and_finds_what_was_put_last() {
        let mut tails = Tails::default();
        for number in 0..20_000_u64 {
            let bytes = format!("memsize\":{number}, \"flags\":{{}}}}");
            let tail = Tail {
                memsize: Some(number),
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

    #[test]
    fn every_byte_counts_for_the_place() {
        for length in [16, 17, 31, 32, 33, 200, MAX_BYTES] {
            let bytes = vec![b'1'; length];
            let place = hash(&bytes) >> 32 & 0xfff;
            let same = (0..length)
                .filter(|&at| {
                    let mut other = bytes.clone();
                    other[at] = b'2';
                    hash(&other) >> 32 & 0xfff == place
                })
                .count();
            assert!(same <= 2, "{same} of {length}");
        }
    }
}
