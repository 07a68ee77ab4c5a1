//! What the line of one object says besides what columns keep.
//!
//! Found by a second look at the file. Knows keys as text only: a key that a
//! later Ruby adds is told as it stands.

use crate::error::ReadError;
use crate::heap::Heap;
use crate::look::{self, Look};
use crate::read::ReadOptions;
use crate::scan::{Cursor, address_of, decode};
use rbleak_units::Address;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Characters of a value that are kept at most.
const MAX_VALUE: usize = 4096;
/// What is told by other means, or is no scalar.
const TOLD: [&[u8]; 14] = [
    b"address",
    b"type",
    b"class",
    b"superclass",
    b"references",
    b"file",
    b"line",
    b"method",
    b"generation",
    b"memsize",
    b"name",
    b"real_class_name",
    b"value",
    b"flags",
];

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Keys and values that are no lists, in the order of the line: `frozen`
    /// `true`, `capacity` `47`, `encoding` `UTF-8`, …
    pub fields: Vec<(String, String)>,
    /// Its flags that are set, those that are counts as `age 3`.
    pub flags: Vec<String>,
    /// The value of a STRING, SYMBOL or FLOAT, cut after 4 096 characters;
    /// `None` where the dump has none.
    pub value: Option<String>,
    /// Whether the value was cut.
    pub is_cut: bool,
}

impl Detail {
    /// Looks for objects of a file by their addresses; those that are not found
    /// are left out.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn find(
        path: impl AsRef<Path>,
        options: &ReadOptions,
        addresses: &[Address],
    ) -> Result<BTreeMap<Address, Detail>, ReadError> {
        let wanted = Wanted::new(addresses);
        Ok(look::look(path.as_ref(), options, wanted)?.found)
    }

    /// Reads a heap from a stream and looks for objects on the way.
    ///
    /// # Errors
    ///
    /// As [`Heap::read`].
    pub fn read(
        reader: impl Read + Send + 'static,
        name: &str,
        options: &ReadOptions,
        addresses: &[Address],
    ) -> Result<(Heap, BTreeMap<Address, Detail>), ReadError> {
        let wanted = Wanted::new(addresses);
        let (heap, looked) = look::read_with(reader, name, options, wanted)?;
        Ok((heap, looked.found))
    }

    fn of(line: &[u8]) -> Detail {
        let mut detail = Detail::default();
        // Ends where the line does, or where Ruby wrote a raw name.
        let _ = detail.read_fields(&mut Cursor::new(line));
        // They stand last, behind all raw names.
        if let Some(at) = memchr::memmem::rfind(line, b"\"flags\":") {
            let _ = detail.read_flags(&mut Cursor::new(&line[at..]));
        }
        detail
    }

    fn read_fields(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.space();
        cursor.eat(b'{')?;
        loop {
            cursor.space();
            let key = cursor.key()?;
            if key == b"value" {
                self.read_value(cursor)?;
            } else if TOLD.contains(&key) {
                cursor.skip_value()?;
            } else if let Some(value) = scalar(cursor)? {
                self.fields.push((decode(key).0, value));
            }
            cursor.space();
            cursor.eat(b',')?;
        }
    }

    fn read_value(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let raw = cursor.string()?;
        // An escape is no longer than twelve bytes.
        let (value, _) = decode(&raw[..raw.len().min(12 * MAX_VALUE + 12)]);
        self.is_cut = value.chars().nth(MAX_VALUE).is_some();
        self.value = Some(value.chars().take(MAX_VALUE).collect());
        Some(())
    }

    fn read_flags(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.key()?;
        cursor.eat(b'{')?;
        loop {
            cursor.space();
            let key = decode(cursor.key()?).0;
            match scalar(cursor)?.as_deref() {
                Some("true") => self.flags.push(key),
                Some("false") | None => {}
                Some(value) => self.flags.push(format!("{key} {value}")),
            }
            cursor.space();
            cursor.eat(b',')?;
        }
    }
}

