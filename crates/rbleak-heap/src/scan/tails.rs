//! The ends of lines that were read last.
//!
//! From `file` on, a line of an object says where it was allocated, when, how
//! large it is and its flags; thousands of lines say just the same but for the
//! flags, which no heap keeps. What was read once is found again by XXH3's 128
//! bits, and not read a second time: of ten million ends chosen without malice
//! two have the same bits once in 10^24 dumps. Knows nothing of what stands
//! before.

use crate::columns::ABSENT;
use std::ops::RangeInclusive;
use twox_hash::XxHash3_128;

/// So many sets of ends are remembered at first, and at most: a small dump
/// shall not pay for a table that it does not fill.
const FIRST_BITS: u32 = 3;
const MOST_BITS: u32 = 12;
/// Shorter ends are as quickly read as found; longer ones hardly come twice.
const LENGTHS: RangeInclusive<usize> = 16..=1024;

/// What the end of a line says of what rows keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// [`ABSENT`] for none.
    pub(crate) generation: u32,
    /// [`ABSENT`] for none.
    pub(crate) memsize: u32,
    /// How the site is spelt, for who numbers spellings; [`ABSENT`] for a line
    /// without.
    pub(crate) spelling: u32,
}

/// By what an end is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TailHash(u128);

#[derive(Clone, Copy)]
struct Entry {
    hash: u128,
    tail: Tail,
}

/// Two ends that share a place and, with that, a line of the processor's cache:
/// with one in each place, two that come often would forget each other.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Set([Entry; 2]);

/// See the module.
#[derive(Default)]
pub(crate) struct Tails {
    /// Empty, or a power of two.
    sets: Vec<Set>,
    /// What was put since the table has its size.
    puts: usize,
}

const NOTHING: Entry = Entry {
    hash: 0,
    tail: Tail {
        generation: ABSENT,
        memsize: ABSENT,
        spelling: ABSENT,
    },
};

impl Tails {
    /// What the end with this hash says, if that is remembered.
    #[inline]
    pub(crate) fn get(&self, hash: TailHash) -> Option<&Tail> {
        let mask = self.sets.len().checked_sub(1)?;
        let Set([newer, older]) = &self.sets[hash.0 as usize & mask];
        if newer.hash == hash.0 {
            Some(&newer.tail)
        } else {
            (older.hash == hash.0).then_some(&older.tail)
        }
    }

    /// Remembers what the end with this hash says, instead of the older of two
    /// in the same place.
    pub(crate) fn put(&mut self, hash: TailHash, tail: Tail) {
        let sets = self.sets.len();
        if sets == 0 || (self.puts >= 2 * sets && sets < 1 << MOST_BITS) {
            let larger = (sets * 4).clamp(1 << FIRST_BITS, 1 << MOST_BITS);
            // Places change with the size, and what is forgotten comes again.
            self.sets = vec![Set([NOTHING; 2]); larger];
            self.puts = 0;
        }
        self.puts += 1;
        let mask = self.sets.len() - 1;
        let Set(set) = &mut self.sets[hash.0 as usize & mask];
        let entry = Entry { hash: hash.0, tail };
        *set = [entry, set[0]];
    }
}

impl TailHash {
    /// Of the end of a line, from the key of `file` or of what comes instead;
    /// `None` if it is not worth to be remembered, or not as usual. Ends with
    /// the same hash say the same but for the flags, if one of them is well
    /// formed then both.
    #[inline]
    pub(super) fn of(end: &[u8]) -> Option<TailHash> {
        let said = without_flags(end)?;
        LENGTHS
            .contains(&said.len())
            .then(|| TailHash(XxHash3_128::oneshot(said)))
    }
}

/// What stands before the flags, or all if there are none; `None` where that
/// cannot be told at a glance.
///
/// The last value before the flags ends with a digit, the last one of all with
/// the line's brace: no end of one form is taken for one of the other.
#[inline]
fn without_flags(end: &[u8]) -> Option<&[u8]> {
    let Some(inside) = end.strip_suffix(b"}}") else {
        let last = end.strip_suffix(b"}")?.last()?;
        return last.is_ascii_digit().then_some(end);
    };
    let brace = memchr::memrchr2(b'{', b'}', inside)?;
    let said = inside[..=brace].strip_suffix(b", \"flags\":{")?;
    said.last()?.is_ascii_digit().then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(memsize: u32) -> Tail {
        Tail {
            generation: 3,
            memsize,
            spelling: ABSENT,
        }
    }

    #[test]
    fn finds_what_was_put_and_nothing_else() {
        let mut tails = Tails::default();
        let bytes = br#"memsize":40, "generation":12, "flags":{"old":true}}"#;
        let hash = TailHash::of(bytes).expect("of a usual length");
        assert_eq!(tails.get(hash), None);
        tails.put(hash, tail(40));
        assert_eq!(tails.get(hash), Some(&tail(40)));
        for at in 0..bytes.len() {
            let mut other = *bytes;
            other[at] ^= 1;
            let said = TailHash::of(&other).and_then(|hash| tails.get(hash));
            // What the flags are is nothing that is said.
            let in_flags = (br#"memsize":40, "generation":12, "flags":{"#.len()..bytes.len() - 2)
                .contains(&at);
            assert_eq!(said.is_some(), in_flags, "{at}");
            assert_eq!(
                TailHash::of(&bytes[..at]).and_then(|hash| tails.get(hash)),
                None
            );
        }
        assert_eq!(TailHash::of(&[b'x'; 1025]), None);
        assert_eq!(TailHash::of(b"\"memsize\":4}"), None);
    }

    #[test]
    fn a_brace_too_many_is_not_left_out() {
        let usual = &br#"file":"a.rb", "memsize":40}"#[..];
        let flags = &br#"file":"a.rb", "memsize":40, "flags":{"old":true}}"#[..];
        assert_eq!(without_flags(usual), Some(usual));
        assert_eq!(without_flags(flags), Some(&usual[..usual.len() - 1]));
        for unusual in [
            &br#"file":"a.rb", "memsize":40}, "flags":{"old":true}}"#[..],
            br#"file":"a.rb", "memsize":40, "flags":{"old":{}}}"#,
            br#"file":"a.rb", "memsize":40, "flags":{}"old":true}}"#,
            br#"file":"a.rb", "memsize":40, "flags":{"old":true}}}"#,
            br#"file":"a.rb", "memsize":40}}"#,
            br#"file":"a.rb", "memsize":40, "#,
            br#"file":"a.rb""#,
        ] {
            assert_eq!(without_flags(unusual), None);
        }
    }

    #[test]
    fn grows_to_its_bound_and_finds_what_was_put_last() {
        let mut tails = Tails::default();
        let mut last = None;
        for number in 0..20_000_u32 {
            let bytes = format!("memsize\":{number}, \"flags\":{{}}}}generation\":1}}");
            let hash = TailHash(XxHash3_128::oneshot(bytes.as_bytes()));
            tails.put(hash, tail(number));
            assert_eq!(tails.get(hash), Some(&tail(number)));
            last = Some(hash);
        }
        assert_eq!(tails.sets.len(), 1 << MOST_BITS);
        // Two in the same place.
        let mut other = last.expect("some were put");
        other.0 ^= 1 << 127;
        tails.put(other, tail(1));
        assert_eq!(tails.get(other), Some(&tail(1)));
        assert_eq!(last.and_then(|last| tails.get(last)), Some(&tail(19_999)));
    }
}
