//! Keeps what heaps and paths contain from acting on the terminal.

use std::borrow::Cow;

/// `text` with control characters and bidirectional overrides replaced by
/// visible escapes (`\u{1b}`), so that a file name out of a heap dump can
/// neither move the cursor nor reorder the line it stands in.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_only_what_acts() {
        assert!(matches!(sanitize("app.rb:45 → Ünïcode"), Cow::Borrowed(_)));
        assert_eq!(sanitize("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(sanitize("x\u{202e}y"), "x\\u{202e}y");
    }
}
