//! One line of an object, read exactly as Ruby writes it.
//!
//! Nearly every line: known keys, one blank after each comma, no escapes
//! where none are usual. Eight bytes are looked at at a time. Whatever is
//! unusual is left to the general loop, so that nothing here decides what a
//! bad line means; what is read here, the general loop reads the same way.

use super::Fields;
use super::tails::{TailHash, Tails};
use crate::columns::ABSENT;
use crate::object_type::ObjectType;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// Up to eight bytes as a word, the first lowest.
const fn word(text: &[u8]) -> u64 {
    let mut word = 0;
    let mut at = text.len();
    while at > 0 {
        at -= 1;
        word = word << 8 | text[at] as u64;
    }
    word
}

/// The high bit of each byte of `word` that is `byte`; exact up to the first.
#[inline]
fn bytes_equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * u64::from(byte));
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

/// The value of eight hexadecimal digits, the first highest.
#[inline]
fn eight_digits(word: u64) -> Option<u64> {
    let from = |word: u64, byte: u8| word + ONES * u64::from(0x80 - byte);
    if word & HIGHS != 0 {
        return None;
    }
    // A high bit for each byte in the range: no byte carries into the next.
    let lower = word | (ONES * 0x20);
    let letters = from(lower, b'a') & !from(lower, b'g') & HIGHS;
    let digits = from(word, b'0') & !from(word, b'9' + 1) & HIGHS;
    if letters | digits != HIGHS {
        return None;
    }
    let nibbles = (word & (ONES * 0x0f)) + (letters >> 7) * 9;
    let pairs = nibbles.swap_bytes();
    let bytes = (pairs | pairs >> 4) & 0x00ff_00ff_00ff_00ff;
    let shorts = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    Some((shorts | shorts >> 16) & 0xffff_ffff)
}

/// A place in a line.
struct Quick<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Quick<'a> {
    #[inline]
    fn word(&self, at: usize) -> Option<u64> {
        let bytes = self.line.get(at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*bytes))
    }

    #[inline]
    fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.line.get(self.at..)?.starts_with(text).then(|| {
            self.at += text.len();
        })
    }

    /// `"0x…"` with more than eight digits.
    #[inline]
    fn address(&mut self) -> Option<u64> {
        self.eat(b"\"0x")?;
        let (first, second) = (self.word(self.at)?, self.word(self.at + 8)?);
        let quotes = bytes_equal(second, b'"');
        if quotes == 0 {
            return None;
        }
        let value = eight_digits(first)?;
        let more = quotes.trailing_zeros() / 8;
        self.at += 9 + more as usize;
        if more == 0 {
            return Some(value);
        }
        // As if zeros stood before the rest.
        let zeros = (ONES * u64::from(b'0')) >> (8 * more);
        let rest = eight_digits(second << (64 - 8 * more) | zeros)?;
        Some(value << (4 * more) | rest)
    }

    #[inline]
    fn integer(&mut self) -> Option<u64> {
        let start = self.at;
        let mut value = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.line.get(self.at) {
            value = value.wrapping_mul(10) + u64::from(digit - b'0');
            self.at += 1;
        }
        // More may not fit.
        (1..=18).contains(&(self.at - start)).then_some(value)
    }

    /// One that fits 32 bits: what is larger is rare.
    fn small_integer(&mut self) -> Option<u64> {
        let integer = self.integer();
        integer.filter(|&integer| integer < u64::from(ABSENT))
    }

    /// A string: what stands between its quotes.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        if self.line.get(self.at) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        let mut at = start;
        // A call pays off for what is longer than this.
        for _ in 0..2 {
            let word = self.word(at)?;
            let found = bytes_equal(word, b'"') | bytes_equal(word, b'\\');
            if found != 0 {
                at += found.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        loop {
            at += memchr::memchr2(b'"', b'\\', self.line.get(at..)?)?;
            if self.line[at] == b'"' {
                self.at = at + 1;
                return Some(&self.line[start..at]);
            }
            // The escaped byte cannot end the string.
            at += 2;
        }
    }

    fn addresses(&mut self, out: &mut Vec<u64>) -> Option<()> {
        self.eat(b"[")?;
        loop {
            out.push(self.address()?);
            if self.eat(b", ").is_none() {
                return self.eat(b"]");
            }
        }
    }

    /// Steps over an array of addresses, which has no brackets inside.
    #[inline]
    fn skip_array(&mut self) -> Option<()> {
        let inside = self.line.get(self.at..)?.strip_prefix(b"[")?;
        let end = memchr::memchr2(b']', b'[', inside)?;
        self.at += end + 2;
        (inside[end] == b']').then_some(())
    }

    /// The rest of the line is an object without any inside and the line's
    /// own brace.
    #[inline]
    fn is_last_object(&self) -> bool {
        let Some(inside) = self
            .line
            .get(self.at..)
            .and_then(|rest| rest.strip_prefix(b"{"))
        else {
            return false;
        };
        memchr::memchr2(b'}', b'{', inside)
            .is_some_and(|end| inside[end] == b'}' && inside[end..] == *b"}}")
    }
}

