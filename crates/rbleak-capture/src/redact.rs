//! Leaves the values of strings and symbols out of a dump on its way to the
//! disk. What is left of a string is its length, which dumps give apart.
//! Works on bytes as they come, of lines of any length, and holds none back
//! but the beginning of what may be a value.

use memchr::memmem::Finder;
use std::io::{self, Write};

/// How every Ruby begins a value. Within a JSON string its quotes would be
/// escaped: it stands for itself.
const BEGINNING: &[u8] = b", \"value\":\"";

/// Passes a dump on without its values.
pub struct Redactor<W> {
    sink: W,
    finder: Finder<'static>,
    /// Not passed on yet: it may be the first part of [`BEGINNING`].
    held: Vec<u8>,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Value,
    /// Behind a backslash within a value.
    Escaped,
}

impl<W: Write> Redactor<W> {
    /// Writes to `sink`.
    pub fn new(sink: W) -> Redactor<W> {
        Redactor {
            sink,
            finder: Finder::new(BEGINNING),
            held: Vec::new(),
            place: Place::Outside,
        }
    }

    /// Passes on what was held back; the sink.
    ///
    /// # Errors
    /// The sink's.
    pub fn finish(mut self) -> io::Result<W> {
        self.sink.write_all(&self.held)?;
        Ok(self.sink)
    }

    /// Passes on what no value begins in; the rest of the bytes.
    fn outside<'b>(&mut self, bytes: &'b [u8]) -> io::Result<&'b [u8]> {
        if !self.held.is_empty() {
            let wanted = BEGINNING.len() - self.held.len();
            let (more, _) = bytes.split_at(wanted.min(bytes.len()));
            let mut seen = std::mem::take(&mut self.held);
            let kept = seen.len();
            seen.extend_from_slice(more);
            if seen == BEGINNING {
                self.place = Place::Value;
                return Ok(&bytes[more.len()..]);
            }
            if BEGINNING.starts_with(&seen) {
                self.held = seen;
                return Ok(&[]);
            }
            // No value after all; the new bytes are looked at by themselves,
            // for of BEGINNING no part but its first byte begins it again, and
            // that is no part of what was held.
            self.sink.write_all(&seen[..kept])?;
            return Ok(bytes);
        }
        if let Some(at) = self.finder.find(bytes) {
            self.sink.write_all(&bytes[..at])?;
            self.place = Place::Value;
            return Ok(&bytes[at + BEGINNING.len()..]);
        }
        let tail = (1..BEGINNING.len().min(bytes.len() + 1))
            .rev()
            .find(|&length| bytes.ends_with(&BEGINNING[..length]))
            .unwrap_or(0);
        let (whole, held) = bytes.split_at(bytes.len() - tail);
        self.sink.write_all(whole)?;
        self.held.extend_from_slice(held);
        Ok(&[])
    }

    /// Drops bytes up to the end of the value; the rest.
    fn value<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mut rest = bytes;
        if self.place == Place::Escaped
            && let Some((_, tail)) = rest.split_first()
        {
            rest = tail;
            self.place = Place::Value;
        }
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
            if rest[at] == b'"' {
                self.place = Place::Outside;
                return &rest[at + 1..];
            }
            match rest.get(at + 2..) {
                Some(tail) => rest = tail,
                None => {
                    self.place = Place::Escaped;
                    return &[];
                }
            }
        }
        &[]
    }
}

impl<W: Write> Write for Redactor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.place {
                Place::Outside => self.outside(rest)?,
                Place::Value | Place::Escaped => self.value(rest),
            };
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = r#"{"address":"0x1", "type":"STRING", "bytesize":5, "value":"a\"b\\", "encoding":"UTF-8"}
{"address":"0x2", "type":"STRING", "value":"", "file":"x, \"value\":\"kept\""}
{"address":"0x3", "type":"SYMBOL", "value":"\\\\\"", "generation":1}
"#;
    const REDACTED: &str = r#"{"address":"0x1", "type":"STRING", "bytesize":5, "encoding":"UTF-8"}
{"address":"0x2", "type":"STRING", "file":"x, \"value\":\"kept\""}
{"address":"0x3", "type":"SYMBOL", "generation":1}
"#;

    fn redacted(text: &str, block: usize) -> String {
        let mut redactor = Redactor::new(Vec::new());
        for part in text.as_bytes().chunks(block) {
            redactor.write_all(part).unwrap();
        }
        String::from_utf8(redactor.finish().unwrap()).unwrap()
    }

    #[test]
    fn values_go_and_all_else_stays_however_the_bytes_come() {
        for block in 1..DUMP.len() + 1 {
            assert_eq!(redacted(DUMP, block), REDACTED, "in blocks of {block}");
        }
    }

    #[test]
    fn what_only_begins_like_a_value_stays() {
        for text in [
            ", \"valu",
            ", , \"value\":1",
            ", \"value\":",
            "",
            ", \", \"v",
        ] {
            for block in 1..text.len() + 2 {
                assert_eq!(redacted(text, block), text, "{text} in blocks of {block}");
            }
        }
    }

    #[test]
    fn a_value_that_is_cut_off_is_left_out() {
        assert_eq!(redacted(r#"{"a":1, "value":"secr"#, 3), r#"{"a":1"#);
    }
}
