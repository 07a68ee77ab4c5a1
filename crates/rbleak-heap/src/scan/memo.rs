//! What the lines that were read last say, besides what each has for its own.
//!
//! Type and class of an object, where it was allocated and when, how large it is:
//! thousands of lines say just the same, in the same bytes. What was read once is
//! found again by a hash of 64 bits of all of these bytes, and not read a second
//! time: each line is compared with three others, so that of ten million, chosen
//! without malice, one is taken for another once in 10^12 dumps. Knows the bytes,
//! not what is kept for them.

use crate::columns::ABSENT;
use crate::object_type::ObjectType;
use std::ops::RangeInclusive;
use twox_hash::XxHash3_64;

/// So many sets are remembered at first, and at most: a small dump shall not pay
/// for a table that it does not fill.
const FIRST_BITS: u32 = 3;
const MOST_BITS: u32 = 12;
/// Ends that are longer hardly come twice.
const LENGTHS: RangeInclusive<usize> = 1..=1024;

/// How many share a place and, with that, a line of the processor's cache: with
/// one in each place, two that come often would forget each other.
const WAYS: usize = 3;

/// What is kept for lines that say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The number of the kind, see the module `kinds`.
    pub(crate) kind: u32,
    /// [`ABSENT`] for none.
    pub(crate) generation: u32,
    /// [`ABSENT`] for none.
    pub(crate) memsize: u32,
}

/// The bytes of a line that say it.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) object_type: ObjectType,
    /// The digits of the class's address, or what else tells it from others.
    pub(super) class: [u64; 2],
    pub(super) detail: Option<&'a [u8]>,
    /// From the key of `file`, or of what comes instead, to the end of the line.
    pub(super) end: &'a [u8],
}

/// By what a line is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoKey(u64);

/// What is in one place, the newest first.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Set {
    keys: [u64; WAYS],
    remembered: [Remembered; WAYS],
}

/// See the module.
#[derive(Default)]
pub(crate) struct Memo {
    /// Empty, or a power of two.
    sets: Vec<Set>,
    /// What was put since the table has its size.
    puts: usize,
    /// How lines end from the comma before their flags on: the two that were
    /// met last and differ.
    flags: [Vec<u8>; 2],
}

const NOTHING: Set = Set {
    keys: [0; WAYS],
    remembered: [Remembered {
        kind: ABSENT,
        generation: ABSENT,
        memsize: ABSENT,
    }; WAYS],
};

impl Memo {
    /// What a line says, if that is remembered; if not, by what it can be found
    /// later, if it is worth it. Lines of the same key say the same but for the
    /// flags; if one of them is well formed, so is the other.
    #[inline]
    pub(super) fn find(&mut self, said: Said<'_>) -> Result<&Remembered, Option<MemoKey>> {
        let end = self.without_flags(said.end);
        let end = end.filter(|end| LENGTHS.contains(&end.len()));
        let key = end.map(|end| MemoKey::new(said, end));
        key.and_then(|key| self.get(key)).ok_or(key)
    }

    /// What stands before the flags, or all if there are none; `None` where that
    /// cannot be told at a glance.
    ///
    /// The last value before the flags ends with a digit, the last one of all
    /// with the line's brace: no end of one form is taken for one of the other.
    #[inline]
    fn without_flags<'a>(&mut self, end: &'a [u8]) -> Option<&'a [u8]> {
        let [last, before] = &self.flags;
        let said = match end.strip_suffix(&last[..]) {
            Some(said) if !last.is_empty() => said,
            _ => match end.strip_suffix(&before[..]) {
                Some(said) if !before.is_empty() => said,
                _ => return self.new_flags(end),
            },
        };
        said.last()?.is_ascii_digit().then_some(said)
    }

    /// The same of flags that are not remembered, and now are.
    #[inline(never)]
    fn new_flags<'a>(&mut self, end: &'a [u8]) -> Option<&'a [u8]> {
        let Some(inside) = end.strip_suffix(b"}}") else {
            let last = end.strip_suffix(b"}")?.last()?;
            return last.is_ascii_digit().then_some(end);
        };
        let brace = memchr::memrchr2(b'{', b'}', inside)?;
        let said = inside[..=brace].strip_suffix(b", \"flags\":{")?;
        self.flags.swap(0, 1);
        self.flags[0].clear();
        self.flags[0].extend_from_slice(&end[said.len()..]);
        said.last()?.is_ascii_digit().then_some(said)
    }

    /// What the lines with this key say, if that is remembered.
    #[inline]
    fn get(&self, key: MemoKey) -> Option<&Remembered> {
        let mask = self.sets.len().checked_sub(1)?;
        let set = &self.sets[key.0 as usize & mask];
        // Which of them it is cannot be foreseen: no branches.
        let differs = set.keys.map(|other| usize::from(other != key.0));
        let at = differs[0] + (differs[0] & differs[1]);
        (set.keys[at] == key.0).then_some(&set.remembered[at])
    }

    /// Remembers what lines with this key say, instead of the oldest in the same
    /// place.
    pub(crate) fn put(&mut self, key: MemoKey, remembered: Remembered) {
        let sets = self.sets.len();
        if sets == 0 || (self.puts >= WAYS * sets && sets < 1 << MOST_BITS) {
            let larger = (sets * 4).clamp(1 << FIRST_BITS, 1 << MOST_BITS);
            // Places change with the size, and what is forgotten comes again.
            self.sets = vec![NOTHING; larger];
            self.puts = 0;
        }
        self.puts += 1;
        let mask = self.sets.len() - 1;
        let set = &mut self.sets[key.0 as usize & mask];
        set.keys.rotate_right(1);
        set.remembered.rotate_right(1);
        set.keys[0] = key.0;
        set.remembered[0] = remembered;
    }
}

