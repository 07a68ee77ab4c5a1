//! A line of megabytes, and what of it no heap keeps.
//!
//! A line is as long as its string or its references: half a gigabyte has
//! been seen. While such a line is loaded, what lies beyond the first part of
//! a value is left out of it, so that it is read in little memory and to the
//! same result. Knows JSON's brackets and quotes and one key.

/// What is done about long lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LongLines {
    /// Nothing: they are wanted as they stand.
    AsTheyAre,
    /// Long values are cut, references are not.
    KeepReferences,
    /// Long values are cut.
    CutAll,
}

/// Of a value this much is kept; no name or path is longer.
const MOST: usize = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    BeforeKey,
    Key,
    AfterKey,
    BeforeValue,
    Scalar,
    Text,
    /// In brackets, outside of a string.
    Nested,
    NestedText,
    AfterValue,
    Done,
    /// No JSON: nothing more is kept, and the line is one that cannot be read.
    Broken,
}

/// A line that is not loaded to its end.
#[derive(Debug)]
pub(crate) struct LongLine {
    long_lines: LongLines,
    state: State,
    /// The next byte of a string is escaped, and kept or not as the backslash
    /// was.
    escape: Option<bool>,
    /// Open brackets within the value.
    depth: usize,
    key: Vec<u8>,
    /// Bytes of the value, or of what stands for one.
    length: usize,
    /// The rest of the elements is left out.
    is_skipping: bool,
    /// Bytes of the line that were looked at and kept.
    kept: usize,
}

impl LongLine {
    pub(crate) fn new(long_lines: LongLines) -> LongLine {
        LongLine {
            long_lines,
            state: State::Start,
            escape: None,
            depth: 0,
            key: Vec::new(),
            length: 0,
            is_skipping: false,
            kept: 0,
        }
    }

    /// Leaves out of `line` what need not be kept; the length of the rest,
    /// which stands at its beginning. What was looked at in an earlier call
    /// must stand there unchanged.
    pub(crate) fn shorten(&mut self, line: &mut [u8]) -> usize {
        let mut at = self.kept;
        while at < line.len() {
            // Most of a long line is one string.
            if matches!(self.state, State::Text | State::NestedText)
                && self.escape.is_none()
                && (self.is_skipping || self.length >= MOST)
            {
                let rest = &line[at..];
                at += memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                if at == line.len() {
                    break;
                }
            }
            let byte = line[at];
            at += 1;
            if self.keeps(byte) {
                line[self.kept] = byte;
                self.kept += 1;
            } else if self.state == State::Broken {
                // Nothing reads a line that begins so.
                line[0] = b'!';
                self.kept = self.kept.max(1);
                break;
            }
        }
        self.kept
    }

    /// Takes the next byte; whether it is kept.
    fn keeps(&mut self, byte: u8) -> bool {
        let is_space = matches!(byte, b' ' | b'\t' | b'\r');
        self.length += 1;
        let is_long = self.length > MOST;
        let next = match (self.state, byte) {
            (State::Broken, _) => return false,
            (State::Text | State::NestedText | State::Key, _) => return self.text(byte, is_long),
            (State::Nested, _) => return self.nested(byte),
            (State::Scalar, b',') | (State::AfterValue, b',') => State::BeforeKey,
            (State::Scalar, b'}') | (State::AfterValue, b'}') => State::Done,
            // White space without end, or a number.
            _ if is_long => State::Broken,
            (state, _) if is_space && state != State::Scalar => state,
            (State::Start, b'{') => State::BeforeKey,
            (State::BeforeKey, b'"') => {
                self.key.clear();
                State::Key
            }
            (State::BeforeKey, b'}') => State::Done,
            (State::AfterKey, b':') => State::BeforeValue,
            (State::BeforeValue, b'"') => State::Text,
            (State::BeforeValue, b'[' | b'{') => {
                self.depth = 1;
                State::Nested
            }
            (State::BeforeValue, _) => State::Scalar,
            (State::Scalar, _) if is_space => State::AfterValue,
            (State::Scalar, _) => State::Scalar,
            _ => State::Broken,
        };
        if next != self.state {
            self.length = 0;
        }
        self.state = next;
        next != State::Broken
    }

