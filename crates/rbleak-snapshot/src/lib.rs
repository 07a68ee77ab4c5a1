//! Reads the heap of a Ruby from its memory alone, and writes it as the dump that
//! `ObjectSpace.dump_all` would have written, with the sidecar of names: no code
//! of the process is run, and none has to be sound any more.
//!
//! Where things lie follows from the version of Ruby (`layout`); which
//! addresses are objects, from the pages of the heap (`heap`); what an object
//! refers to, from what Ruby's collector marks (`references`, `internals`). What only hidden
//! variables of Ruby lead to is looked for by what it must look like (`ids`,
//! `roots`). What cannot be known is left out, and [`Facts::absent`] says what
//! that is.
//!
//! Memory may be torn, or no Ruby's at all: no address is believed, no loop goes
//! on without end, and no list is longer than memory is. How memory is come by,
//! whose it is, and what is made of the dump is not known here.

mod classes;
mod heap;
mod ids;
mod internals;
mod layout;
mod lines;
mod objects;
mod program;
mod references;
mod roots;
mod shapes;
mod sidecar;
mod sizes;
mod sound;
mod tables;
mod view;
mod walk;

pub use layout::Checked;
pub use program::Program;

use heap::{Heap, kind};
use ids::Ids;
use layout::Layout;
use rbleak_process::memory::{Memory, Registers};
use rbleak_process::ruby_pages;
use references::{References, Slot};
use rustc_hash::FxHashMap;
use shapes::Shapes;
use sidecar::Sidecar;
use std::io::{self, Write};
use std::ops::Range;
use view::View;
use walk::Walk;

/// A Ruby that stands still, and what is known of it from outside.
pub struct Subject<'m> {
    /// Its memory.
    pub memory: &'m dyn Memory,
    /// What `ruby -v` prints.
    pub description: &'m str,
    /// Where its variable `ruby_current_vm_ptr` is.
    pub machine: Option<u64>,
    /// Where its variable `rb_shape_tree_ptr` is, of 3.2 and later.
    pub shapes: Option<u64>,
    /// Where the data of Ruby itself is: that of its program or library.
    pub data: Vec<Range<u64>>,
    /// Of threads of which they are known.
    pub threads: &'m [Registers],
    /// Whether glibc's malloc gave it its memory.
    pub has_chunks: bool,
    /// Leave out what strings and symbols say.
    pub redact: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Pages of the heap.
    pub pages: u64,
    /// Slots on them.
    pub slots: u64,
    /// Slots by what is in them, as `ObjectSpace.count_objects` tells them apart:
    /// type, number; without those that are free.
    pub counts: Vec<(&'static str, u64)>,
    /// `GC.count`, where it is known.
    pub generation: Option<u64>,
    /// The release whose layout was taken for that of this Ruby, and how it was made.
    pub layout: &'static str,
    /// How far that is known to be right. `None` of no Ruby.
    pub checked: Option<Checked>,
    /// What a dump of Ruby's own would have and this one has not, each in a few
    /// words.
    pub absent: Vec<&'static str>,
}

impl Facts {
    /// Of a layout that was never held against a live Ruby: a sentence that says so.
    pub fn caveat(&self) -> Option<String> {
        (self.checked == Some(Checked::Derived)).then(|| {
            format!(
                "where things lie in its memory was made from debug information alone ({}), and \
                 never compared with a live Ruby of that version; what was read passed its own \
                 checks",
                self.layout
            )
        })
    }

    /// Slots that are in use.
    pub fn live(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }
}

/// Why there is no dump: one sentence each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// No row of the table.
    #[error(
        "how {0} lays out its objects is not known here (known: {known}): take --via agent or \
         --via inject", known = known()
    )]
    UnknownRuby(String),
    /// No pages, or none that can be made sense of.
    #[error(
        "no pages of Ruby's heap were found in its memory: it may be built in an unusual way, \
         or has hardly begun"
    )]
    NoHeap,
    /// What was read is no heap of this Ruby's.
    #[error(
        "what was read of the memory of {ruby} does not fit together ({what}): it may be built \
         in an unusual way; take --via agent or --via inject"
    )]
    Unsound {
        /// What it says that it is.
        ruby: String,
        /// What does not fit.
        what: String,
    },
    /// What is written to refused it.
    #[error(transparent)]
    Sink(#[from] io::Error),
}

