//! What of a Ruby is told by its program and libraries: its version, where its
//! exported variables are, where its data lies, whose malloc it uses.

use rbleak_process::maps::{Backing, Mapping};
use rbleak_process::{exports, ruby};
use std::ops::Range;

/// Allocators whose blocks have no head.
const OTHER_ALLOCATORS: [&str; 4] = ["jemalloc", "tcmalloc", "mimalloc", "ld-musl"];
const MACHINE: &str = "ruby_current_vm_ptr";
const SHAPES: &str = "rb_shape_tree_ptr";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What `ruby -v` prints.
    pub description: String,
    /// Where `ruby_current_vm_ptr` is.
    pub machine: Option<u64>,
    /// Where `rb_shape_tree_ptr` is.
    pub shapes: Option<u64>,
    /// Where its data is.
    pub data: Vec<Range<u64>>,
    /// Whether glibc's malloc gives memory.
    pub has_chunks: bool,
}

impl Program {
    /// Looks for a Ruby among what a process has mapped; `file` gives the bytes of
    /// a mapped file.
    pub fn find(
        mappings: &[Mapping],
        file: impl Fn(&Mapping) -> Option<Vec<u8>>,
    ) -> Option<Program> {
        let first = |mapping: &&Mapping| {
            mapping.offset == 0 && ruby::is_ruby(std::slice::from_ref(mapping))
        };
        // The library has all of it where there is one.
        let mut found: Option<Program> = None;
        for mapping in mappings.iter().filter(first) {
            let Some(bytes) = file(mapping) else { continue };
            let Some(description) = ruby::in_program(&bytes) else {
                continue;
            };
            let [machine, shapes] = exports::find(&bytes, mapping, [MACHINE, SHAPES]);
            let is_better = found.as_ref().is_none_or(|it| it.machine.is_none());
            if is_better {
                found = Some(Program {
                    description,
                    machine,
                    shapes,
                    data: data(mappings, mapping),
                    has_chunks: !mappings.iter().any(has_other_allocator),
                });
            }
        }
        found
    }
}

/// What can be written to of a file's, and the memory right behind it.
fn data(mappings: &[Mapping], first: &Mapping) -> Vec<Range<u64>> {
    let path = first.file().map(|file| &file.path);
    let mut found: Vec<Range<u64>> = Vec::new();
    for mapping in mappings {
        let range = mapping.start.0..mapping.end.0;
        let is_its = mapping.file().is_some_and(|file| Some(&file.path) == path);
        // What the loader has protected again is data, too.
        let is_data = is_its && !mapping.access.execute && mapping.offset != 0;
        let follows = mapping.access.write
            && matches!(
                mapping.backing,
                Backing::Anonymous | Backing::NamedAnonymous(_) | Backing::Heap
            )
            && found.last().is_some_and(|last| last.end == range.start);
        if is_data && mapping.access.read || follows && found.len() < 16 {
            found.push(range);
        }
    }
    found
}

fn has_other_allocator(mapping: &Mapping) -> bool {
    mapping.file().is_some_and(|file| {
        let name = file.name();
        OTHER_ALLOCATORS.iter().any(|it| name.contains(it))
    })
}