impl MemoKey {
    /// Of what is said, `end` without the flags.
    #[inline]
    fn new(said: Said<'_>, end: &[u8]) -> MemoKey {
        // Odd numbers without a pattern: digits of pi.
        const PI: [u64; 4] = [
            0x243f_6a88_85a3_08d3,
            0x1319_8a2e_0370_7345,
            0xa409_3822_299f_31d1,
            0x082e_fa98_ec4e_6c89,
        ];
        let [first, second] = said.class;
        let class = mixed(first ^ PI[0], second ^ PI[1]) ^ said.object_type as u64;
        let key = mixed(XxHash3_64::oneshot(end) ^ PI[2], class ^ PI[3]);
        MemoKey(match said.detail {
            Some(detail) => mixed(key ^ PI[0], XxHash3_64::oneshot(detail) ^ PI[2]),
            None => key,
        })
    }
}

/// Every bit of the result depends on every bit of both: the halves of their
/// product, as wyhash mixes.
#[inline]
fn mixed(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &[u8] = br#"memsize":40, "generation":12, "flags":{"old":true}}"#;

    fn said(end: &[u8]) -> Said<'_> {
        Said {
            object_type: ObjectType::Data,
            class: [7, 8],
            detail: Some(b"proc"),
            end,
        }
    }

    fn remembered(kind: u32) -> Remembered {
        Remembered {
            kind,
            generation: 3,
            memsize: 40,
        }
    }

    #[test]
    fn finds_what_was_put_and_nothing_else() {
        let mut memo = Memo::default();
        let key = memo.find(said(END)).expect_err("nothing was put");
        memo.put(key.expect("of a usual length"), remembered(5));
        assert_eq!(memo.find(said(END)), Ok(&remembered(5)));
        for at in 0..END.len() {
            let mut other = END.to_vec();
            other[at] ^= 1;
            let is_found = memo.find(said(&other)).is_ok();
            // What the flags are is nothing that is said.
            let in_flags =
                (br#"memsize":40, "generation":12, "flags":{"#.len()..END.len() - 2).contains(&at);
            assert_eq!(is_found, in_flags, "{at}");
            assert!(memo.find(said(&END[..at])).is_err());
        }
        let same = said(END);
        for other in [
            Said {
                object_type: ObjectType::Imemo,
                ..same
            },
            Said {
                class: [8, 7],
                ..same
            },
            Said {
                class: [7, 9],
                ..same
            },
            Said {
                detail: None,
                ..same
            },
            Said {
                detail: Some(b""),
                ..same
            },
            Said {
                detail: Some(b"prod"),
                ..same
            },
        ] {
            assert!(matches!(memo.find(other), Err(Some(_))));
        }
        assert_eq!(memo.find(said(&[b'7'; 1025])), Err(None));
        assert_eq!(memo.find(said(b"}")), Err(None));
    }

    #[test]
    fn a_brace_too_many_is_not_left_out() {
        let usual = &br#"file":"a.rb", "memsize":40}"#[..];
        let flags = &br#"file":"a.rb", "memsize":40, "flags":{"old":true}}"#[..];
        let mut memo = Memo::default();
        for _ in 0..2 {
            assert_eq!(memo.without_flags(usual), Some(usual));
            assert_eq!(memo.without_flags(flags), Some(&usual[..usual.len() - 1]));
        }
        for unusual in [
            &br#"file":"a.rb", "memsize":40}, "flags":{"old":true}}"#[..],
            br#"file":"a.rb", "memsize":40, "flags":{"old":{}}}"#,
            br#"file":"a.rb", "memsize":40, "flags":{}"old":true}}"#,
            br#"file":"a.rb", "memsize":40, "flags":{"old":true}}}"#,
            br#"file":"a.rb", "memsize":40}}"#,
            br#"file":"a.rb", "memsize":40, "#,
            br#"file":"a.rb""#,
        ] {
            assert_eq!(memo.without_flags(unusual), None);
            assert_eq!(Memo::default().without_flags(unusual), None);
        }
    }

    #[test]
    fn grows_to_its_bound_and_finds_what_was_put_last() {
        let mut memo = Memo::default();
        let mut last = MemoKey(0);
        for number in 0..20_000_u32 {
            let end = format!("memsize\":{number}");
            last = MemoKey::new(said(END), end.as_bytes());
            memo.put(last, remembered(number));
            assert_eq!(memo.get(last), Some(&remembered(number)));
        }
        assert_eq!(memo.sets.len(), 1 << MOST_BITS);
        // Three in the same place, and the fourth takes that of the first.
        for number in 1..WAYS as u32 {
            let other = MemoKey(last.0 ^ u64::from(number) << 60);
            memo.put(other, remembered(number));
            assert_eq!(memo.get(other), Some(&remembered(number)));
            assert_eq!(memo.get(last), Some(&remembered(19_999)));
        }
        memo.put(MemoKey(last.0 ^ u64::MAX << 32), remembered(0));
        assert_eq!(memo.get(last), None);
    }
}
