//! Which malloc a process really uses, and how it is set up.
//!
//! The mappings decide. The environment only explains: a preload that failed
//! is still in the environment. What a program sets by itself (mallopt, a
//! `malloc_conf` symbol) is not seen here.

mod library;
mod preload;
mod settings;
mod version;

use std::fmt;

use memchr::memmem;

pub use preload::{Preload, PreloadFailure, libraries, why_not_mapped};
pub use settings::ArenaMax;

use crate::environ::{self, Environment};
use crate::maps::{self, MappedFile, Mapping};
use crate::{Pid, ProcessError, procfs};

use library::Library;

/// The malloc of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocator {
    /// Whose it is.
    pub kind: AllocatorKind,
    /// How it got into the process.
    pub linkage: Linkage,
    /// Its version where the file tells: `2.36`, `5.3.0`.
    pub version: Option<String>,
    /// What came of LD_PRELOAD.
    pub preload: Preload,
    /// The limit of glibc's arenas. Without one, glibc makes up to eight for
    /// each core, and threads spread what they leave behind over them.
    pub arena_max: ArenaMax,
    /// MALLOC_CONF, which only jemalloc reads.
    pub malloc_conf: Option<String>,
    /// Other libraries with a malloc that are mapped beside it, but for the C
    /// library's: paths, in order.
    pub beside: Vec<String>,
}

/// Whose malloc it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AllocatorKind {
    /// The GNU C library's, ptmalloc.
    Glibc,
    /// musl's, on Alpine Linux.
    Musl,
    /// <https://jemalloc.net>
    Jemalloc,
    /// gperftools' or Google's.
    Tcmalloc,
    /// Microsoft's.
    Mimalloc,
    /// None of these; or a C library is linked statically.
    Unknown,
}

/// How the allocator got into the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Linkage {
    /// By LD_PRELOAD.
    Preloaded,
    /// As a library that the program or another library asks for; the C
    /// library's own malloc is always so.
    Shared,
    /// As a part of the program or of libruby.
    Static,
}

impl fmt::Display for AllocatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AllocatorKind::Glibc => "glibc",
            AllocatorKind::Musl => "musl",
            AllocatorKind::Jemalloc => "jemalloc",
            AllocatorKind::Tcmalloc => "tcmalloc",
            AllocatorKind::Mimalloc => "mimalloc",
            AllocatorKind::Unknown => "unknown allocator",
        })
    }
}

impl Allocator {
    /// The allocator in a sentence without a full stop: `glibc 2.36: jemalloc
    /// is not loaded, MALLOC_ARENA_MAX is not set`.
    pub fn summary(&self) -> String {
        let mut clauses = match self.kind {
            AllocatorKind::Glibc | AllocatorKind::Musl | AllocatorKind::Unknown => {
                vec![self.why_not_another()]
            }
            _ => vec![self.where_from().to_owned()],
        };
        match self.kind {
            AllocatorKind::Glibc => clauses.push(self.arena_max.to_string()),
            AllocatorKind::Jemalloc => {
                clauses.extend(
                    self.malloc_conf
                        .as_ref()
                        .map(|conf| format!("MALLOC_CONF is {conf}")),
                );
            }
            _ => {}
        }
        format!("{}: {}", self.name(), clauses.join(", "))
    }

    /// The name with the version, if that is known: `jemalloc 5.3.0`.
    pub fn name(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.kind),
            None => self.kind.to_string(),
        }
    }

    fn where_from(&self) -> &'static str {
        match self.linkage {
            Linkage::Preloaded => "loaded by LD_PRELOAD",
            Linkage::Shared => "loaded as a shared library",
            Linkage::Static => "linked into the program",
        }
    }

    fn why_not_another(&self) -> String {
        match &self.preload {
            Preload::NotMapped { path } => {
                format!("jemalloc is not loaded (LD_PRELOAD names {path}, which is not mapped)")
            }
            Preload::NotSet | Preload::Loaded | Preload::Unknown => {
                "jemalloc is not loaded".to_owned()
            }
        }
    }
}

