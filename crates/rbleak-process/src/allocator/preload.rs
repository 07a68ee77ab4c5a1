//! Whether what LD_PRELOAD names is there; see ld.so(8).

use std::fs;
use std::path::Path;

use crate::maps::{MappedFile, Mapping};

/// What came of LD_PRELOAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preload {
    /// It is not set, or empty.
    NotSet,
    /// All that it names is mapped.
    Loaded,
    /// A library that it names is not mapped: the file is missing, is for
    /// another machine, or the program is static or set-user-ID. The loader
    /// prints a warning that nobody reads, and goes on.
    NotMapped {
        /// The first such name, as it stands in the variable.
        path: String,
    },
    /// The process has overwritten its environment.
    Unknown,
}

impl Preload {
    pub(super) fn of(ld_preload: Option<&str>, mappings: &[Mapping]) -> Preload {
        let mut names = names(ld_preload.unwrap_or_default()).peekable();
        if names.peek().is_none() {
            return Preload::NotSet;
        }
        let is_mapped = |name: &str| {
            let mut files = mappings.iter().filter_map(Mapping::file);
            files.any(|file| leads_to(name, file))
        };
        match names.find(|name| !is_mapped(name)) {
            Some(missing) => Preload::NotMapped {
                path: missing.to_owned(),
            },
            None => Preload::Loaded,
        }
    }
}

/// Whether a mapped file is one that the variable names.
pub(super) fn brings(ld_preload: &str, file: &MappedFile) -> bool {
    names(ld_preload).any(|name| leads_to(name, file))
}

/// The libraries in the variable, which takes blanks and colons.
fn names(ld_preload: &str) -> impl Iterator<Item = &str> {
    ld_preload.split([' ', ':']).filter(|name| !name.is_empty())
}

/// Whether a name in LD_PRELOAD may stand for a mapped file. Mappings show
/// where symbolic links lead, and names need no folder and may hold `$LIB`:
/// so the name of the library counts, without its version. A link of quite
/// another name is followed, which is right where we see the same files.
fn leads_to(name: &str, file: &MappedFile) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    library_name(last) == library_name(file.name())
        || fs::canonicalize(name).is_ok_and(|real| real == Path::new(&file.path))
}

/// `libjemalloc` of `libjemalloc.so.2`.
fn library_name(file_name: &str) -> &str {
    file_name
        .find(".so")
        .map_or(file_name, |end| &file_name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps;

    fn preload(variable: Option<&str>) -> Preload {
        let mappings = maps::parse(
            "7f00-7f10 r-xp 00000000 fe:00 1 /usr/lib/libjemalloc.so.2\n\
             7f20-7f30 r-xp 00000000 fe:00 2 /opt/lib/libfaketime.so.1\n",
        );
        Preload::of(variable, &mappings)
    }

    #[test]
    fn unset_and_empty_are_the_same() {
        assert_eq!(preload(None), Preload::NotSet);
        assert_eq!(preload(Some("")), Preload::NotSet);
        assert_eq!(preload(Some(" : ")), Preload::NotSet);
    }

    #[test]
    fn names_need_neither_folder_nor_version() {
        for variable in [
            "/usr/lib/libjemalloc.so.2",
            "libjemalloc.so.2",
            "/usr/local/lib/libjemalloc.so",
            "/usr/$LIB/libjemalloc.so.2",
            "libfaketime.so.1:/usr/lib/libjemalloc.so.2",
            "libfaketime.so.1 libjemalloc.so.2",
        ] {
            assert_eq!(preload(Some(variable)), Preload::Loaded, "{variable}");
        }
    }

    #[test]
    fn the_first_that_is_missing_is_named() {
        assert_eq!(
            preload(Some("libjemalloc.so.2:/opt/libtcmalloc.so.4 /opt/other.so")),
            Preload::NotMapped {
                path: "/opt/libtcmalloc.so.4".to_owned()
            }
        );
    }
}
