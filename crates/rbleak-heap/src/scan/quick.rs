//! One line of an object, read exactly as Ruby writes it.
//!
//! Nearly every line: known keys, one blank after each comma, no escapes
//! where none are usual. Eight or sixteen bytes are looked at at a time. Whatever
//! is unusual is left to the general loop, so that nothing here decides what a
//! bad line means; what is read here, the general loop reads the same way.

use super::keys::{KEY_BYTES, What, key, type_of};
use super::memo::{Memo, Said};
use super::word::{bytes_equal, decimal, eight_digits, long_word, twelve_digits, word};
use super::{Cursor, Fields};
use crate::columns::ABSENT;
use crate::object_type::ObjectType;

/// What is left of a line, and what comes behind it.
struct Quick<'a> {
    rest: &'a [u8],
}

/// The digits of what is mapped on 64-bit Linux.
const USUAL_DIGITS: usize = 12;

/// The address of a class: twelve digits that nobody has looked at, or read.
#[derive(Clone, Copy)]
struct Class([u64; 2]);

impl Class {
    /// In the second word: four of the digits, or that the first is the address.
    const DIGITS: u64 = u32::MAX as u64;
    const IS_READ: u64 = u64::MAX;

    /// `None` if they are no digits.
    fn address(self) -> Option<u64> {
        let [first, second] = self.0;
        match second {
            Class::IS_READ => Some(first),
            _ => twelve_digits(first, second),
        }
    }
}

impl Default for Class {
    /// That of an object without one.
    fn default() -> Class {
        Class([0, Class::IS_READ])
    }
}

/// The first bytes of `text` as two words.
#[inline]
fn words(text: &[u8]) -> Option<[u64; 2]> {
    let both = u128::from_le_bytes(*text.first_chunk()?);
    Some([both as u64, (both >> 64) as u64])
}

impl<'a> Quick<'a> {
    #[inline]
    fn pass(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    #[inline]
    fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// An address, behind its `0x`, with its last quote.
    #[inline]
    fn address(&mut self) -> Option<u64> {
        let [first, second] = words(self.rest)?;
        if self.rest[USUAL_DIGITS] == b'"'
            && let Some(address) = twelve_digits(first, second)
        {
            self.pass(USUAL_DIGITS + 1)?;
            return Some(address);
        }
        self.unusual_address(first, second)
    }

    /// The same of a class, which mostly need not be known.
    #[inline]
    fn class(&mut self) -> Option<Class> {
        let [first, second] = words(self.rest)?;
        if self.rest[USUAL_DIGITS] == b'"' {
            self.pass(USUAL_DIGITS + 1)?;
            return Some(Class([first, second & Class::DIGITS]));
        }
        let address = self.unusual_address(first, second)?;
        Some(Class([address, Class::IS_READ]))
    }

    /// The same of any address with at least eight digits.
    #[inline(never)]
    fn unusual_address(&mut self, first: u64, second: u64) -> Option<u64> {
        let quotes = bytes_equal(second, b'"');
        if quotes == 0 {
            return None;
        }
        let value = eight_digits(first)?;
        let more = quotes.trailing_zeros() / 8;
        self.pass(9 + more as usize)?;
        if more == 0 {
            return Some(value);
        }
        // As if zeros stood before the rest.
        let zeros = word(b"00000000") >> (8 * more);
        let rest = eight_digits(second << (64 - 8 * more) | zeros)?;
        Some(value << (4 * more) | rest)
    }

    #[inline]
    fn integer(&mut self) -> Option<u64> {
        let word = u64::from_le_bytes(*self.rest.first_chunk()?);
        if let Some((value, digits)) = decimal(word) {
            self.pass(digits)?;
            return Some(value);
        }
        let mut cursor = Cursor::new(self.rest);
        let value = cursor.integer()?;
        self.rest = cursor.rest();
        Some(value)
    }

    /// A string that mostly is short, behind its first quote: what stands before
    /// its last.
    #[inline]
    fn word(&mut self) -> Option<&'a [u8]> {
        let special = |word| bytes_equal(word, b'"') | bytes_equal(word, b'\\');
        let [first, second] = words(self.rest)?.map(special);
        let at = match first {
            0 => 8 + second.trailing_zeros() as usize / 8,
            _ => first.trailing_zeros() as usize / 8,
        };
        if self.rest.get(at) == Some(&b'"') {
            let word = &self.rest[..at];
            self.pass(at + 1)?;
            return Some(word);
        }
        self.text()
    }

