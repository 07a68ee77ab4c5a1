//! What the text of a dump says and columns do not keep: which strings have the
//! same value, and how large slots are.
//!
//! Values themselves are not kept. Two strings count as equal if their lengths
//! and XXH3's 128 bits agree: among ten million values chosen without malice
//! the chance that any two differ and agree all the same is about 10⁻²⁵.

use crate::error::ReadError;
use crate::heap::Heap;
use crate::look::{self, Look};
use crate::object_type::ObjectType;
use crate::read::ReadOptions;
use crate::scan::Cursor;
use rbleak_units::Address;
use rustc_hash::FxHashMap;
use std::io::Read;
use std::path::Path;

/// Ruby's pages, of which each has slots of one size, are no smaller.
const PAGE_BITS: u32 = 14;

/// A size that no slot has.
const UNCLEAR: u32 = 0;

/// The value of one string: a hash, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value {
    pub(super) hash: [u64; 2],
    pub(super) address: u64,
}

/// See the module. 24 bytes for each string with a value.
#[derive(Clone, Debug, Default)]
pub struct Content {
    pub(super) values: Vec<Value>,
    /// By page: each has slots of one size. [`UNCLEAR`] where a dump, which
    /// then was edited, says otherwise.
    slot_sizes: FxHashMap<u64, u32>,
}

impl Content {
    /// Reads a heap and its content from a file, as [`Heap::open`] does.
    ///
    /// # Errors
    ///
    /// As [`Heap::open`].
    pub fn open(
        path: impl AsRef<Path>,
        options: &ReadOptions,
    ) -> Result<(Heap, Content), ReadError> {
        look::open_with(path.as_ref(), options, Content::default())
    }

    /// Reads a heap and its content from a stream, as [`Heap::read`] does.
    ///
    /// # Errors
    ///
    /// As [`Heap::read`].
    pub fn read(
        reader: impl Read + Send + 'static,
        name: &str,
        options: &ReadOptions,
    ) -> Result<(Heap, Content), ReadError> {
        look::read_with(reader, name, options, Content::default())
    }

    /// Bytes of the slot at an address; `None` where the dump does not say, as
    /// before 3.2.
    pub fn slot_size(&self, address: Address) -> Option<u32> {
        let size = self.slot_sizes.get(&(address.0 >> PAGE_BITS))?;
        (*size != UNCLEAR).then_some(*size)
    }

    /// Whether the dump says how large slots are (3.2 and later).
    pub fn has_slot_sizes(&self) -> bool {
        !self.slot_sizes.is_empty()
    }

    fn add_page(&mut self, page: u64, size: u32) {
        let known = self.slot_sizes.entry(page).or_insert(size);
        if *known != size {
            *known = UNCLEAR;
        }
    }
}

impl Look for Content {
    fn fork(&self) -> Content {
        Content::default()
    }

    fn line(&mut self, line: &[u8]) {
        let found = fields(line);
        if found.address == 0 {
            return;
        }
        if let Some(size) = found.slot_size {
            self.add_page(found.address >> PAGE_BITS, size);
        }
        if let Some(value) = found.value
            && found.object_type == Some(ObjectType::String)
        {
            let hash = twox_hash::XxHash3_128::oneshot(value);
            self.values.push(Value {
                hash: [(hash >> 64) as u64, hash as u64],
                address: found.address,
            });
        }
    }

    fn join(&mut self, later: Content) {
        for (page, size) in later.slot_sizes {
            self.add_page(page, size);
        }
        self.values.extend_from_slice(&later.values);
    }
}

/// What is looked for in a line.
#[derive(Default)]
struct Found<'l> {
    address: u64,
    object_type: Option<ObjectType>,
    slot_size: Option<u32>,
    /// As it stands between the quotes.
    value: Option<&'l [u8]>,
}

/// What a line says, as far as it can be read: names that Ruby writes raw stand
/// behind all that is looked for.
fn fields(line: &[u8]) -> Found<'_> {
    let mut found = Found::default();
    let mut cursor = Cursor::new(line);
    // Ends where the line does, or with what is no JSON.
    let _ = read(&mut cursor, &mut found);
    found
}