/// The address at the beginning of a line, where it is as usual.
#[inline]
pub(super) fn usual_address(line: &[u8]) -> Option<u64> {
    let mut quick = Quick { line, at: 0 };
    quick.eat(b"{\"address\":")?;
    quick.address()
}

/// Types of which [`Fields`] say everything.
#[inline]
fn type_of(word: u64) -> Option<ObjectType> {
    const ARRAY: u64 = self::word(b"ARRAY");
    const BIGNUM: u64 = self::word(b"BIGNUM");
    const DATA: u64 = self::word(b"DATA");
    const FLOAT: u64 = self::word(b"FLOAT");
    const HASH: u64 = self::word(b"HASH");
    const IMEMO: u64 = self::word(b"IMEMO");
    const MATCH: u64 = self::word(b"MATCH");
    const OBJECT: u64 = self::word(b"OBJECT");
    const REGEXP: u64 = self::word(b"REGEXP");
    const STRING: u64 = self::word(b"STRING");
    const STRUCT: u64 = self::word(b"STRUCT");
    const SYMBOL: u64 = self::word(b"SYMBOL");
    Some(match word {
        ARRAY => ObjectType::Array,
        BIGNUM => ObjectType::Bignum,
        DATA => ObjectType::Data,
        FLOAT => ObjectType::Float,
        HASH => ObjectType::Hash,
        IMEMO => ObjectType::Imemo,
        MATCH => ObjectType::Match,
        OBJECT => ObjectType::Object,
        REGEXP => ObjectType::Regexp,
        STRING => ObjectType::String,
        STRUCT => ObjectType::Struct,
        SYMBOL => ObjectType::Symbol,
        _ => return None,
    })
}

/// Reads a line into `fields`, which are empty; `None` if it is not as usual,
/// whatever that means. Its references are appended to `references` if they
/// are `wanted`, after a failure some of them. `tails` remembers what the ends
/// of lines said.
// Fields are as large as a short line: returned, they would be copied.
#[inline]
pub(crate) fn quick<'a>(
    line: &'a [u8],
    fields: &mut Fields<'a>,
    references: &mut Vec<u64>,
    wanted: bool,
    tails: &Tails,
) -> Option<ObjectType> {
    const FROZEN: u64 = word(b"frozen");
    const FSTRING: u64 = word(b"fstring");
    const SHARED: u64 = word(b"shared");
    const CHILLED: u64 = word(b"chilled");
    const CLASS: u64 = word(b"class");
    const VALUE: u64 = word(b"value");
    const DEFAULT: u64 = word(b"default");
    const STRUCT: u64 = word(b"struct");
    const LENGTH: u64 = word(b"length");
    const SIZE: u64 = word(b"size");
    const IVARS: u64 = word(b"ivars");
    const FILE: u64 = word(b"file");
    const MEMSIZE: u64 = word(b"memsize");
    // The beginnings of longer keys.
    const EMBEDDED: u64 = word(b"embedded");
    const BYTESIZE: u64 = word(b"bytesize");
    const CAPACITY: u64 = word(b"capacity");
    const ENCODING: u64 = word(b"encoding");
    const CODERANGE: u64 = word(b"coderang");
    const IMEMO_TYPE: u64 = word(b"imemo_ty");
    const SHAPE_ID: u64 = word(b"shape_id");
    const SLOT_SIZE: u64 = word(b"slot_siz");
    const REFERENCES: u64 = word(b"referenc");
    const GENERATION: u64 = word(b"generati");

    let mut quick = Quick { line, at: 0 };
    quick.eat(b"{\"address\":")?;
    fields.address = quick.address()?;
    quick.eat(b", \"type\":\"")?;
    let name = quick.word(quick.at)?;
    let quotes = bytes_equal(name, b'"');
    if quotes == 0 {
        return None;
    }
    let object_type = type_of(up_to(name, quotes))?;
    quick.at += quotes.trailing_zeros() as usize / 8 + 1;
    loop {
        if quick.eat(b", \"").is_none() {
            return (line[quick.at..] == *b"}").then_some(object_type);
        }
        let key = quick.word(quick.at)?;
        let quotes = bytes_equal(key, b'"');
        if quotes != 0 {
            let key = up_to(key, quotes);
            if matches!(key, FILE | MEMSIZE) {
                quick.end(fields, tails)?;
                return Some(object_type);
            }
            quick.at += quotes.trailing_zeros() as usize / 8;
            quick.eat(b"\":")?;
            match key {
                CLASS => fields.class = quick.address()?,
                VALUE | DEFAULT => {
                    quick.string()?;
                }
                STRUCT => fields.detail = Some(quick.string()?),
                LENGTH | SIZE | IVARS => fields.length = Some(quick.integer()?),
                FROZEN | FSTRING | SHARED => quick.eat(b"true")?,
                CHILLED => {
                    fields.has_chilled = true;
                    quick.eat(b"true")?;
                }
                _ => return None,
            }
            continue;
        }
        if key == GENERATION {
            quick.end(fields, tails)?;
            return Some(object_type);
        }
        quick.at += 8;
        match key {
            EMBEDDED => quick.eat(b"\":true")?,
            BYTESIZE => {
                quick.eat(b"\":")?;
                fields.length = Some(quick.integer()?);
            }
            CAPACITY => {
                quick.eat(b"\":")?;
                quick.integer()?;
            }
            ENCODING => {
                quick.eat(b"\":")?;
                quick.string()?;
            }
            CODERANGE => {
                quick.eat(b"e\":")?;
                quick.string()?;
            }
            IMEMO_TYPE => {
                quick.eat(b"pe\":")?;
                fields.detail = Some(quick.string()?);
            }
            SHAPE_ID => {
                quick.eat(b"\":")?;
                fields.shape_id = Some(quick.integer()?);
            }
            SLOT_SIZE => {
                quick.eat(b"e\":")?;
                fields.slot_size = Some(quick.integer()?);
            }
            REFERENCES => {
                quick.eat(b"es\":")?;
                if wanted {
                    quick.addresses(references)?;
                } else {
                    quick.skip_array()?;
                }
            }
            _ => return None,
        }
    }
}