    /// The same of any string.
    #[inline]
    fn text(&mut self) -> Option<&'a [u8]> {
        let all = self.rest;
        let mut at = 0;
        loop {
            at += memchr::memchr2(b'"', b'\\', all.get(at..)?)?;
            if all[at] == b'"' {
                self.rest = &all[at + 1..];
                return Some(&all[..at]);
            }
            // The escaped byte cannot end the string.
            at += 2;
        }
    }

    /// Addresses, behind their bracket.
    fn addresses(&mut self, out: &mut Vec<u64>) -> Option<()> {
        loop {
            self.eat(b"\"0x")?;
            out.push(self.address()?);
            if self.eat(b", ").is_none() {
                return self.eat(b"]");
            }
        }
    }

    /// Steps over addresses, which have no brackets inside.
    #[inline]
    fn skip_addresses(&mut self) -> Option<()> {
        let end = memchr::memchr2(b']', b'[', self.rest)?;
        let is_end = self.rest[end] == b']';
        self.rest = &self.rest[end + 1..];
        is_end.then_some(())
    }
}

/// How a line begins, to the digits of its address.
const START: &[u8] = b"{\"address\":\"0x";

/// The address at the beginning of a line, where it is as usual.
#[inline]
pub(super) fn usual_address(line: &[u8]) -> Option<u64> {
    let mut quick = Quick { rest: line };
    quick.eat(START)?;
    quick.address()
}

/// Reads the line that are the first `length` bytes of `text` into `fields`,
/// which are empty; `None` if it is not as usual, whatever that means. What
/// stands behind it is looked at and changes nothing. Its references are
/// appended to `references` if they are `wanted`, after a failure some of them.
/// `memo` remembers what lines said.
// Fields are as large as a short line: returned, they would be copied.
#[inline]
pub(crate) fn quick<'a>(
    text: &'a [u8],
    length: usize,
    fields: &mut Fields<'a>,
    references: &mut Vec<u64>,
    wanted: bool,
    memo: &mut Memo,
) -> Option<ObjectType> {
    /// What stands between the address and the name of the type.
    const TYPE: &[u8] = b", \"type\":\"";
    let behind = text.len().checked_sub(length)?;
    let mut quick = Quick { rest: text };
    quick.eat(START)?;
    fields.address = quick.address()?;
    quick.eat(TYPE)?;
    let name = u64::from_le_bytes(*quick.rest.first_chunk()?);
    let found = type_of(name)?;
    let object_type = found.object_type;
    quick.pass(found.length.into())?;
    let mut class = Class::default();
    loop {
        let bytes = match quick.rest.first_chunk::<KEY_BYTES>() {
            Some(bytes) => u128::from_le_bytes(*bytes),
            None => long_word(quick.rest),
        };
        let Some(key) = key(bytes) else {
            if quick.rest.len() != behind + 1 || quick.rest[0] != b'}' {
                return None;
            }
            fields.class = class.address()?;
            return Some(object_type);
        };
        if key.what == What::End {
            // Without the comma, the blank and the quote.
            let length = quick.rest.len().checked_sub(behind)?;
            let end = quick.rest.get(3..length)?;
            let said = Said {
                object_type,
                class: class.0,
                detail: fields.detail,
                end,
            };
            match memo.find(said) {
                Ok(remembered) => {
                    let number = |number: u32| (number != ABSENT).then_some(u64::from(number));
                    fields.kind = Some(remembered.kind);
                    fields.generation = number(remembered.generation);
                    fields.memsize = number(remembered.memsize);
                }
                Err(key) => {
                    fields.key = key;
                    fields.class = class.address()?;
                    read_end(end, fields)?;
                }
            }
            return Some(object_type);
        }
        quick.pass(key.length.into())?;
        match key.what {
            What::Nothing | What::End => {}
            What::E => quick.eat(b"e")?,
            What::Chilled => fields.has_chilled = true,
            What::Class => class = quick.class()?,
            What::Text => {
                quick.text()?;
            }
            What::Word => {
                quick.word()?;
            }
            What::Detail => fields.detail = Some(quick.word()?),
            What::Length => fields.length = Some(quick.integer()?),
            What::Number => {
                quick.integer()?;
            }
            What::ShapeId => fields.shape_id = Some(quick.integer()?),
            What::SlotSize => fields.slot_size = Some(quick.integer()?),
            What::References if wanted => quick.addresses(references)?,
            What::References => quick.skip_addresses()?,
        }
    }
}

