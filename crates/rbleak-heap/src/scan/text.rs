//! The text of a JSON string, and what Ruby made of it.
//!
//! Valid JSON is decoded exactly. What is no valid JSON was written raw by
//! Ruby and is taken as it stands, with U+FFFD for what is no UTF-8.

use crate::issues::Reason;

/// How Ruby 3.0.0 to 3.1.2 write one byte of a method's name that is not
/// ASCII: `snprintf` is given the width of `\u00ff` but returns twelve, so a
/// NUL and five stale bytes of the buffer follow.
pub(crate) const STALE_ESCAPE: &[u8] = b"\\u00ff\0";
/// The length of [`STALE_ESCAPE`] with the stale bytes.
pub(crate) const STALE_LEN: usize = 12;

/// Decodes what stands between the quotes of a JSON string; the reason is
/// given if it was no valid JSON.
pub(crate) fn decode(raw: &[u8]) -> (String, Option<Reason>) {
    match std::str::from_utf8(raw) {
        Ok(text) if !raw.iter().any(|&b| b < 0x20 || b == b'\\' || b == b'"') => {
            (text.to_owned(), None)
        }
        Ok(text) => match unescape(text) {
            Ok(text) => (text, None),
            Err(reason) => (without_stale_bytes(raw), Some(reason)),
        },
        Err(_) => (
            without_stale_bytes(raw),
            Some(reason_of(raw, Reason::InvalidUtf8)),
        ),
    }
}

fn reason_of(raw: &[u8], otherwise: Reason) -> Reason {
    if has_stale_bytes(raw) {
        Reason::StaleBytes
    } else {
        otherwise
    }
}

fn has_stale_bytes(raw: &[u8]) -> bool {
    memchr::memmem::find(raw, STALE_ESCAPE).is_some()
}

/// `raw` as lossy UTF-8, with one U+FFFD for each stale escape: the byte
/// itself is lost.
fn without_stale_bytes(raw: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = raw;
    while let Some(at) = memchr::memmem::find(rest, STALE_ESCAPE) {
        out.push_str(&String::from_utf8_lossy(&rest[..at]));
        out.push('\u{fffd}');
        rest = rest.get(at + STALE_LEN..).unwrap_or_default();
    }
    out.push_str(&String::from_utf8_lossy(rest));
    out
}

fn unescape(text: &str) -> Result<String, Reason> {
    let bytes = text.as_bytes();
    let stale = |otherwise| reason_of(bytes, otherwise);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return Err(stale(Reason::UnescapedQuote)),
            b'\n' => return Err(stale(Reason::SplitLine)),
            0..0x20 => return Err(stale(Reason::ControlCharacter)),
            b'\\' => {
                let (decoded, used) =
                    escape(&bytes[at + 1..]).ok_or_else(|| stale(Reason::InvalidEscape))?;
                out.push(decoded);
                at += 1 + used;
            }
            _ => {
                let run = bytes[at..]
                    .iter()
                    .position(|&b| b < 0x20 || b == b'\\' || b == b'"')
                    .unwrap_or(bytes.len() - at);
                // All bytes looked for are ASCII, so the ends are boundaries.
                out.push_str(&text[at..at + run]);
                at += run;
            }
        }
    }
    Ok(out)
}

/// The character of an escape and its length, both after the backslash.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = match bytes.first()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = unit(bytes.get(1..5)?)?;
            if !(0xd800..0xdc00).contains(&high) {
                return char::from_u32(high).map(|c| (c, 5));
            }
            if bytes.get(5..7)? != b"\\u" {
                return None;
            }
            let low = unit(bytes.get(7..11)?)?;
            if !(0xdc00..0xe000).contains(&low) {
                return None;
            }
            return char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
                .map(|c| (c, 11));
        }
        _ => return None,
    };
    Some((simple, 1))
}

fn unit(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_decoded_and_the_rest_is_taken_raw() {
        let cases: &[(&[u8], &str, Option<Reason>)] = &[
            (b"app.rb", "app.rb", None),
            (
                br#"a\"b\\c\/\n\u00e9\ud83d\ude00"#,
                "a\"b\\c/\n\u{e9}\u{1f600}",
                None,
            ),
            ("\u{e9}".as_bytes(), "\u{e9}", None),
            (
                br"C:\temp\u.rb",
                r"C:\temp\u.rb",
                Some(Reason::InvalidEscape),
            ),
            (br"\ud83d", r"\ud83d", Some(Reason::InvalidEscape)),
            (b"fi\"le.rb", "fi\"le.rb", Some(Reason::UnescapedQuote)),
            (b"a\nb", "a\nb", Some(Reason::SplitLine)),
            (b"esc\x1b", "esc\x1b", Some(Reason::ControlCharacter)),
            (b"bad\xff.rb", "bad\u{fffd}.rb", Some(Reason::InvalidUtf8)),
            (
                b"caf\\u00ff\0\", \"m\\u00ff\0\xffabcd!",
                "caf\u{fffd}\u{fffd}!",
                Some(Reason::StaleBytes),
            ),
        ];
        for (raw, text, reason) in cases {
            assert_eq!(decode(raw), ((*text).to_owned(), *reason), "{raw:?}");
        }
    }
}
