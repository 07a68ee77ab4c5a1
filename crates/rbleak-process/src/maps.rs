//! The memory mappings of a process: `/proc/PID/maps`, see proc_pid_maps(5).
//!
//! The kernel merges neighbouring mappings that are alike, so that a mapping
//! is not what one call of mmap made, and counting Ruby's heap pages by
//! mappings would be wrong.

use rbleak_units::{Address, Bytes};

use crate::{Pid, ProcessError, procfs};

/// A range of addresses that is backed by something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The first address.
    pub start: Address,
    /// The first address behind it.
    pub end: Address,
    /// What the process may do there.
    pub access: Access,
    /// Where in the file it begins; 0 without a file.
    pub offset: u64,
    /// The number of the file in its file system; 0 without a file.
    pub inode: u64,
    /// What backs it.
    pub backing: Backing,
}

/// The `rwxp` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// `r`
    pub read: bool,
    /// `w`
    pub write: bool,
    /// `x`
    pub execute: bool,
    /// `s`: writes reach the other processes that map it (`p`: they do not).
    pub shared: bool,
}

/// What backs a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Memory of the process's own.
    Anonymous,
    /// The same, named by prctl(PR_SET_VMA_ANON_NAME): `[anon:…]`, or
    /// `[anon_shmem:…]` for shared memory. Ruby 3.4 and later name their heap
    /// pages where the kernel is built with CONFIG_ANON_VMA_NAME.
    NamedAnonymous(String),
    /// The heap below the program break: malloc's main arena in glibc.
    Heap,
    /// The stack of the main thread.
    Stack,
    /// `[vdso]`, `[vvar]` and other things of the kernel's, without brackets.
    Kernel(String),
    /// A file.
    File(MappedFile),
}

/// A file as the mapping names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedFile {
    /// The path as seen from the process's root, symbolic links followed.
    /// Also `/dev/zero` or `/memfd:name`, which are no files one could open.
    pub path: String,
    /// The name no longer leads to this file: deleted or replaced (an upgrade
    /// does this to libraries) since it was mapped.
    pub deleted: bool,
}

impl Mapping {
    /// The length of the range, resident or not.
    pub fn size(&self) -> Bytes {
        Bytes(self.end.0.saturating_sub(self.start.0))
    }

    /// The file behind it.
    pub fn file(&self) -> Option<&MappedFile> {
        match &self.backing {
            Backing::File(file) => Some(file),
            _ => None,
        }
    }
}

impl MappedFile {
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// The mappings of a process, by ascending address.
///
/// # Errors
/// [`ProcessError::NoMemory`] for zombies and threads of the kernel, and see
/// there for the rest.
pub fn read(pid: Pid) -> Result<Vec<Mapping>, ProcessError> {
    let mappings = parse(&procfs::text(pid, "maps")?);
    if mappings.is_empty() {
        return Err(ProcessError::NoMemory { pid });
    }
    Ok(mappings)
}

/// The mappings in the text of `/proc/PID/maps`. Lines of another form are
/// left out: a mapping that cannot be read helps nobody.
pub fn parse(text: &str) -> Vec<Mapping> {
    text.lines().filter_map(parse_line).collect()
}

/// One line of it.
pub(crate) fn parse_line(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let (field, tail) = rest.split_once(' ')?;
        rest = tail;
        Some(field)
    };
    let (start, end) = field()?.split_once('-')?;
    let access = parse_access(field()?)?;
    let offset = u64::from_str_radix(field()?, 16).ok()?;
    let _device = field()?;
    // The last column may be absent, with or without a blank before it.
    let inode = field().unwrap_or(rest).parse().ok()?;
    Some(Mapping {
        start: start.parse().ok()?,
        end: end.parse().ok()?,
        access,
        offset,
        inode,
        // Padded on the left only: a name may end in blanks.
        backing: parse_backing(rest.trim_start_matches(' ')),
    })
}

fn parse_access(column: &str) -> Option<Access> {
    let &[r, w, x, s] = column.as_bytes() else {
        return None;
    };
    Some(Access {
        read: r == b'r',
        write: w == b'w',
        execute: x == b'x',
        shared: s == b's',
    })
}

