//! What the memory of a process is used for, as far as that can be told from
//! outside: Ruby's heap pages, malloc, stacks, files.
//!
//! Told by what the kernel, glibc and Ruby leave in memory; where a mapping
//! says nothing of itself it is [`Kind::Anonymous`]: large blocks of malloc's,
//! mostly, and where an allocator other than glibc's is used, all of its memory.

use rbleak_units::Bytes;

use crate::Pid;
use crate::arenas::{self, ArenaHeap};
use crate::maps::{Backing, Mapping};
use crate::ruby_pages::{Layout, Pages};
use crate::smaps::Resident;

/// Below stacks of threads glibc and Ruby leave one page that nobody may touch.
const GUARD: u64 = 4096;
/// Mappings of which less than one part in so many is in memory are not
/// searched for Ruby's pages, which are in memory as a whole.
const SPARSE: u64 = 8;

/// A use of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Pages of Ruby's heap, with slots in use and free ones.
    RubyHeap,
    /// glibc's main arena: the heap below the program break.
    MainArena,
    /// glibc's other arenas.
    Arenas,
    /// Stacks of threads and fibers.
    Stacks,
    /// Files, libraries and what was written over them.
    Files,
    /// Memory shared with other processes.
    Shared,
    /// Anonymous memory of no other kind.
    Anonymous,
    /// Compiled code and what belongs to the kernel.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::RubyHeap,
        Kind::MainArena,
        Kind::Arenas,
        Kind::Anonymous,
        Kind::Stacks,
        Kind::Files,
        Kind::Shared,
        Kind::Other,
    ];
}

/// Memory by kind. The kinds add up to the resident set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    bytes: [Bytes; Kind::ALL.len()],
    /// glibc's arenas, the main one too; `None` where that cannot be seen.
    pub arenas: Option<usize>,
    /// Whether Ruby's pages could be counted; if not, they are in
    /// [`Kind::Anonymous`].
    pub knows_ruby: bool,
}

impl Kinds {
    /// The memory of a kind.
    pub fn of(&self, kind: Kind) -> Bytes {
        self.bytes[kind as usize]
    }

    /// All of it: the resident set.
    pub fn total(&self) -> Bytes {
        self.bytes.iter().fold(Bytes(0), |sum, bytes| sum + *bytes)
    }

    fn add(&mut self, kind: Kind, bytes: u64) {
        let sum = &mut self.bytes[kind as usize];
        *sum += Bytes(bytes);
    }
}

/// Tells the kinds apart. Looks into the memory of the process, where it may,
/// for glibc's arenas and for the pages of a Ruby of a known `layout`: about a
/// microsecond for each of its pages.
pub fn read(pid: Pid, resident: &[Resident], layout: Option<Layout>) -> Kinds {
    let mappings: Vec<Mapping> = resident.iter().map(|one| one.mapping.clone()).collect();
    let heaps = arenas::heaps(pid, &mappings);
    let searched = resident.iter().filter(|one| may_hold_pages(one));
    let bytes = searched.map(|one| one.mapping.size().0).sum();
    let pages = layout.and_then(|layout| Some((Pages::open(pid, layout, bytes)?, layout.page)));
    let is_own = |address: u64| {
        let after = mappings.partition_point(|mapping| mapping.start.0 <= address);
        let around = after.checked_sub(1).map(|index| &mappings[index]);
        around.is_some_and(|m| address < m.end.0 && m.access.write && m.access.read)
    };
    let mut kinds = Kinds {
        arenas: heaps.as_deref().map(arenas::number),
        knows_ruby: pages.is_some(),
        ..Kinds::default()
    };
    let mut before: Option<&Mapping> = None;
    for one in resident {
        let mut left = one.memory.rss.0;
        if let Some((pages, page)) = &pages
            && may_hold_pages(one)
        {
            let range = one.mapping.start.0..one.mapping.end.0;
            let of_ruby = (pages.count(range, &is_own) * page).min(left);
            kinds.add(Kind::RubyHeap, of_ruby);
            left -= of_ruby;
        }
        let kind = kind_of(&one.mapping, before, heaps.as_deref().unwrap_or_default());
        kinds.add(kind, left);
        before = Some(&one.mapping);
    }
    kinds
}

