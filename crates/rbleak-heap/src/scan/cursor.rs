//! Moves over the bytes of one line.
//!
//! Knows JSON's tokens, not what a key means. Nothing here panics: a byte
//! that is not there is `None`.

use super::text::{STALE_ESCAPE, STALE_LEN};

/// A place in a line.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The value of each hexadecimal digit, 0xff for other bytes.
const HEX: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            digit @ b'A'..=b'F' => digit - b'A' + 10,
            _ => 0xff,
        };
        byte += 1;
    }
    table
};

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Skips white space. Ruby writes one blank after a comma; `jq` none.
    #[inline]
    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Steps over `byte`.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// A key with its quotes and its colon: the bytes between the quotes.
    #[inline]
    pub(crate) fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.string()?;
        self.space();
        self.eat(b':')?;
        self.space();
        Some(key)
    }

    /// A string: the bytes between its quotes, escapes as they stand.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        self.eat(b'"')?;
        let start = self.at;
        loop {
            self.at += memchr::memchr2(b'"', b'\\', self.rest())?;
            if self.bytes[self.at] == b'"' {
                let text = &self.bytes[start..self.at];
                self.at += 1;
                return Some(text);
            }
            // The escaped byte cannot end the string.
            self.at += 2;
        }
    }

    /// A string that Ruby wrote raw: it ends at the first quote that is
    /// followed by what may follow such a field. `None` if no quote is.
    pub(crate) fn raw_string(&mut self, followers: &[&[u8]]) -> Option<&'a [u8]> {
        self.eat(b'"')?;
        let start = self.at;
        let mut at = start;
        loop {
            let rest = self.bytes.get(at..)?;
            let found = memchr::memchr2(b'"', b'\\', rest)?;
            at += found;
            if self.bytes[at..].starts_with(STALE_ESCAPE) {
                at += STALE_LEN;
                continue;
            }
            if self.bytes[at] == b'"' {
                let tail = &self.bytes[at + 1..];
                let ends = match tail.strip_prefix(b", \"") {
                    Some(key) => followers.iter().any(|follower| key.starts_with(follower)),
                    None => tail.trim_ascii_end() == b"}",
                };
                if ends {
                    self.at = at + 1;
                    return Some(&self.bytes[start..at]);
                }
            }
            at += 1;
        }
    }

    /// An address in quotes, with or without `0x`. `None` leaves the cursor
    /// where it was.
    #[inline]
    pub(crate) fn address(&mut self) -> Option<u64> {
        let rest = self.rest().strip_prefix(b"\"")?;
        let digits = rest.strip_prefix(b"0x").unwrap_or(rest);
        let mut value = 0_u64;
        for (count, &byte) in digits.iter().enumerate() {
            let digit = HEX[byte as usize];
            if digit == 0xff {
                if byte != b'"' || count == 0 {
                    return None;
                }
                self.at += 1 + (rest.len() - digits.len()) + count + 1;
                return Some(value);
            }
            // More than 64 bits are no address; leading zeros are fine.
            if value >> 60 != 0 {
                return None;
            }
            value = value << 4 | u64::from(digit);
        }
        None
    }

    /// An unsigned integer. `None` leaves the cursor where it was: a sign, a
    /// fraction or another type.
    #[inline]
    pub(crate) fn integer(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut at = self.at;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(at) {
            value = value
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
            at += 1;
        }
        if at == self.at || matches!(self.bytes.get(at), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.at = at;
        Some(value)
    }

    /// Steps over any value.
    pub(crate) fn skip_value(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' => self.skip_nested(),
            _ => {
                let start = self.at;
                while let Some(byte) = self.peek() {
                    if !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'+' | b'.')
                    {
                        break;
                    }
                    self.at += 1;
                }
                (self.at > start).then_some(())
            }
        }
    }

    /// Steps over an array or object by counting brackets.
    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        self.at += 1;
                        return Some(());
                    }
                }
                b'"' => {
                    self.string()?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Steps over an object that ends right before the line's own brace, as
    /// `flags` does. `None` leaves the cursor where it was.
    #[inline]
    pub(crate) fn skip_last_object(&mut self) -> Option<()> {
        let rest = self.rest();
        let end = memchr::memchr2(b'}', b'{', rest.strip_prefix(b"{")?)? + 1;
        if rest.get(end..)? != b"}}" {
            return None;
        }
        self.at += end + 1;
        Some(())
    }

    /// Steps over an array of addresses, which has no brackets inside. `None`
    /// leaves the cursor where it was.
    #[inline]
    pub(crate) fn skip_flat_array(&mut self) -> Option<()> {
        let inside = self.rest().strip_prefix(b"[")?;
        let end = memchr::memchr2(b']', b'[', inside)?;
        if inside[end] != b']' {
            return None;
        }
        self.at += end + 2;
        Some(())
    }

    /// An array of addresses, appended to `out`; an element that is none is
    /// passed over.
    #[inline]
    pub(crate) fn addresses(&mut self, out: &mut Vec<u64>) -> Option<()> {
        self.eat(b'[')?;
        self.space();
        if self.eat(b']').is_some() {
            return Some(());
        }
        loop {
            match self.address() {
                Some(address) => out.push(address),
                None => self.skip_value()?,
            }
            self.space();
            if self.eat(b',').is_none() {
                return self.eat(b']');
            }
            self.space();
        }
    }
}
