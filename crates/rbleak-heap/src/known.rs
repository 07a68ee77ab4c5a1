//! The kinds that were met last, by what a line says.
//!
//! Of most lines type, class and site have been seen together before: one
//! look-up finds the kind's number instead of three. A kind that is not here
//! is merely asked for the long way. Knows no rows.

use crate::columns::ABSENT;
use crate::interner::Interner;
use crate::object_type::ObjectType;

/// So many pairs of kinds are remembered: a heap has some thousands that are
/// common, and the table shall fit a processor's second cache.
const PLACE_BITS: u32 = 11;

/// What a line says of its kind: type, word of the class, spelling of the site
/// ([`ABSENT`] for none), and the raw string that some types have.
pub(crate) type Said<'a> = (ObjectType, u64, u32, Option<&'a [u8]>);

/// What a line said, and the number of the kind that it was given.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) class_word: u64,
    /// How file, line and method were spelt, see
    /// [`SiteNumbers`](crate::sites::SiteNumbers); [`ABSENT`] for a line
    /// without.
    pub(crate) spelling: u32,
    /// A raw string, see [`Interner`]; [`ABSENT`] for none.
    pub(crate) detail: u32,
    pub(crate) kind: u32,
    pub(crate) object_type: ObjectType,
}

impl Known {
    /// Whether a line says the same.
    #[inline]
    fn is(&self, said: Said<'_>, strings: &Interner) -> bool {
        let (object_type, class_word, spelling, detail) = said;
        self.kind != ABSENT
            && self.object_type == object_type
            && self.class_word == class_word
            && self.spelling == spelling
            && match detail {
                Some(detail) => self.detail != ABSENT && strings.is_raw(self.detail, detail),
                None => self.detail == ABSENT,
            }
    }
}

/// Two kinds that share a place and, with that, a line of the processor's
/// cache: with one in each place, two that come often would forget each other.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Pair([Known; 2]);

/// See the module.
pub(crate) struct KnownKinds(Box<[Pair]>);

impl Default for KnownKinds {
    fn default() -> KnownKinds {
        let nothing = Known {
            class_word: 0,
            spelling: ABSENT,
            detail: ABSENT,
            kind: ABSENT,
            object_type: ObjectType::Object,
        };
        KnownKinds(vec![Pair([nothing; 2]); 1 << PLACE_BITS].into())
    }
}

impl KnownKinds {
    /// Where the kind of such a line is, if it is known.
    #[inline]
    pub(crate) fn place(said: Said<'_>) -> usize {
        let (object_type, class_word, spelling, detail) = said;
        // Odd numbers without a pattern: digits of pi.
        let hash = (class_word ^ (object_type as u64) << 56)
            .wrapping_mul(0x243f_6a88_85a3_08d3)
            .rotate_left(29)
            .wrapping_add(u64::from(spelling) ^ detail.map_or(0, end_of))
            .wrapping_mul(0x1319_8a2e_0370_7345);
        (hash >> (u64::BITS - PLACE_BITS)) as usize
    }

    /// The number of the kind of such a line, if it is known in its place.
    #[inline]
    pub(crate) fn get(&self, place: usize, said: Said<'_>, strings: &Interner) -> Option<u32> {
        let Pair([newer, older]) = &self.0[place];
        if newer.is(said, strings) {
            Some(newer.kind)
        } else {
            older.is(said, strings).then_some(older.kind)
        }
    }

    /// Remembers a kind, instead of the older of two.
    pub(crate) fn put(&mut self, place: usize, known: Known) {
        let Pair(pair) = &mut self.0[place];
        *pair = [known, pair[0]];
    }
}

/// The end of a string, by which most differ, and its length.
#[inline]
fn end_of(text: &[u8]) -> u64 {
    let end = match text.last_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
            }
            _ => text
                .iter()
                .fold(0, |word, &byte| word << 8 | u64::from(byte)),
        },
    };
    end ^ (text.len() as u64).rotate_left(56)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_said_the_same_and_nothing_else() {
        let mut strings = Interner::default();
        let detail = strings.intern_raw(b"env");
        let known = Known {
            class_word: 8,
            spelling: 3,
            detail,
            kind: 5,
            object_type: ObjectType::Imemo,
        };
        let without = Known {
            detail: ABSENT,
            ..known
        };
        let env = Some(&b"env"[..]);
        assert!(known.is((ObjectType::Imemo, 8, 3, env), &strings));
        assert!(!known.is((ObjectType::Data, 8, 3, env), &strings));
        assert!(!known.is((ObjectType::Imemo, 16, 3, env), &strings));
        assert!(!known.is((ObjectType::Imemo, 8, ABSENT, env), &strings));
        assert!(!known.is((ObjectType::Imemo, 8, 3, Some(b"ment")), &strings));
        assert!(!known.is((ObjectType::Imemo, 8, 3, None), &strings));
        assert!(without.is((ObjectType::Imemo, 8, 3, None), &strings));
        assert!(!without.is((ObjectType::Imemo, 8, 3, env), &strings));
        let mut kinds = KnownKinds::default();
        let said = (ObjectType::Object, 0, ABSENT, None);
        assert_eq!(kinds.get(0, said, &strings), None);
        // Two in one place, and the third takes that of the first.
        let said = (ObjectType::Imemo, 8, 3, env);
        kinds.put(0, known);
        assert_eq!(kinds.get(0, said, &strings), Some(5));
        kinds.put(0, Known { kind: 6, ..without });
        assert_eq!(kinds.get(0, said, &strings), Some(5));
        kinds.put(
            0,
            Known {
                class_word: 9,
                ..known
            },
        );
        assert_eq!(kinds.get(0, said, &strings), None);
        assert_eq!(
            kinds.get(0, (ObjectType::Imemo, 8, 3, None), &strings),
            Some(6)
        );
    }

    #[test]
    fn ends_of_any_length_differ() {
        let text = b"0123456789";
        let ends: Vec<_> = (0..=text.len())
            .map(|length| end_of(&text[..length]))
            .collect();
        for (at, end) in ends.iter().enumerate() {
            assert!(!ends[..at].contains(end), "{at}");
        }
    }
}