fn may_hold_pages(one: &Resident) -> bool {
    let mapping = &one.mapping;
    let is_memory = matches!(
        mapping.backing,
        Backing::Anonymous | Backing::NamedAnonymous(_) | Backing::Heap
    );
    is_memory
        && mapping.access.write
        && !mapping.access.shared
        && one.memory.rss.0 > 0
        && one.memory.rss.0 >= mapping.size().0 / SPARSE
}

/// What a mapping is, but for Ruby's pages in it.
fn kind_of(mapping: &Mapping, before: Option<&Mapping>, heaps: &[ArenaHeap]) -> Kind {
    if mapping.access.shared && mapping.file().is_none_or(is_no_file) {
        return Kind::Shared;
    }
    match &mapping.backing {
        Backing::Heap => Kind::MainArena,
        Backing::Stack => Kind::Stacks,
        Backing::File(file) if is_no_file(file) => Kind::Shared,
        Backing::File(_) => Kind::Files,
        Backing::Kernel(_) => Kind::Other,
        Backing::Anonymous | Backing::NamedAnonymous(_) => {
            let is_arena = |heap: &ArenaHeap| heap.range().contains(&mapping.start.0);
            if mapping.access.execute {
                Kind::Other
            } else if heaps.iter().any(is_arena) {
                Kind::Arenas
            } else if before.is_some_and(|before| guards(before, mapping)) {
                Kind::Stacks
            } else if before.is_some_and(|before| is_bss(before, mapping)) {
                Kind::Files
            } else {
                Kind::Anonymous
            }
        }
    }
}

/// `/dev/zero`, `/memfd:…` and the like are memory, whatever their names.
fn is_no_file(file: &crate::maps::MappedFile) -> bool {
    ["/dev/zero", "/memfd:", "/SYSV", "/dev/shm/"]
        .iter()
        .any(|name| file.path.starts_with(name))
}

fn guards(before: &Mapping, mapping: &Mapping) -> bool {
    let access = before.access;
    before.end == mapping.start
        && before.size().0 == GUARD
        && !(access.read || access.write || access.execute)
        && before.file().is_none()
}

/// The zeroed variables of a library lie right behind its data.
fn is_bss(before: &Mapping, mapping: &Mapping) -> bool {
    before.end == mapping.start && before.access.write && before.file().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smaps;

    fn kinds(text: &str) -> Kinds {
        // Nobody has this number, so that no memory is looked into.
        read(Pid(u32::MAX), &smaps::parse(text), None)
    }

    #[test]
    fn the_kinds_add_up_to_the_resident_set() {
        let text = "\
55a0000-55b0000 rw-p 00000000 00:00 0 [heap]
Rss: 40 kB
7000000-7001000 ---p 00000000 00:00 0
Rss: 0 kB
7001000-7101000 rw-p 00000000 00:00 0
Rss: 12 kB
7200000-7300000 rw-p 00000000 00:00 0
Rss: 100 kB
7f00000-7f01000 rw-p 00000000 fe:00 12 /usr/lib/libc.so.6
Rss: 4 kB
7f01000-7f02000 rw-p 00000000 00:00 0
Rss: 4 kB
7f10000-7f20000 rw-s 00000000 00:01 9 /dev/zero (deleted)
Rss: 8 kB
7f30000-7f40000 rwxp 00000000 00:00 0
Rss: 16 kB
7ff0000-7ff8000 rw-p 00000000 00:00 0 [stack]
Rss: 20 kB
";
        let kinds = kinds(text);
        let of = |kind| kinds.of(kind).0 >> 10;
        assert_eq!((of(Kind::MainArena), of(Kind::Stacks)), (40, 32));
        assert_eq!((of(Kind::Anonymous), of(Kind::Files)), (100, 8));
        assert_eq!((of(Kind::Shared), of(Kind::Other)), (8, 16));
        assert_eq!(kinds.total(), Bytes(204 << 10));
        assert!(!kinds.knows_ruby && kinds.arenas.is_none());
    }
}