fn read<'l>(cursor: &mut Cursor<'l>, found: &mut Found<'l>) -> Option<()> {
    cursor.space();
    cursor.eat(b'{')?;
    let mut keys = 0;
    // Ruby's own order of keys, in which little has to be looked at.
    let mut is_usual = false;
    loop {
        cursor.space();
        let key = cursor.key()?;
        keys += 1;
        match key {
            b"address" => found.address = cursor.address()?,
            b"type" => {
                is_usual = keys == 2 && found.address != 0;
                found.object_type = Some(ObjectType::from_bytes(cursor.string()?));
            }
            b"slot_size" => found.slot_size = u32::try_from(cursor.integer()?).ok(),
            b"value" => found.value = Some(cursor.string()?),
            b"shape_id" => cursor.skip_value()?,
            // An empty string has no value from 3.2 on.
            b"bytesize" => {
                if cursor.integer()? == 0 {
                    found.value = Some(b"");
                }
            }
            b"references" | b"file" if is_usual => return None,
            _ if is_usual && found.object_type != Some(ObjectType::String) => return None,
            _ => cursor.skip_value()?,
        }
        cursor.space();
        cursor.eat(b',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> (u64, Option<u32>, Option<String>) {
        let found = fields(line.as_bytes());
        let value = found
            .value
            .map(|value| String::from_utf8_lossy(value).into_owned());
        (found.address, found.slot_size, value)
    }

    #[test]
    fn a_line_tells_the_same_in_any_order_and_if_it_is_broken() {
        let value = |text: &str| Some(text.to_owned());
        let cases = [
            (
                r#"{"address":"0x10", "type":"STRING", "shape_id":0, "slot_size":40, "class":"0x8", "embedded":true, "bytesize":1, "value":"a", "encoding":"UTF-8", "file":"a"b", "line":1}"#,
                (0x10, Some(40), value("a")),
            ),
            (
                r#"{"address":"0x10","bytesize":1,"file":"x","flags":{"old":true},"references":["0x8"],"slot_size":80,"type":"STRING","value":"\u0000"}"#,
                (0x10, Some(80), value("\\u0000")),
            ),
            (
                r#"{"address":"0x10", "type":"STRING", "slot_size":40, "bytesize":0, "memsize":40}"#,
                (0x10, Some(40), value("")),
            ),
            (
                r#"{"address":"0x10", "type":"NONE", "shape_id":0, "slot_size":640}"#,
                (0x10, Some(640), None),
            ),
            (
                r#"{"address":"0x10", "type":"HASH", "class":"0x8", "size":0}"#,
                (0x10, None, None),
            ),
            (r#"rest of a line", "value":"x"}"#, (0, None, None)),
        ];
        for (line, expected) in cases {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    /// Whatever damage does to a line, it is read as far as it goes.
    #[test]
    fn no_damage_to_a_line_is_fatal() {
        let line = br#"{"address":"0x10", "type":"STRING", "slot_size":40, "bytesize":3, "value":"a\"b", "references":["0x8"], "memsize":40, "flags":{"old":true}}"#;
        for at in 0..line.len() {
            let _ = fields(&line[..at]);
            for byte in [b'"', b'\\', b'{', b'}', b'[', b',', b' ', b'9', 0, 0xff] {
                let mut line = line.to_vec();
                line[at] = byte;
                let found = fields(&line);
                if let Ok(json) = serde_json::from_slice::<serde_json::Value>(&line)
                    && found.address == 0x10
                    && json["type"] == "STRING"
                {
                    let is_it = |raw: &[u8]| json["value"] == crate::scan::decode(raw).0;
                    let is_empty = json["bytesize"] == 0;
                    assert!(found.value.is_none_or(is_it) || is_empty, "{json}");
                }
            }
        }
    }

    #[test]
    fn a_page_with_slots_of_two_sizes_has_none() {
        let line = |address: u64, size| {
            format!(r#"{{"address":"{address:#x}", "type":"NONE", "slot_size":{size}}}"#)
        };
        let mut content = Content::default();
        content.line(line(0x4000, 40).as_bytes());
        content.line(line(0x8000, 80).as_bytes());
        let mut later = content.fork();
        later.line(line(0x8050, 40).as_bytes());
        content.join(later);
        assert_eq!(content.slot_size(Address(0x4028)), Some(40));
        assert_eq!(content.slot_size(Address(0x8000)), None);
        assert_eq!(content.slot_size(Address(0xc000)), None);
    }
}
