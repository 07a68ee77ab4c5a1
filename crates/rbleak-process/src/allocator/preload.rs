//! Whether what LD_PRELOAD names is there; see ld.so(8).

use std::fs;
use std::path::{Path, PathBuf};

use crate::maps::{MappedFile, Mapping};
use crate::{Pid, procfs};

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

/// Why a library that LD_PRELOAD names is not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreloadFailure {
    /// No file of that name where the process would see it.
    Missing,
    /// It is no shared library.
    NoLibrary,
    /// For another processor or word size than the program.
    OtherMachine,
    /// Built for glibc where the program has musl, or the other way round.
    OtherLibc,
    /// The program changes its user when it starts, and the loader then takes
    /// libraries of the system's folders only.
    SetUser,
    /// The file would do: the variable came too late, or something unloaded it.
    Unexplained,
}

/// Why `name` of the LD_PRELOAD of `pid` is not mapped, as far as files tell.
/// A name without a folder is looked for where loaders usually do.
pub fn why_not_mapped(pid: Pid, name: &str, mappings: &[Mapping]) -> PreloadFailure {
    let root = procfs::path(pid, "root");
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    let found = if name.contains('/') {
        Some(inside(Path::new(name))).filter(|path| path.exists())
    } else {
        libraries(&root, name).into_iter().next()
    };
    let Some(path) = found else {
        return PreloadFailure::Missing;
    };
    let head = |bytes: &[u8]| -> Option<(u8, [u8; 2])> {
        let machine = [*bytes.get(18)?, *bytes.get(19)?];
        bytes.starts_with(b"\x7fELF").then_some((bytes[4], machine))
    };
    let Ok(library) = procfs::program(&path) else {
        return PreloadFailure::NoLibrary;
    };
    let Some(kind) = head(&library) else {
        return PreloadFailure::NoLibrary;
    };
    let program = procfs::executable(pid).ok();
    if program
        .and_then(|bytes| head(&bytes))
        .is_some_and(|own| own != kind)
    {
        return PreloadFailure::OtherMachine;
    }
    let has = |needle: &[u8]| memchr::memmem::find(&library, needle).is_some();
    let is_musl = mappings
        .iter()
        .filter_map(Mapping::file)
        .any(|file| file.name().starts_with("ld-musl-"));
    if (is_musl && has(b"libc.so.6")) || (!is_musl && has(b"libc.musl-")) {
        return PreloadFailure::OtherLibc;
    }
    if procfs::is_secure(pid) {
        return PreloadFailure::SetUser;
    }
    PreloadFailure::Unexplained
}

/// Files of this name, or of this name and a version, in the folders where
/// loaders look, by path. With a `root` that is that of a process.
pub fn libraries(root: &Path, name: &str) -> Vec<PathBuf> {
    const FOLDERS: [&str; 6] = [
        "usr/lib",
        "lib",
        "usr/lib64",
        "lib64",
        "usr/local/lib",
        "opt/lib",
    ];
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let mut found: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| [root.join(folder).join(&triplet), root.join(folder)])
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let file = path
                .file_name()
                .and_then(|file| file.to_str())
                .unwrap_or("");
            file == name
                || file
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
        })
        .collect();
    found.sort();
    found
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
