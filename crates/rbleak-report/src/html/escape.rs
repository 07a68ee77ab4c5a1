//! What keeps text from acting on the page: the escaper of all templates, and
//! the form in which data goes into a script element.

use crate::sanitize::sanitize;
use askama::filters::Escaper;
use serde_json::Value;
use std::fmt::{self, Write};

/// Sanitises and escapes all that a template shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escape;

impl Escaper for Escape {
    fn write_escaped_str<W: Write>(&self, mut to: W, text: &str) -> fmt::Result {
        let text = sanitize(text);
        let mut rest = &*text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            to.write_str(&rest[..at])?;
            to.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        to.write_str(rest)
    }
}

/// `text` escaped for an element or an attribute.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Writing to a String cannot fail.
    let _ = Escape.write_escaped_str(&mut out, text);
    out
}

/// JSON that no parser of HTML takes for the end of its element.
pub(crate) fn script_data(value: &Value) -> String {
    let text = value.to_string();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // In JSON these stand within strings alone.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_stays_that_acts() {
        assert_eq!(
            escaped("<b a='1'>\"&\u{1b}\u{202e}é"),
            "&lt;b a=&#39;1&#39;&gt;&quot;&amp;\\u{1b}\\u{202e}é"
        );
        let data = script_data(&json!({"a": "</script><!--&\u{2028}"}));
        assert!(!data.contains(['<', '>', '&', '\u{2028}']), "{data}");
        let back: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(back["a"], "</script><!--&\u{2028}");
    }
}
