//! The mapped library that answers malloc.

use crate::maps::{MappedFile, Mapping};

use super::AllocatorKind;
use super::preload;

/// A library with a malloc in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Library<'m> {
    pub(super) kind: AllocatorKind,
    pub(super) mapping: &'m Mapping,
    pub(super) file: &'m MappedFile,
    pub(super) preloaded: bool,
}

impl<'m> Library<'m> {
    /// Of the mapped libraries the one whose malloc is used: that of the C
    /// library only if there is no other, and a preloaded one before others.
    /// A library that was opened later, by dlopen, is mapped and not used:
    /// the mappings do not tell, and allocators are not opened so.
    pub(super) fn among(mappings: &'m [Mapping], ld_preload: &str) -> Option<Library<'m>> {
        mappings
            .iter()
            .filter_map(|mapping| {
                let file = mapping.file()?;
                Some(Library {
                    kind: kind(file.name())?,
                    mapping,
                    file,
                    preloaded: preload::brings(ld_preload, file),
                })
            })
            // The first of equals.
            .min_by_key(|library| (!library.replaces_malloc(), !library.preloaded))
    }

    /// The files that replace the C library's malloc, each once.
    pub(super) fn replacing(mappings: &[Mapping]) -> Vec<String> {
        let mut paths: Vec<String> = mappings
            .iter()
            .filter_map(Mapping::file)
            .filter(|file| {
                let kind = kind(file.name());
                kind.is_some_and(|k| !matches!(k, AllocatorKind::Glibc | AllocatorKind::Musl))
            })
            .map(|file| file.path.clone())
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Brings a malloc in place of the C library's.
    pub(super) fn replaces_malloc(&self) -> bool {
        !matches!(self.kind, AllocatorKind::Glibc | AllocatorKind::Musl)
    }
}

fn kind(name: &str) -> Option<AllocatorKind> {
    let is_library = |prefix: &str| name.starts_with(prefix) && name.contains(".so");
    match name {
        "libc.so.6" => Some(AllocatorKind::Glibc),
        _ if is_library("libc-2.") => Some(AllocatorKind::Glibc), // before glibc 2.34
        "libc.so" => Some(AllocatorKind::Musl),                   // glibc's is a text for linkers
        _ if is_library("ld-musl-") || is_library("libc.musl-") => Some(AllocatorKind::Musl),
        _ if is_library("libjemalloc") => Some(AllocatorKind::Jemalloc),
        _ if is_library("libtcmalloc") => Some(AllocatorKind::Tcmalloc),
        _ if is_library("libmimalloc") => Some(AllocatorKind::Mimalloc),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps;

    fn mapped(names: &[&str]) -> Vec<Mapping> {
        let line = |name: &&str| format!("7f00-7f10 r-xp 00000000 fe:00 1 /usr/lib/{name}\n");
        maps::parse(&names.iter().map(line).collect::<String>())
    }

    #[test]
    fn libraries_are_known_by_their_names() {
        for (name, expected) in [
            ("libc.so.6", AllocatorKind::Glibc),
            ("libc-2.31.so", AllocatorKind::Glibc),
            ("ld-musl-x86_64.so.1", AllocatorKind::Musl),
            ("libc.so", AllocatorKind::Musl),
            ("libjemalloc.so.2", AllocatorKind::Jemalloc),
            ("libtcmalloc_minimal.so.4.5.10", AllocatorKind::Tcmalloc),
            ("libmimalloc.so.2.0", AllocatorKind::Mimalloc),
            ("libmimalloc-secure.so.2.1", AllocatorKind::Mimalloc),
        ] {
            assert_eq!(kind(name), Some(expected), "{name}");
        }
        for name in [
            "libcrypt.so.1",
            "libc.so.7",
            "libjemalloc.rb",
            "ld-linux-x86-64.so.2",
        ] {
            assert_eq!(kind(name), None, "{name}");
        }
    }

    #[test]
    fn an_allocator_comes_before_the_c_library() {
        let mappings = mapped(&["libc.so.6", "libjemalloc.so.2"]);
        let library = Library::among(&mappings, "").unwrap();
        assert_eq!(library.kind, AllocatorKind::Jemalloc);
        assert!(!library.preloaded);
    }

    #[test]
    fn a_preloaded_allocator_comes_before_another() {
        let mappings = mapped(&["libjemalloc.so.2", "libtcmalloc.so.4.5.10", "libc.so.6"]);
        let library = Library::among(&mappings, "libtcmalloc.so.4").unwrap();
        assert_eq!(library.kind, AllocatorKind::Tcmalloc);
        assert!(library.preloaded);
    }

    #[test]
    fn a_static_program_has_none() {
        assert_eq!(Library::among(&mapped(&["ruby"]), ""), None);
    }
}
