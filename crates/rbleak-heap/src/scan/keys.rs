//! What may stand where, as Ruby writes it: keys with what surrounds them, and
//! names of types.
//!
//! A perfect hash of four bytes leads to the only text that may be there, and
//! one comparison tells whether it is. Knows what follows a key, not what that
//! is good for.

use super::word::{long_word, word};
use crate::object_type::ObjectType;

/// What follows on the text of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Nothing, since a `true` that says nothing belongs to the text; or no key
    /// has this place.
    Nothing,
    /// The last letter of a `true` that says nothing.
    E,
    /// Nothing: a `true` that appeared with 3.4.
    Chilled,
    /// The digits of the class's address.
    Class,
    /// A string that says nothing, behind its first quote.
    Text,
    /// The same, mostly of a few letters.
    Word,
    /// The string of [`Fields::detail`](super::Fields::detail), behind its first
    /// quote.
    Detail,
    /// The number of [`Fields::length`](super::Fields::length).
    Length,
    /// A number that says nothing.
    Number,
    ShapeId,
    SlotSize,
    /// Addresses, behind their bracket.
    References,
    /// The end of the line, to which the key itself belongs.
    End,
}

/// A key with the comma, the blank and the quote before, and what is always
/// behind.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) text: u128,
    /// Of its bytes.
    pub(super) mask: u128,
    pub(super) length: u8,
    pub(super) what: What,
}

/// How many bytes [`key`] looks at.
pub(super) const KEY_BYTES: usize = 16;

const ALL: [(&[u8], What); 23] = [
    (b", \"class\":\"0x", What::Class),
    (b", \"value\":\"", What::Text),
    (b", \"default\":\"", What::Text),
    (b", \"encoding\":\"", What::Word),
    (b", \"coderange\":\"", What::Word),
    (b", \"struct\":\"", What::Detail),
    (b", \"imemo_type\":\"", What::Detail),
    (b", \"length\":", What::Length),
    (b", \"size\":", What::Length),
    (b", \"bytesize\":", What::Length),
    (b", \"ivars\":", What::Length),
    (b", \"capacity\":", What::Number),
    (b", \"shape_id\":", What::ShapeId),
    (b", \"slot_size\":", What::SlotSize),
    (b", \"frozen\":true", What::Nothing),
    (b", \"fstring\":true", What::Nothing),
    (b", \"shared\":true", What::Nothing),
    (b", \"embedded\":tru", What::E),
    (b", \"chilled\":true", What::Chilled),
    (b", \"references\":[", What::References),
    (b", \"file\":\"", What::End),
    (b", \"memsize\":", What::End),
    (b", \"generation\":", What::End),
];

const KEY_BITS: u32 = 6;

/// The place of a key by the first four bytes of its name. The number is one
/// that gives each its own, found by trying.
#[inline]
const fn key_place(text: u128) -> usize {
    (((text >> 24) as u32).wrapping_mul(0x7ce4_2c83) >> (u32::BITS - KEY_BITS)) as usize
}

static KEYS: [Key; 1 << KEY_BITS] = {
    let none = Key {
        text: 0,
        mask: 0,
        length: 0,
        what: What::Nothing,
    };
    let mut keys = [none; 1 << KEY_BITS];
    let mut at = 0;
    while at < ALL.len() {
        let (bytes, what) = ALL[at];
        assert!(bytes.len() <= KEY_BYTES);
        let text = long_word(bytes);
        let place = key_place(text);
        assert!(keys[place].length == 0, "two in one place");
        keys[place] = Key {
            text,
            mask: u128::MAX >> (8 * (KEY_BYTES - bytes.len())),
            length: bytes.len() as u8,
            what,
        };
        at += 1;
    }
    keys
};

/// The key that `text` begins with, if it is one of these.
#[inline]
pub(super) fn key(text: u128) -> Option<&'static Key> {
    let key = &KEYS[key_place(text)];
    ((text ^ key.text) & key.mask == 0 && key.length > 0).then_some(key)
}

/// A name and the quote behind it.
#[derive(Clone, Copy)]
pub(super) struct Type {
    text: u64,
    mask: u64,
    pub(super) length: u8,
    pub(super) object_type: ObjectType,
}

/// Those of which [`Fields`](super::Fields) say everything.
const NAMES: [(&[u8], ObjectType); 12] = [
    (b"ARRAY\"", ObjectType::Array),
    (b"BIGNUM\"", ObjectType::Bignum),
    (b"DATA\"", ObjectType::Data),
    (b"FLOAT\"", ObjectType::Float),
    (b"HASH\"", ObjectType::Hash),
    (b"IMEMO\"", ObjectType::Imemo),
    (b"MATCH\"", ObjectType::Match),
    (b"OBJECT\"", ObjectType::Object),
    (b"REGEXP\"", ObjectType::Regexp),
    (b"STRING\"", ObjectType::String),
    (b"STRUCT\"", ObjectType::Struct),
    (b"SYMBOL\"", ObjectType::Symbol),
];

const TYPE_BITS: u32 = 5;

/// As [`key_place`].
#[inline]
const fn type_place(text: u64) -> usize {
    ((text as u32).wrapping_mul(0x1e2f_eb89) >> (u32::BITS - TYPE_BITS)) as usize
}

static TYPES: [Type; 1 << TYPE_BITS] = {
    let none = Type {
        text: 0,
        mask: 0,
        length: 0,
        object_type: ObjectType::Unknown,
    };
    let mut types = [none; 1 << TYPE_BITS];
    let mut at = 0;
    while at < NAMES.len() {
        let (bytes, object_type) = NAMES[at];
        let text = word(bytes);
        let place = type_place(text);
        assert!(types[place].length == 0, "two in one place");
        types[place] = Type {
            text,
            mask: u64::MAX >> (8 * (8 - bytes.len())),
            length: bytes.len() as u8,
            object_type,
        };
        at += 1;
    }
    types
};

/// The type whose name `text` begins with, if it is one of these.
#[inline]
pub(super) fn type_of(text: u64) -> Option<&'static Type> {
    let found = &TYPES[type_place(text)];
    ((text ^ found.text) & found.mask == 0 && found.length > 0).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_and_nothing_that_differs_in_a_byte() {
        for (bytes, what) in ALL {
            let mut text = bytes.to_vec();
            text.resize(KEY_BYTES, b'7');
            let found = |text: &[u8]| key(long_word(text)).map(|key| key.what);
            assert_eq!(found(&text), Some(what));
            for at in 0..bytes.len() {
                text[at] ^= 1;
                assert_eq!(found(&text), None);
                text[at] ^= 1;
            }
        }
        for (bytes, object_type) in NAMES {
            let mut text = bytes.to_vec();
            text.resize(8, b',');
            let found = |text: &[u8]| type_of(word(text)).map(|found| found.object_type);
            assert_eq!(found(&text), Some(object_type));
            let name = &bytes[..bytes.len() - 1];
            assert_eq!(object_type, ObjectType::from_bytes(name));
            for at in 0..bytes.len() {
                text[at] ^= 1;
                assert_eq!(found(&text), None);
                text[at] ^= 1;
            }
        }
    }
}