/// The versions that can be read.
pub fn known() -> String {
    let all: Vec<String> = Layout::versions()
        .map(|(major, minor)| format!("{major}.{minor}"))
        .collect();
    all.join(", ")
}

/// Whether the heap of the Ruby that describes itself so can be read.
///
/// # Errors
/// [`SnapshotError::UnknownRuby`].
pub fn check(description: &str) -> Result<(), SnapshotError> {
    layouts(description).map(drop)
}

/// Without the date and what it was built for.
fn short(description: &str) -> String {
    let short = description.split(" (").next().unwrap_or_default();
    short.to_owned()
}

fn layouts(description: &str) -> Result<(&'static Layout, ruby_pages::Layout), SnapshotError> {
    let unknown = || SnapshotError::UnknownRuby(short(description));
    let version = || {
        let rest = description.strip_prefix("ruby ")?;
        let mut parts = rest.split(|c: char| !c.is_ascii_digit());
        let mut part = || parts.next()?.parse().ok();
        Some((part()?, part()?))
    };
    let layout = version().and_then(Layout::of).ok_or_else(unknown)?;
    let pages = ruby_pages::Layout::of(description).ok_or_else(unknown)?;
    Ok((layout, pages))
}

/// Writes the heap to `dump` and its names to `names`, if what is read of it fits
/// together.
///
/// # Errors
/// If this Ruby's layout is not known, if it has no heap, if that is not laid out so
/// (then nothing has been written), and those of the sinks.
pub fn write(
    subject: &Subject<'_>,
    dump: &mut dyn Write,
    names: &mut dyn Write,
) -> Result<Facts, SnapshotError> {
    let rows = layouts(subject.description)?;
    write_as(rows, true, subject, dump, names)
}

/// The same of memory that need not fit together, whatever then comes out: for those
/// who want to see that any memory is walked to its end.
///
/// # Errors
/// As of [`write()`].
pub fn write_unchecked(
    subject: &Subject<'_>,
    dump: &mut dyn Write,
    names: &mut dyn Write,
) -> Result<Facts, SnapshotError> {
    let rows = layouts(subject.description)?;
    write_as(rows, false, subject, dump, names)
}

