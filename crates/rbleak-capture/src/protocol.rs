//! The line protocol between rbleak and its agent. Pure: text in, values out.
//!
//! rbleak connects to the agent's Unix socket (`PID.sock` in the private
//! directory) and sends one command at a time:
//!
//! ```text
//! command key=value key=value\n
//! ```
//!
//! Values are percent-escaped bytes. The agent answers with one line,
//! `ok key=value …\n` or `err class=… message=… backtrace=…\n`; before it, a
//! long `run` sends any number of `progress\n` lines.
//!
//! | command | arguments | answer |
//! |---|---|---|
//! | `hello` | | `pid` `ruby` `engine` `platform` `rack` `rails` `puma` `jit` `threads` |
//! | `sample` | | `live_slots` `old_objects` `gc_count` `slot_bytes` `memsize` `content_bytes` `malloc_source` `malloc_in_use` `malloc_free` |
//! | `glance` | | `live_slots` `malloc_source` `malloc_in_use` `malloc_free` `pause_ms` |
//! | `trace` | `on=1`, `on=0` | |
//! | `dump` | `path=` a FIFO; `how=` forces a method | `how` (`direct`, `buffered`, `forked`) `pause_ms` `gc_count` |
//! | `names` | `path=` a FIFO | `how` |
//! | `census` | `path=` a FIFO | `how` |
//! | `routes` | | `routes`: `VERB /path/:spec` lines, of a Rails app |
//! | `boot` | `mode=rack rackup=` or `mode=code boot= each=` | |
//! | `request` | `method` `path` `headers` (`Name: value` lines) `body`; `groups` with commas between | |
//! | `forget` | | all requests are forgotten |
//! | `run` | `n`; `group` of requests to be sent in turn | `done` `seconds` `redirects` `redirect`; or `failed=status` with `method` `path` `status` `body`; or `failed=exception` with `class` `message` `backtrace` |
//!
//! The last four are answered by the driver of the in-process modes only.
//! A field whose value is unknown is left out.
//!
//! # Names
//!
//! What `names` writes to its FIFO is one JSON object a line. Addresses are
//! those of the dump, `"0x…"`. The first line is the header, the last one has
//! the kind `end`; whoever reads skips kinds and fields that it does not know.
//!
//! | kind | fields |
//! |---|---|
//! | `header` | `version` `ruby` `engine` `pid` `gc_count` |
//! | `own` | `object`: part of the agent |
//! | `constant`, `class_variable`, `class_ivar` | `module` `name` `value` |
//! | `global` | `name` `value` |
//! | `thread` | `object` `name` `main` |
//! | `thread_local` | `thread` `name` `value` |
//! | `proc`, `method` | `object` `location`; `lambda` of a proc |
//! | `ivar` | `object` `class` `name` `value`: of a few instances of each class |
//! | `class_ivars` | `class` `class_name` `names` `held` `mixed` |
//! | `struct_members` | `class` `members` `held` `mixed` |
//!
//! A dump lists references without names, and only those to heap objects:
//! not to nil, booleans, small integers, most symbols and floats. `held` has
//! those of `names` (of `members`), in order, that had a heap object in every
//! instance that was looked at: 32 of a class, 8 of a struct. `mixed` is true
//! when the instances differ, in which variables they have or in which of
//! these had a heap object, and left out otherwise.
//!
//! # Census
//!
//! What `census` writes is one JSON object a line too, `end` the last:
//!
//! ```text
//! {"kind":"container","name":"Leaky::CACHE","class":"Hash","address":"0x…","size":200}
//! ```
//!
//! for each Array, Hash and Set of at least 8 entries and each String of at
//! least 4096 bytes that is the value of a constant (private ones included),
//! a class variable, an instance variable of a class, a global or a
//! thread-local, or of an instance variable of an object that is such a value:
//! `Leaky::REGISTRY@cache`. One with several names is told by each.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The fields of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    /// The text of a field.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A field as an integer; a fraction is cut off.
    pub fn number(&self, key: &str) -> Option<u64> {
        let text = self.text(key)?;
        text.parse()
            .ok()
            .or_else(|| text.parse::<f64>().ok().map(|value| value as u64))
    }

    /// A field as a floating point number.
    pub fn float(&self, key: &str) -> Option<f64> {
        self.text(key)?.parse().ok()
    }
}

/// One line from the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, with these results.
    Done(Fields),
    /// Failed, with `class`, `message` and `backtrace`.
    Failed(Fields),
    /// Still at it.
    Progress,
}

/// The line of a command, newline included.
pub fn command(name: &str, arguments: &[(&str, &str)]) -> String {
    let mut line = name.to_owned();
    for (key, value) in arguments {
        line.push(' ');
        line.push_str(key);
        line.push('=');
        escape(value, &mut line);
    }
    line.push('\n');
    line
}

/// Reads one line from the agent, without its newline; `None` if it is none.
pub fn answer(line: &str) -> Option<Answer> {
    let mut words = line.split(' ');
    let word = words.next()?;
    let mut fields = BTreeMap::new();
    for pair in words.filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        fields.insert(key.to_owned(), unescape(value));
    }
    match word {
        "ok" => Some(Answer::Done(Fields(fields))),
        "err" => Some(Answer::Failed(Fields(fields))),
        "progress" => Some(Answer::Progress),
        _ => None,
    }
}

fn escape(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"_./:,@+-".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// A `%` that is not followed by two digits stands for itself; bytes that are
/// not UTF-8 (an error page may hold any) become U+FFFD.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%'
            && let Some(code) = tail.get(..2).and_then(hex)
        {
            bytes.push(code);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line_whatever_its_values_hold() {
        let line = command("request", &[("path", "/a b?x=1\n%é"), ("body", "")]);
        assert_eq!(line, "request path=/a%20b%3Fx%3D1%0A%25%C3%A9 body=\n");
    }

    #[test]
    fn answers_are_read_back() {
        let Some(Answer::Done(fields)) = answer("ok live=12 seconds=0.25 text=a%20%C3%A9%FF%zz")
        else {
            panic!("not read");
        };
        assert_eq!(fields.number("live"), Some(12));
        assert_eq!(fields.float("seconds"), Some(0.25));
        assert_eq!(fields.text("text"), Some("a é\u{fffd}%zz"));
        assert_eq!(fields.number("absent"), None);
        assert_eq!(answer("progress"), Some(Answer::Progress));
        assert!(matches!(answer("err message=no"), Some(Answer::Failed(_))));
        assert_eq!(answer("hello"), None);
        assert_eq!(answer("ok loose"), None);
    }
}