impl<'a> Quick<'a> {
    /// Reads the line from the key of `file`, or of what comes instead, to its
    /// end, if that is not remembered.
    #[inline]
    fn end(&mut self, fields: &mut Fields<'a>, tails: &Tails) -> Option<()> {
        let hash = TailHash::of(&self.line[self.at..]);
        if let Some(hash) = hash
            && let Some(tail) = tails.get(hash)
        {
            let number = |number: u32| (number != ABSENT).then_some(u64::from(number));
            fields.generation = number(tail.generation);
            fields.memsize = number(tail.memsize);
            fields.spelling = Some(tail.spelling);
            return Some(());
        }
        fields.tail = hash;
        self.tail(fields)
    }

    /// What [`Quick::end`] reads, for the first time.
    #[inline(never)]
    fn tail(&mut self, fields: &mut Fields<'a>) -> Option<()> {
        const FILE: u64 = word(b"file");
        const LINE: u64 = word(b"line");
        const METHOD: u64 = word(b"method");
        const MEMSIZE: u64 = word(b"memsize");
        const FLAGS: u64 = word(b"flags");
        const GENERATION: u64 = word(b"generati");
        loop {
            let key = self.word(self.at)?;
            let quotes = bytes_equal(key, b'"');
            if quotes == 0 {
                self.at += 8;
                self.eat(b"on\":")?;
                if key != GENERATION {
                    return None;
                }
                fields.generation = Some(self.small_integer()?);
            } else {
                self.at += quotes.trailing_zeros() as usize / 8;
                self.eat(b"\":")?;
                match up_to(key, quotes) {
                    FILE => fields.file = Some(self.string()?),
                    LINE => fields.line = Some(self.small_integer()?),
                    METHOD => fields.method = Some(self.string()?),
                    MEMSIZE => fields.memsize = Some(self.small_integer()?),
                    FLAGS => return self.is_last_object().then_some(()),
                    _ => return None,
                }
            }
            if self.eat(b", \"").is_none() {
                return (self.line[self.at..] == *b"}").then_some(());
            }
        }
    }
}

/// The bytes of `word` before the first of `quotes`, which is not empty.
#[inline]
fn up_to(word: u64, quotes: u64) -> u64 {
    // All bits below the high bit of the quote, and of those the whole bytes.
    word & ((quotes & quotes.wrapping_neg()) >> 7).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{LineKind, Mode, Tail, scan};

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
        let mut tails = Tails::default();
        let mut spellings = Vec::new();
        for line in LINES {
            for at in 0..line.len() {
                for byte in [line[at], b'"', b'\\', b' ', b'0', b'}', b']', b'g', 0xff] {
                    let is_whole = line[at] == byte;
                    let mut line = line.to_vec();
                    line[at] = byte;
                    for wanted in [false, true] {
                        let mut found = Vec::new();
                        let mut fields = Fields::default();
                        let Some(object_type) =
                            quick(&line, &mut fields, &mut found, wanted, &tails)
                        else {
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
                        let site = site.0.map(|_| {
                            let site = format!("{site:?}");
                            let known = spellings.iter().position(|known| *known == site);
                            known.unwrap_or_else(|| {
                                spellings.push(site);
                                spellings.len() - 1
                            }) as u32
                        });
                        let spelling = site.unwrap_or(ABSENT);
                        let number = |number: Option<u64>| number.map_or(ABSENT, |it| it as u32);
                        if let Some(hash) = fields.tail {
                            let tail = Tail {
                                generation: number(said.generation),
                                memsize: number(said.memsize),
                                spelling,
                            };
                            tails.put(hash, tail);
                        }
                        remembered += usize::from(fields.spelling.is_some());
                        let fields = Fields {
                            file: said
                                .file
                                .filter(|_| fields.spelling == Some(spelling))
                                .or(fields.file),
                            line: said
                                .line
                                .filter(|_| fields.spelling == Some(spelling))
                                .or(fields.line),
                            method: said
                                .method
                                .filter(|_| fields.spelling == Some(spelling))
                                .or(fields.method),
                            spelling: None,
                            tail: None,
                            ..fields
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