fn write_as(
    (layout, pages): (&'static Layout, ruby_pages::Layout),
    is_checked: bool,
    subject: &Subject<'_>,
    dump: &mut dyn Write,
    names: &mut dyn Write,
) -> Result<Facts, SnapshotError> {
    let view = View::new(subject.memory);
    let heap = Heap::find(&view, pages);
    if heap.pages.is_empty() {
        return Err(SnapshotError::NoHeap);
    }
    let ids = Ids::find(&view, layout, &heap);
    let machine = subject
        .machine
        .and_then(|at| view.word(at))
        .or_else(|| roots::find_machine(&view, layout, &heap, &subject.data));
    let has_machine = machine.is_some();
    let machine = machine.unwrap_or_default();
    let references = References {
        view: &view,
        layout,
        heap: &heap,
        shapes: Shapes::find(&view, layout, subject.shapes)
            .or_else(|| roots::find_shapes(&view, layout, &heap, machine, &subject.data)),
        generic: roots::generic_values(&view, layout, &heap, &subject.data),
        has_chunks: subject.has_chunks,
    };
    let walk = Walk::new(references, &ids, subject.redact);
    if is_checked {
        let ruby = short(subject.description);
        sound::check(&walk).map_err(|what| SnapshotError::Unsound { ruby, what })?;
        view.refill();
    }
    let globals = roots::globals(&view, layout, &heap, &ids, &subject.data);
    let generation = roots::collections(&view, layout, machine);
    let mut held = roots::machine(&walk.references, machine);
    let registered = roots::registered(&view, layout, &heap, machine);
    // A root of its own until 3.3.
    let is_list = layout.version < (3, 4);
    if !is_list {
        held.extend(&registered);
    }
    lines::root("vm", &held, dump)?;
    let stacks = roots::stacks(&view, &heap, subject.threads);
    lines::root("machine_context", &stacks, dump)?;
    if is_list {
        lines::root("global_list", &registered, dump)?;
    }
    let held: Vec<u64> = globals.iter().map(|global| global.value).collect();
    lines::root("global_tbl", &held, dump)?;
    let mut sidecar = Sidecar::begin(&walk, &globals, generation, names)?;
    let mut bytes = Vec::new();
    for page in &heap.pages {
        bytes.resize((page.slot * page.slots) as usize, 0);
        if !view.read(page.start, &mut bytes) {
            continue;
        }
        let slots = bytes.chunks_exact(page.slot as usize);
        for (index, slot) in (0_u64..).zip(slots) {
            let slot = Slot::new(page.start + index * page.slot, slot);
            if slot.flags == 0 || matches!(slot.kind, kind::NONE | kind::MOVED) {
                continue;
            }
            lines::object(&walk, slot, dump)?;
            sidecar.object(&walk, slot, names)?;
        }
    }
    sidecar.finish(&walk, names)?;
    Ok(Facts {
        pages: heap.pages.len() as u64,
        slots: heap.pages.iter().map(|page| page.slots).sum(),
        counts: counts(&heap),
        generation,
        layout: layout.source,
        checked: Some(layout.checked),
        absent: absent(&walk, subject, &globals, has_machine),
    })
}

fn counts(heap: &Heap) -> Vec<(&'static str, u64)> {
    let counts = heap.counts();
    let known = (1_u8..).zip(&counts[1..]).filter(|(_, count)| **count > 0);
    let mut by_name: FxHashMap<&'static str, u64> = FxHashMap::default();
    for (kind, count) in known {
        *by_name.entry(kind::name(kind)).or_default() += count;
    }
    let mut all: Vec<_> = by_name.into_iter().collect();
    all.sort_unstable();
    all
}

/// What is not in the dump.
fn absent(
    walk: &Walk<'_, '_>,
    subject: &Subject<'_>,
    globals: &[roots::Global],
    has_machine: bool,
) -> Vec<&'static str> {
    let mut absent = vec![
        "where objects were allocated, and their generations",
        "flags of the collector",
        "sizes of what Regexp, Match, File and data of C code hold",
    ];
    absent.push(match subject.has_chunks {
        true => "what data of C code marks: instead, what the words of its struct refer to",
        false => "what data of C code refers to, but for threads, fibers, blocks and methods",
    });
    let mut lacks = |is_so: bool, what: &'static str| {
        if is_so {
            absent.push(what);
        }
    };
    lacks(walk.ids.is_empty(), "names of constants and variables");
    lacks(
        !has_machine,
        "what the virtual machine and registered variables hold",
    );
    lacks(globals.is_empty(), "global variables");
    lacks(
        subject.threads.is_empty(),
        "what the stacks of running threads hold",
    );
    lacks(
        walk.layout.shape_size.is_some() && walk.references.shapes.is_none(),
        "instance variables",
    );
    lacks(walk.layout.shape_size.is_some(), "shapes");
    lacks(
        walk.view.is_exhausted(),
        "references of objects whose lists are longer than memory is",
    );
    absent
}

#[cfg(test)]
mod tests {
    use super::{Checked, Facts};

    #[test]
    fn what_was_never_seen_to_be_right_is_said() {
        let facts = |checked| Facts {
            layout: "3.2.4, from wasm32 debug information",
            checked,
            ..Facts::default()
        };
        let caveat = facts(Some(Checked::Derived)).caveat().expect("a caveat");
        assert!(caveat.contains("3.2.4, from wasm32"), "{caveat}");
        assert!(caveat.contains("never compared"), "{caveat}");
        assert_eq!(facts(Some(Checked::Live)).caveat(), None);
        assert_eq!(facts(None).caveat(), None);
    }
}
