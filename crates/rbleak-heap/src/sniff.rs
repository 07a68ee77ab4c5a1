//! What bytes look like before they are parsed.

/// A start of this length without a key of a dump is none.
pub(crate) const HOPELESS_BYTES: usize = 1 << 16;

/// How Ruby begins the lines of a dump.
const STARTS: [&[u8]; 3] = [
    b"{\"address\":\"",
    b"{\"type\":\"ROOT\"",
    b"{\"type\":\"SHAPE\"",
];
/// The longest of them.
pub(crate) const START_BYTES: usize = 15;

/// Whether a whole beginning of a line is there and is one of Ruby's.
pub(crate) fn surely_starts_a_record(line: &[u8]) -> bool {
    STARTS.iter().any(|start| line.starts_with(start))
}

/// Whether a line begins as Ruby begins the lines of a dump, so that it
/// cannot be the rest of a split one.
pub(crate) fn starts_a_record(line: &[u8]) -> bool {
    STARTS.iter().any(|start| {
        // The last line of a cut file may be shorter.
        let length = line.len().min(start.len());
        length > 0 && line[..length] == start[..length]
    })
}

/// A line in which a sector of the file was never written.
///
/// Ruby 3.0 to 3.1.2 write a few NULs in a row (see the module `scan`), but
/// not as many as a sector has.
#[inline]
pub(crate) fn has_hole(line: &[u8]) -> bool {
    const SECTOR: usize = 512;
    line.len() >= SECTOR && has_nuls(line)
}

fn has_nuls(line: &[u8]) -> bool {
    const MOST_NULS: usize = 32;
    memchr::memchr(0, line)
        .is_some_and(|at| memchr::memmem::find(&line[at..], &[0; MOST_NULS]).is_some())
}

/// What a file is instead of a dump, if its start tells.
pub(crate) fn hopeless(start: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 5] = [
        (b"BZh", "it is compressed with bzip2, decompress it first"),
        (b"\xfd7zXZ", "it is compressed with xz, decompress it first"),
        (b"PK\x03\x04", "it is a zip archive, unpack it first"),
        (b"\x7fELF", "it is an ELF file (a core dump or a program)"),
        (b"\0", "it is binary"),
    ];
    if let Some((_, found)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Some(found);
    }
    let has = |key: &[u8]| memchr::memmem::find(start, key).is_some();
    if start.is_empty() || has(b"\"type\"") || has(b"\"address\"") {
        return None;
    }
    let text = start.trim_ascii_start();
    match text.first() {
        None => Some("it has only blank lines"),
        Some(_) if starts_a_record(text) => None,
        Some(b'[') => Some("it is a JSON array"),
        Some(b'{') => Some("it is some other JSON"),
        Some(_) if start.contains(&0) => Some("it is binary"),
        Some(_) => Some("it is some other text"),
    }
}
