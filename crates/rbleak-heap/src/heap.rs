//! A heap: the dump as a whole.
//!
//! Knows neither how it was read nor what it is compared with. What it says
//! about one object is in the module `object`.

use crate::columns::Columns;
use crate::ids::{Generation, ObjectId, Root};
use crate::index::AddressIndex;
use crate::issues::Issues;
use crate::naming::Names;
use crate::object_type::ObjectType;
use crate::shapes::Shapes;
use crate::twin::Beside;
use crate::version::RubyHint;
use rbleak_units::{Address, Bytes, Objects};
use std::sync::OnceLock;

/// How much of a dump has one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeCount {
    /// Ruby's word; `ROOT` and `SHAPE` among them.
    pub label: &'static str,
    /// Lines.
    pub objects: Objects,
    /// Their shallow sizes.
    pub bytes: Bytes,
}

/// A heap dump, read.
pub struct Heap {
    pub(crate) source: String,
    pub(crate) columns: Columns,
    pub(crate) strings: Vec<Box<str>>,
    pub(crate) index: AddressIndex,
    /// Empty if the heap was read without references.
    pub(crate) starts: Vec<u32>,
    pub(crate) references: Vec<ObjectId>,
    pub(crate) dangling: u64,
    pub(crate) roots: Vec<Root>,
    pub(crate) shapes: Shapes,
    pub(crate) names: Names,
    pub(crate) excludes_slot: bool,
    pub(crate) hint: RubyHint,
    pub(crate) max_generation: Option<u32>,
    pub(crate) issues: Issues,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    /// What it has in common with the heap that was read before it, if they
    /// were read together.
    pub(crate) beside: Option<Beside>,
    /// What [`Heap::live_totals`] says, once it was asked.
    pub(crate) live_totals: OnceLock<(Objects, Bytes)>,
}

impl std::fmt::Debug for Heap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heap")
            .field("source", &self.source)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The dump as a whole.
impl Heap {
    /// What the dump is called: a path, or what [`Heap::read`] was told.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many rows it has: every line with an address except shapes, free
    /// and dead slots included.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows in the order of the dump.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = ObjectId> + ExactSizeIterator + use<> {
        (0..self.len() as u32).map(ObjectId)
    }

    /// The row with an address.
    pub fn find(&self, address: Address) -> Option<ObjectId> {
        self.index.find(address.0).map(ObjectId)
    }

    /// Where the garbage collector starts, in the order of the dump. Empty
    /// for a dump taken with `since:`.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The shapes; none before 3.2.
    pub fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// What was wrong with the dump.
    pub fn issues(&self) -> &Issues {
        &self.issues
    }

    /// Lines of the file.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Bytes of the file after decompression.
    pub fn total_bytes(&self) -> u64 {
        self.bytes
    }

    /// References to addresses that the dump does not list. A high share
    /// means that other threads ran while Ruby 3.0 to 3.3 wrote it. 0 if it
    /// was read without references.
    pub fn dangling_references(&self) -> u64 {
        self.dangling
    }

    /// Rows with the address of an earlier row; only damaged dumps have any.
    pub fn duplicate_addresses(&self) -> usize {
        self.index.duplicates()
    }

    /// Whether allocations were traced: any object has a generation.
    pub fn is_traced(&self) -> bool {
        self.max_generation.is_some()
    }

    /// Whether it lists a part of the heap only: no roots, as with `since:`.
    pub fn is_partial(&self) -> bool {
        self.roots.is_empty()
    }

    /// The latest generation of an object: `GC.count` when the dump was
    /// taken, if allocations were traced.
    pub fn max_generation(&self) -> Option<Generation> {
        self.max_generation.map(Generation)
    }

    /// Which Ruby wrote it.
    pub fn ruby(&self) -> RubyHint {
        self.hint
    }

    /// Lines and bytes by type, ROOT and SHAPE lines included, sorted by
    /// name: they add up to the whole dump.
    pub fn counts_by_type(&self) -> Vec<TypeCount> {
        let mut objects = vec![0_u64; ObjectType::ALL.len()];
        let mut bytes = vec![Bytes(0); ObjectType::ALL.len()];
        for id in self.ids() {
            let at = self.object_type(id) as usize;
            objects[at] += 1;
            bytes[at] += self.shallow_size(id);
        }
        let mut counts: Vec<_> = ObjectType::ALL
            .iter()
            .zip(objects.iter().zip(bytes))
            .map(|(object_type, (&objects, bytes))| TypeCount {
                label: object_type.as_str(),
                objects: Objects(objects),
                bytes,
            })
            .collect();
        counts.push(TypeCount {
            label: "ROOT",
            objects: Objects(self.roots.len() as u64),
            bytes: Bytes(0),
        });
        counts.push(TypeCount {
            label: "SHAPE",
            objects: Objects(self.shapes.all().len() as u64),
            bytes: self.shapes.all().iter().map(|shape| shape.memsize).sum(),
        });
        counts.retain(|count| count.objects.0 > 0);
        counts.sort_by_key(|count| count.label);
        counts
    }

    /// Objects that are live (no free or dead slots), and their bytes.
    /// Shapes are not among them.
    pub fn live_totals(&self) -> (Objects, Bytes) {
        *self.live_totals.get_or_init(|| {
            // Most dumps list what is live and nothing else, all with its size.
            let mut kinds = self.columns.kind_table.iter();
            if !self.excludes_slot
                && kinds.all(|kind| kind.object_type.is_live())
                && let Some(sum) = self.columns.memsizes.sum()
            {
                return (Objects(self.len() as u64), Bytes(sum));
            }
            let mut totals = (0, Bytes(0));
            for id in self.ids().filter(|&id| self.is_live(id)) {
                totals.0 += 1;
                totals.1 += self.shallow_size(id);
            }
            (Objects(totals.0), totals.1)
        })
    }
}