    fn text(&mut self, byte: u8, is_long: bool) -> bool {
        let is_kept = !is_long && !self.is_skipping;
        if let Some(is_kept) = self.escape.take() {
            return is_kept;
        }
        if byte == b'\\' {
            self.escape = Some(is_kept);
        } else if byte == b'"' {
            let is_skipping = self.is_skipping;
            self.state = match self.state {
                State::Key => State::AfterKey,
                State::NestedText => State::Nested,
                _ => State::AfterValue,
            };
            if self.state != State::Nested {
                self.length = 0;
            }
            return !is_skipping;
        }
        if self.state == State::Key {
            if is_long {
                self.state = State::Broken;
                return false;
            }
            self.key.push(byte);
        }
        is_kept
    }

    fn nested(&mut self, byte: u8) -> bool {
        let is_kept = self.long_lines == LongLines::KeepReferences && self.key == b"references";
        if is_kept && byte == b',' {
            // As many elements as there are, but none of them long.
            self.length = 0;
        }
        match byte {
            b'"' => self.state = State::NestedText,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth -= 1,
            b',' if self.depth == 1 && self.length > MOST => self.is_skipping = true,
            _ => {}
        }
        if self.depth == 0 {
            self.state = State::AfterValue;
            self.length = 0;
            self.is_skipping = false;
            return true;
        }
        // Ruby nests no deeper, and writes no such numbers.
        if !self.is_skipping && self.length > 2 * MOST && self.state == State::Nested {
            self.state = State::Broken;
        }
        !self.is_skipping && self.state != State::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line that is left of `line`, loaded by so many bytes.
    fn shortened(line: &str, long_lines: LongLines, block: usize) -> String {
        let mut long = LongLine::new(long_lines);
        let mut buffer = Vec::new();
        for block in line.as_bytes().chunks(block) {
            buffer.extend_from_slice(block);
            let kept = long.shorten(&mut buffer);
            buffer.truncate(kept);
        }
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn a_long_string_is_cut_and_all_else_is_there() {
        for value in ["x", "\\\"", "\\\\", "\\u00e9", "é"] {
            let line = |value: &str| {
                format!(
                    r#"{{"address":"0x8", "type":"STRING", "bytesize":9, "value":"{value}", "references":["0x10", "0x18"], "memsize":40, "flags":{{"old":true}}}}"#
                )
            };
            let short = line(value);
            let long = line(&value.repeat(MOST));
            for block in [1, 7, 4096, 1 << 20] {
                for mode in [LongLines::KeepReferences, LongLines::CutAll] {
                    assert_eq!(shortened(&short, mode, block), short);
                    let cut = shortened(&long, mode, block);
                    assert!(cut.len() < 2 * MOST, "{}", cut.len());
                    let json: serde_json::Value = match value {
                        // An escape of six bytes may be cut in two: nothing
                        // decodes a string of that length.
                        "\\u00e9" => continue,
                        _ => serde_json::from_str(&cut).unwrap(),
                    };
                    assert_eq!(json["references"][1], "0x18");
                    assert_eq!(json["memsize"], 40);
                    assert_eq!(json["flags"]["old"], true);
                }
            }
        }
    }

    #[test]
    fn long_references_are_cut_where_nobody_wants_them() {
        let addresses: Vec<String> = (1..30_000_u64)
            .map(|n| format!("\"{:#x}\"", n * 8))
            .collect();
        let line = format!(
            r#"{{"type":"ROOT", "references":[{}], "memsize":40}}"#,
            addresses.join(", ")
        );
        for block in [1, 4096, 1 << 20] {
            assert_eq!(shortened(&line, LongLines::KeepReferences, block), line);
            let cut = shortened(&line, LongLines::CutAll, block);
            assert!(cut.len() < 2 * MOST, "{}", cut.len());
            let json: serde_json::Value = serde_json::from_str(&cut).unwrap();
            assert_eq!(json["references"][0], "0x8");
            assert_eq!(json["memsize"], 40);
        }
    }

    #[test]
    fn what_is_no_json_is_dropped_and_cannot_be_read() {
        let long = "a".repeat(4 * MOST);
        let deep = "[".repeat(4 * MOST);
        for line in [
            long.clone(),
            format!("{{{long}"),
            format!("{{\"{long}"),
            format!("{{\"x\":{long}"),
            format!("{{\"x\":\"y\" {long}"),
            format!("{{\"x\":{deep}"),
            format!("{{\"x\":[{long}"),
            format!("{{\"references\":[{}", "1".repeat(4 * MOST)),
            format!("{{}}{long}"),
        ] {
            for block in [7, 1 << 20] {
                let cut = shortened(&line, LongLines::KeepReferences, block);
                assert!(cut.len() <= 3 * MOST, "{} of {}", cut.len(), &line[..20]);
                assert!(cut.starts_with('!'), "{}", &cut[..9]);
            }
        }
    }
}