/// The malloc of a process. Reads the files of the program and of the
/// allocator, some megabytes; what cannot be read of them leaves
/// [`version`](Allocator::version) open.
///
/// # Errors
/// When mappings or environment must not be read; see [`ProcessError`].
pub fn read(pid: Pid) -> Result<Allocator, ProcessError> {
    let mappings = maps::read(pid)?;
    let environment = environ::read(pid)?;
    let variables = environment.variables();
    let preload_names = variables.and_then(|v| v.get("LD_PRELOAD"));
    let ld_preload = preload_names.unwrap_or_default();
    let library = Library::among(&mappings, ld_preload);

    let (kind, linkage, version) = match library {
        Some(library) if library.replaces_malloc() => describe(pid, &library),
        other => hidden(pid, &mappings, ld_preload)
            .or_else(|| other.map(|library| describe(pid, &library)))
            .unwrap_or((AllocatorKind::Unknown, Linkage::Static, None)),
    };
    Ok(Allocator {
        kind,
        linkage,
        version,
        preload: match &environment {
            Environment::Known(_) => Preload::of(preload_names, &mappings),
            Environment::Overwritten => Preload::Unknown,
        },
        arena_max: ArenaMax::of(variables),
        malloc_conf: variables
            .and_then(|v| v.get("MALLOC_CONF"))
            .filter(|conf| !conf.is_empty())
            .map(str::to_owned),
        beside: Library::replacing(&mappings)
            .into_iter()
            .filter(|path| library.is_none_or(|used| used.file.path != *path))
            .collect(),
    })
}

type Description = (AllocatorKind, Linkage, Option<String>);

fn describe(pid: Pid, library: &Library<'_>) -> Description {
    let version = procfs::mapped_file(pid, library.mapping)
        .ok()
        .and_then(|bytes| version::in_program(library.kind, &bytes))
        .or_else(|| version::in_name(library.kind, library.file.name()));
    let linkage = if library.preloaded {
        Linkage::Preloaded
    } else {
        Linkage::Shared
    };
    (library.kind, linkage, version)
}

/// What no name of a file gives away: an allocator that is linked into the
/// program or libruby, or preloaded from a renamed file. Their messages begin
/// with their names.
fn hidden(pid: Pid, mappings: &[Mapping], ld_preload: &str) -> Option<Description> {
    const MARKS: [(AllocatorKind, &[u8]); 3] = [
        (AllocatorKind::Jemalloc, b"<jemalloc>"),
        (AllocatorKind::Tcmalloc, b"tcmalloc: allocation failed"),
        (AllocatorKind::Mimalloc, b"mimalloc: "),
    ];
    let described = |bytes: &[u8], linkage: Linkage| {
        let marked = |(_, mark): &&(AllocatorKind, &[u8])| memmem::find(bytes, mark).is_some();
        let (kind, _) = *MARKS.iter().find(marked)?;
        Some((kind, linkage, version::in_program(kind, bytes)))
    };
    let in_file = |linkage: Linkage, is_meant: &dyn Fn(&MappedFile) -> bool| {
        let is_meant = |mapping: &&Mapping| mapping.file().is_some_and(is_meant);
        // Each file is mapped in several parts, the first from its beginning.
        let mut parts = mappings.iter().filter(|m| m.offset == 0).filter(is_meant);
        parts.find_map(|part| described(&procfs::mapped_file(pid, part).ok()?, linkage))
    };
    in_file(Linkage::Preloaded, &|file| {
        preload::brings(ld_preload, file)
    })
    .or_else(|| described(&procfs::executable(pid).ok()?, Linkage::Static))
    .or_else(|| in_file(Linkage::Static, &|file| file.name().starts_with("libruby")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glibc() -> Allocator {
        Allocator {
            kind: AllocatorKind::Glibc,
            linkage: Linkage::Shared,
            version: Some("2.36".to_owned()),
            preload: Preload::NotSet,
            arena_max: ArenaMax::NotSet,
            malloc_conf: None,
            beside: Vec::new(),
        }
    }

    #[test]
    fn glibc_in_a_sentence() {
        assert_eq!(
            glibc().summary(),
            "glibc 2.36: jemalloc is not loaded, MALLOC_ARENA_MAX is not set"
        );
    }

    #[test]
    fn a_failed_preload_is_named() {
        let path = "/usr/lib/libjemalloc.so.2".to_owned();
        let allocator = Allocator {
            preload: Preload::NotMapped { path },
            ..glibc()
        };
        assert_eq!(
            allocator.summary(),
            "glibc 2.36: jemalloc is not loaded (LD_PRELOAD names /usr/lib/libjemalloc.so.2, \
             which is not mapped), MALLOC_ARENA_MAX is not set"
        );
    }

    #[test]
    fn jemalloc_in_a_sentence() {
        let jemalloc = Allocator {
            kind: AllocatorKind::Jemalloc,
            linkage: Linkage::Preloaded,
            version: None,
            preload: Preload::Loaded,
            ..glibc()
        };
        assert_eq!(jemalloc.summary(), "jemalloc: loaded by LD_PRELOAD");
        let configured = Allocator {
            linkage: Linkage::Static,
            malloc_conf: Some("narenas:2".to_owned()),
            ..jemalloc
        };
        assert_eq!(
            configured.summary(),
            "jemalloc: linked into the program, MALLOC_CONF is narenas:2"
        );
    }
}