/// A value as text; `None` inside for a list or object.
fn scalar(cursor: &mut Cursor<'_>) -> Option<Option<String>> {
    match cursor.peek()? {
        b'"' => Some(Some(decode(cursor.string()?).0)),
        b'[' | b'{' => cursor.skip_value().map(|()| None),
        _ => {
            let before = cursor.rest();
            cursor.skip_value()?;
            let text = &before[..before.len() - cursor.rest().len()];
            Some(Some(String::from_utf8_lossy(text).into_owned()))
        }
    }
}

/// Objects that are looked for, and those that were found.
struct Wanted {
    /// Sorted.
    addresses: Vec<Address>,
    found: BTreeMap<Address, Detail>,
}

impl Wanted {
    fn new(addresses: &[Address]) -> Wanted {
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        let found = BTreeMap::new();
        Wanted { addresses, found }
    }
}

impl Look for Wanted {
    fn fork(&self) -> Wanted {
        Wanted::new(&self.addresses)
    }

    fn line(&mut self, line: &[u8]) {
        let Some(address) = address_of(line).map(Address) else {
            return;
        };
        if self.addresses.binary_search(&address).is_ok() {
            // Of several lines the first counts, as in a heap.
            self.found
                .entry(address)
                .or_insert_with(|| Detail::of(line));
        }
    }

    fn join(&mut self, later: Wanted) {
        for (address, detail) in later.found {
            self.found.entry(address).or_insert(detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> (Vec<String>, Vec<String>, Option<String>) {
        let detail = Detail::of(line.as_bytes());
        let fields = detail
            .fields
            .iter()
            .map(|(key, value)| format!("{key} {value}"));
        (fields.collect(), detail.flags, detail.value)
    }

    #[test]
    fn a_line_is_told_as_far_as_it_can_be_read() {
        let (fields, flags, value) = of(
            r#"{"address":"0x10", "type":"STRING", "slot_size":40, "class":"0x8", "embedded":true, "bytesize":3, "value":"a\"b", "encoding":"UTF-8", "references":["0x8"], "file":"a"b.rb", "line":1, "memsize":40, "flags":{"old":true, "age":3, "marked":false}}"#,
        );
        assert_eq!(
            fields,
            [
                "slot_size 40",
                "embedded true",
                "bytesize 3",
                "encoding UTF-8"
            ]
        );
        assert_eq!(flags, ["old", "age 3"]);
        assert_eq!(value.as_deref(), Some("a\"b"));
        assert_eq!(of("{").0.len() + of("").1.len(), 0);
        let long = format!(r#"{{"value":"{}"}}"#, "\\u0041".repeat(5000));
        let detail = Detail::of(long.as_bytes());
        assert_eq!(detail.value.unwrap(), "A".repeat(4096));
        assert!(detail.is_cut);
    }

    #[test]
    fn no_damage_to_a_line_is_fatal() {
        let line = br#"{"address":"0x10", "type":"FLOAT", "value":"1.5", "x":[{}], "flags":{"old":true, "age":3}}"#;
        for at in 0..line.len() {
            let _ = Detail::of(&line[..at]);
            for byte in [b'"', b'\\', b'{', b'}', b'[', b',', b' ', b'9', 0, 0xff] {
                let mut line = line.to_vec();
                line[at] = byte;
                let _ = Detail::of(&line);
            }
        }
    }

    #[test]
    fn objects_are_found_in_files_and_streams() {
        let text = "{\"address\":\"0x10\", \"type\":\"FLOAT\", \"value\":\"1.5\"}\n\
                    {\"address\":\"0x18\", \"type\":\"FLOAT\", \"value\":\"2.5\"}\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let options = ReadOptions::default();
        let wanted = [Address(0x18), Address(0x20)];
        let found = Detail::find(file.path(), &options, &wanted).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[&Address(0x18)].value.as_deref(), Some("2.5"));
        let stream = std::io::Cursor::new(text);
        let (heap, streamed) = Detail::read(stream, "text", &options, &wanted).unwrap();
        assert_eq!((heap.len(), streamed), (2, found));
    }
}
