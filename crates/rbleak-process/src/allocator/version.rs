//! The version of an allocator, from a text in its file: no library says it
//! in a way that could be read from outside without running it.

use memchr::memmem;

use super::AllocatorKind;

/// The version in the bytes of the library or program.
pub(super) fn in_program(kind: AllocatorKind, bytes: &[u8]) -> Option<String> {
    match kind {
        AllocatorKind::Glibc => glibc(bytes),
        AllocatorKind::Musl => musl(bytes),
        AllocatorKind::Jemalloc => jemalloc(bytes),
        AllocatorKind::Tcmalloc => {
            // "gperftools 2.10", what tc_version() is made of.
            let start = memmem::find(bytes, b"gperftools ")? + b"gperftools ".len();
            digits_and_dots(&bytes[start..])
        }
        AllocatorKind::Mimalloc | AllocatorKind::Unknown => None,
    }
}

/// The version in the name of a file, for libraries that have theirs there:
/// `libc-2.31.so`, `libmimalloc.so.2.0`.
pub(super) fn in_name(kind: AllocatorKind, name: &str) -> Option<String> {
    let tail = match kind {
        AllocatorKind::Glibc => name.strip_prefix("libc-")?,
        AllocatorKind::Mimalloc => name.split_once(".so.")?.1,
        // The numbers of the others are those of their interface.
        _ => return None,
    };
    digits_and_dots(tail.as_bytes())
}

/// "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36."
fn glibc(bytes: &[u8]) -> Option<String> {
    const MARK: &[u8] = b" release version ";
    let banner = &bytes[memmem::find(bytes, b"GNU C Library ")?..];
    let banner = &banner[..banner.len().min(200)];
    digits_and_dots(&banner[memmem::find(banner, MARK)? + MARK.len()..])
}

/// "5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c", JEMALLOC_VERSION.
fn jemalloc(bytes: &[u8]) -> Option<String> {
    const HASH: usize = 40;
    memmem::find_iter(bytes, b"-g").find_map(|mark| {
        let hash = bytes.get(mark + 2..mark + 2 + HASH)?;
        if !hash.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let before = &bytes[mark.saturating_sub(32)..mark];
        let start = before
            .iter()
            .rposition(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'-'))
            .map_or(0, |last| last + 1);
        // Built outside of a repository it says 0.0.0.
        digits_and_dots(&before[start..]).filter(|version| version != "0.0.0")
    })
}

/// A string of its own, "1.2.3" or "1.2.4_git20230717".
fn musl(bytes: &[u8]) -> Option<String> {
    memmem::find_iter(bytes, b"\x001.").find_map(|zero| {
        let text = &bytes[zero + 1..];
        let text = &text[..text.iter().take(32).position(|&byte| byte == 0)?];
        let version = digits_and_dots(text)?;
        let suffix = &text[version.len()..];
        let is_version = version.split('.').count() == 3
            && (suffix.is_empty() || suffix.starts_with(b"_git") || suffix.starts_with(b"-git"));
        is_version.then_some(version)
    })
}

/// `2.36` of `2.36.` and `2.36-9`: at least two numbers.
fn digits_and_dots(bytes: &[u8]) -> Option<String> {
    let end = bytes
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'.'))
        .unwrap_or(bytes.len());
    let version = std::str::from_utf8(&bytes[..end]).ok()?;
    let version = version.trim_end_matches('.');
    (version.contains('.') && !version.starts_with('.')).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: AllocatorKind, bytes: &[u8], expected: Option<&str>) {
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(in_program(kind, bytes).as_deref(), expected, "{shown}");
    }

    #[test]
    fn glibc_says_it_in_its_banner() {
        let banner = b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u14) stable release version 2.36.\nCopyright";
        check(AllocatorKind::Glibc, banner, Some("2.36"));
        check(AllocatorKind::Glibc, b"GNU C Library (x)", None);
        check(AllocatorKind::Glibc, b"", None);
    }

    #[test]
    fn jemalloc_names_its_commit() {
        let text = b"x\x005.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c\0y";
        check(AllocatorKind::Jemalloc, text, Some("5.3.0"));
        let no_repository = b"\x000.0.0-0-g0000000000000000000000000000000000000000\0";
        check(AllocatorKind::Jemalloc, no_repository, None);
        check(AllocatorKind::Jemalloc, b"1.0-g12345", None);
    }

    #[test]
    fn musl_has_a_string_of_its_own() {
        check(
            AllocatorKind::Musl,
            b"\x001.5 s\0\x001.2.3\0",
            Some("1.2.3"),
        );
        check(
            AllocatorKind::Musl,
            b"\x001.2.4_git20230717\0",
            Some("1.2.4"),
        );
        check(AllocatorKind::Musl, b"\x001.2.4.5\0\x001.2.4", None);
    }

    #[test]
    fn tcmalloc_names_its_package() {
        check(
            AllocatorKind::Tcmalloc,
            b"\0gperftools 2.10\0",
            Some("2.10"),
        );
    }

    #[test]
    fn some_have_it_in_the_name_of_their_file() {
        let version = |kind, name| in_name(kind, name);
        let two = |a: &str| Some(a.to_owned());
        assert_eq!(version(AllocatorKind::Glibc, "libc-2.31.so"), two("2.31"));
        assert_eq!(version(AllocatorKind::Glibc, "libc.so.6"), None);
        assert_eq!(
            version(AllocatorKind::Mimalloc, "libmimalloc.so.2.0"),
            two("2.0")
        );
        assert_eq!(version(AllocatorKind::Jemalloc, "libjemalloc.so.2"), None);
    }
}