/// Reads a line from the key of `file`, or of what comes instead, to its end.
#[inline(never)]
fn read_end<'a>(end: &'a [u8], fields: &mut Fields<'a>) -> Option<()> {
    let mut cursor = Cursor::new(end);
    loop {
        let rest = cursor.rest();
        let length = memchr::memchr(b'"', rest)?;
        cursor = Cursor::new(rest[length..].strip_prefix(b"\":")?);
        // What does not fit 32 bits is rare.
        let integer = |cursor: &mut Cursor<'_>| {
            let integer = cursor.integer()?;
            (integer < u64::from(ABSENT)).then_some(integer)
        };
        match &rest[..length] {
            b"file" => fields.file = Some(cursor.string()?),
            b"line" => fields.line = Some(integer(&mut cursor)?),
            b"method" => fields.method = Some(cursor.string()?),
            b"generation" => fields.generation = Some(integer(&mut cursor)?),
            b"memsize" => fields.memsize = Some(integer(&mut cursor)?),
            b"flags" => cursor.skip_last_object()?,
            _ => return None,
        }
        match cursor.rest().strip_prefix(b", \"") {
            Some(rest) => cursor = Cursor::new(rest),
            None => return (cursor.rest() == b"}").then_some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{LineKind, Mode, Remembered, scan};

    /// Lines of Ruby, and what damage makes of them.
    const LINES: [&[u8]; 5] = [
        br#"{"address":"0x7f7b798fbdc0", "type":"STRING", "class":"0x7f7b7d88a428", "chilled":true, "bytesize":30, "capacity":47, "value":"a \"b\" [c]", "encoding":"UTF-8", "coderange":"7bit", "references":["0x7f7b798fbd98"], "file":"/srv/shop/app/models/concerns/model_24.rb", "line":37, "method":"initialize", "generation":29, "memsize":88, "flags":{"wb_protected":true, "old":true}}"#,
        br#"{"address":"0x7F7B798FBD98", "type":"IMEMO", "class":"0x7f7b798fc270", "imemo_type":"ment", "references":["0x7f7b798fbd70", "0x17f7b798fbd70"], "file":"a.rb", "line":2763, "generation":28, "memsize":48, "flags":{}}"#,
        br#"{"address":"0x7f7b798fbd98", "type":"OBJECT", "shape_id":12, "slot_size":160, "class":"0x7f7b798fc270", "embedded":true, "frozen":true, "ivars":3, "memsize":160}"#,
        br#"{"address":"0x7f7b798fbd98", "type":"HASH", "class":"0x7f7b798fc270", "size":3, "default":"0x7f7b798fc270", "memsize":160, "flags":{"old":true}}"#,
        br#"{"address":"0x7f7b798fbd98", "type":"DATA", "class":"0x7f7b798fc270", "struct":"proc", "references":["0x7f7b798fbd70", "0x7f7b798fc270"], "memsize":80}"#,
    ];

    #[test]
    fn what_is_read_here_is_what_the_general_loop_reads() {
        let mut taken = 0;
        let mut remembered = 0;
        let mut memo = Memo::default();
        let mut kinds = Vec::new();
        for line in LINES {
            for at in 0..line.len() {
                for byte in [line[at], b'"', b'\\', b' ', b'0', b'}', b']', b'g', 0xff] {
                    let is_whole = line[at] == byte;
                    let mut line = line.to_vec();
                    line[at] = byte;
                    for (wanted, behind) in [
                        (false, &b""[..]),
                        (false, b"\n"),
                        (false, b"\n\", \"memsize\":40}\n"),
                        (true, LINES[0]),
                    ] {
                        let mut found = Vec::new();
                        let mut fields = Fields::default();
                        let text = [&line, behind].concat();
                        let length = line.len();
                        let taken_as =
                            quick(&text, length, &mut fields, &mut found, wanted, &mut memo);
                        let Some(object_type) = taken_as else {
                            assert!(!is_whole, "usual lines are taken");
                            continue;
                        };
                        taken += 1;
                        let mut expected = Vec::new();
                        let record = scan(&line, Mode::Strict, &mut expected, wanted)
                            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&line)));
                        assert_eq!(record.kind, LineKind::Object(object_type));
                        let said = record.fields;
                        let site = (said.file, said.line, said.method);
                        let kind = format!("{:?}", (object_type, said.class, said.detail, site));
                        let known = kinds.iter().position(|known| *known == kind);
                        let kind = known.unwrap_or_else(|| {
                            kinds.push(kind);
                            kinds.len() - 1
                        }) as u32;
                        let number = |number: Option<u64>| number.map_or(ABSENT, |it| it as u32);
                        if let Some(key) = fields.key {
                            let remembered = Remembered {
                                kind,
                                generation: number(said.generation),
                                memsize: number(said.memsize),
                            };
                            memo.put(key, remembered);
                        }
                        let fields = match fields.kind {
                            None => Fields {
                                key: None,
                                ..fields
                            },
                            Some(found) => {
                                assert_eq!(found, kind);
                                remembered += 1;
                                Fields {
                                    class: said.class,
                                    detail: said.detail,
                                    file: said.file,
                                    line: said.line,
                                    method: said.method,
                                    kind: None,
                                    ..fields
                                }
                            }
                        };
                        assert_eq!(said, fields);
                        assert_eq!(expected, found);
                    }
                }
            }
        }
        assert!(taken > 1000, "{taken}");
        assert!(remembered > 1000, "{remembered}");
    }
}
