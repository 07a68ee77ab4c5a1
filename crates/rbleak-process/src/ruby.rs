//! Whether a process is a Ruby, and which.

use memchr::memmem;

use crate::maps::Mapping;
use crate::{Pid, procfs};

/// Whether these are the mappings of a Ruby: libruby, or a program that is
/// named so.
pub fn is_ruby(mappings: &[Mapping]) -> bool {
    let mut files = mappings.iter().filter_map(Mapping::file);
    files.any(|file| {
        let name = file.name();
        name.starts_with("libruby") && name.contains(".so") || is_program(name)
    })
}

fn is_program(name: &str) -> bool {
    let rest = name
        .strip_prefix("ruby")
        .or(name.strip_prefix("truffleruby"));
    rest.is_some_and(|rest| {
        rest.chars()
            .all(|c| c.is_ascii_digit() || c == '.' || c == '-')
    })
}

/// The description that `ruby -v` prints, from the files that are mapped:
/// `ruby 3.1.7p261 (2025-03-26 revision 0a3704f218) [x86_64-linux-gnu]`.
pub fn description(pid: Pid, mappings: &[Mapping]) -> Option<String> {
    let is_meant = |mapping: &&Mapping| {
        let file = mapping.file();
        file.is_some_and(|f| f.name().starts_with("libruby") || is_program(f.name()))
    };
    let parts = mappings.iter().filter(|m| m.offset == 0).filter(is_meant);
    parts
        .filter_map(|part| in_program(&procfs::mapped_file(pid, part).ok()?))
        .next()
}

/// The same from the bytes of libruby, or of a Ruby that is linked with it.
pub fn in_program(bytes: &[u8]) -> Option<String> {
    // Builds with a JIT hold it several times: the plain one is the shortest.
    let all = memmem::find_iter(bytes, b"ruby ").filter_map(|at| {
        let text = &bytes[at..(at + 120).min(bytes.len())];
        let end = text.iter().position(|byte| *byte == 0)?;
        let text = std::str::from_utf8(&text[..end]).ok()?;
        let digit = text["ruby ".len()..].starts_with(|c: char| c.is_ascii_digit());
        let whole = text.contains(" (") && text.trim_end().ends_with([']', ')']);
        (digit && whole).then(|| text.trim_end().to_owned())
    });
    all.min_by_key(String::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps;

    #[test]
    fn a_ruby_is_known_by_its_files() {
        let mapped = |name: &str| {
            maps::parse(&format!(
                "7f00-7f10 r-xp 00000000 fe:00 1 /usr/lib/{name}\n"
            ))
        };
        for name in ["libruby-3.1.so.3.1", "ruby3.1", "ruby", "libruby.so.3.4"] {
            assert!(is_ruby(&mapped(name)), "{name}");
        }
        for name in ["libc.so.6", "rubymine", "libruby.txt", "bash"] {
            assert!(!is_ruby(&mapped(name)), "{name}");
        }
    }

    #[test]
    fn the_description_is_a_text_of_its_own() {
        let bytes =
            b"\0ruby x\0ruby 3.1.7p261 (2025-03-26 revision 0a3704f218) [x86_64-linux-gnu]\0ruby 3.1.7p261 (2025-03-26 revision 0a3704f218) +YJIT [x86_64-linux-gnu]\0";
        assert_eq!(
            in_program(bytes).as_deref(),
            Some("ruby 3.1.7p261 (2025-03-26 revision 0a3704f218) [x86_64-linux-gnu]")
        );
        assert_eq!(in_program(b"ruby 3.1.7\0"), None);
    }
}