fn parse_backing(name: &str) -> Backing {
    if let Some(inner) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        return match inner {
            "heap" => Backing::Heap,
            "stack" => Backing::Stack,
            _ => match inner.split_once(':') {
                Some(("anon" | "anon_shmem", name)) => Backing::NamedAnonymous(name.to_owned()),
                _ => Backing::Kernel(inner.to_owned()),
            },
        };
    }
    // Without a name, the fifth column is the last one, and was left in `rest`.
    if !name.starts_with('/') {
        return Backing::Anonymous;
    }
    let (path, deleted) = match name.strip_suffix(" (deleted)") {
        Some(path) => (path, true),
        None => (name, false),
    };
    Backing::File(MappedFile {
        // The only character that the kernel escapes here.
        path: path.replace(r"\012", "\n"),
        deleted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &str = "\
5622b38fe000-5622b3900000 r--p 00000000 fe:00 247030                     /usr/bin/ruby3.1
5622b4763000-5622b4784000 rw-p 00000000 00:00 0                          [heap]
7f8a40000000-7f8a40021000 rw-p 00000000 00:00 0 
7f8a50000000-7f8a50010000 rw-p 00000000 00:00 0                          [anon:Ruby:GC:default:heap_page_body_allocate]
7f8a60000000-7f8a60010000 rw-s 00000000 00:01 1027                       [anon_shmem:ring]
7fe25e3bd000-7fe25e513000 r-xp 00026000 fe:00 326279                     /usr/lib/x86_64-linux-gnu/libc.so.6
7fe25e600000-7fe25e601000 rw-p 00001000 fe:00 77                         /srv/my app/shared lib.so (deleted)
7fe25e602000-7fe25e603000 rw-s 00000000 00:01 78                         /srv/two\\012lines
7fe25e604000-7fe25e605000 rw-s 00000000 00:01 79                         /memfd:jit (deleted)
7fe25e58a000-7fe25e58c000 r-xp 00000000 00:00 0                          [vdso]
7fffe36e2000-7fffe3703000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    fn file(path: &str, deleted: bool) -> Backing {
        Backing::File(MappedFile {
            path: path.to_owned(),
            deleted,
        })
    }

    #[test]
    fn every_kind_of_backing_is_told_apart() {
        let backings: Vec<Backing> = parse(CAPTURED).into_iter().map(|m| m.backing).collect();
        assert_eq!(
            backings,
            [
                file("/usr/bin/ruby3.1", false),
                Backing::Heap,
                Backing::Anonymous,
                Backing::NamedAnonymous("Ruby:GC:default:heap_page_body_allocate".to_owned()),
                Backing::NamedAnonymous("ring".to_owned()),
                file("/usr/lib/x86_64-linux-gnu/libc.so.6", false),
                file("/srv/my app/shared lib.so", true),
                file("/srv/two\nlines", false),
                file("/memfd:jit", true),
                Backing::Kernel("vdso".to_owned()),
                Backing::Stack,
                Backing::Kernel("vsyscall".to_owned()),
            ]
        );
    }

    #[test]
    fn columns_land_in_their_fields() {
        let mappings = parse(CAPTURED);
        let libc = &mappings[5];
        assert_eq!(libc.start, Address(0x7fe2_5e3b_d000));
        assert_eq!(libc.size(), Bytes(0x15_6000));
        assert_eq!((libc.offset, libc.inode), (0x26000, 326_279));
        assert!(libc.access.read && libc.access.execute);
        assert!(!libc.access.write && !libc.access.shared);
        assert!(mappings[4].access.shared);
        assert_eq!(libc.file().map(MappedFile::name), Some("libc.so.6"));
    }

    #[test]
    fn a_name_may_end_in_a_blank() {
        let mappings = parse("7f-8f r--p 00000000 fe:00 12       /srv/odd \n");
        assert_eq!(mappings[0].backing, file("/srv/odd ", false));
    }

    #[test]
    fn other_lines_are_left_out() {
        for text in ["", "\n", "nonsense", "7f-8f rw-p", "7f-8f rwp 0 0:0 0", "x"] {
            assert_eq!(parse(text), [], "{text:?}");
        }
        // A reader that trims its text must not lose the last mapping.
        assert_eq!(parse("7f-8f rw-p 00000000 00:00 0").len(), 1);
    }

    #[test]
    fn the_own_process_has_a_stack_and_a_program() {
        let mappings = read(Pid::own()).unwrap();
        assert!(mappings.iter().any(|m| m.backing == Backing::Stack));
        assert!(mappings.iter().any(|m| m.file().is_some()));
    }
}
