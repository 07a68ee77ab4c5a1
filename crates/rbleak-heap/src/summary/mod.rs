//! What a heap is made of, in parts that add up to it.
//!
//! Every list of [`Part`]s covers each live object once, so that its bytes and
//! counts sum to [`Summary::total`]: what has no class, no line or no age is a
//! part of its own. What lists a few objects of many ([`Summary::largest`]) says
//! so. Knows neither roots nor references, files nor how results are shown.

mod ages;
mod content;
mod slots;
mod strings;

pub use ages::Age;
pub use content::Content;
pub use slots::Slots;
pub use strings::{Duplicate, Strings};

use crate::graph::Count;
use crate::group::{GroupBy, Key};
use crate::{Heap, ObjectId, ObjectType};
use rbleak_units::{Bytes, Objects};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::Hash;

/// Live objects that have something in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<K> {
    /// What they have in common.
    pub key: K,
    /// How many they are, and what they take by themselves.
    pub count: Count,
}

/// Classes and modules by what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModuleKind {
    /// A class with a name.
    Class,
    /// A class without one: `Class.new`, `Struct.new`.
    AnonymousClass,
    /// The class of a single object. In dumps before 3.1 inferred, in those of
    /// 3.0 not to be told from an anonymous one.
    SingletonClass,
    /// A module with a name.
    Module,
    /// A module without one.
    AnonymousModule,
    /// A module's place in an ancestor chain.
    Inclusion,
}

/// The live objects of a heap by kind, counted in one pass. See the module.
#[derive(Debug)]
pub struct Summary<'h> {
    heap: &'h Heap,
    /// The first object of each kind that has any, and all of them.
    kinds: Vec<(ObjectId, Count)>,
    total: Count,
}

impl<'h> Summary<'h> {
    /// Counts; a heap that was read without references is enough.
    pub fn new(heap: &'h Heap) -> Summary<'h> {
        let mut kinds: Vec<Option<(ObjectId, Count)>> = vec![None; heap.columns.kind_table.len()];
        for id in heap.ids().filter(|&id| heap.is_live(id)) {
            let kind = &mut kinds[heap.columns.kinds.get(id.index()) as usize];
            let (_, count) = kind.get_or_insert((id, Count::default()));
            add(count, heap.shallow_size(id));
        }
        let kinds: Vec<_> = kinds.into_iter().flatten().collect();
        let mut total = Count::default();
        for (_, count) in &kinds {
            join(&mut total, *count);
        }
        Summary { heap, kinds, total }
    }

    /// The heap.
    pub fn heap(&self) -> &'h Heap {
        self.heap
    }

    /// All live objects, and the sum of their shallow sizes. Without IMEMO and
    /// ICLASS, which `ObjectSpace.memsize_of_all` leaves out (`total_i` of
    /// objspace.c), it is what that adds up. Shapes are not among them.
    pub fn total(&self) -> Count {
        self.total
    }

    /// By internal type.
    pub fn by_type(&self) -> Vec<Part<ObjectType>> {
        self.parts(|heap, id| Some(heap.object_type(id)))
    }

    /// By class, line, file, gem or method; all that was not traced is one part
    /// (of each class, where the class is part of the key).
    pub fn by(&self, by: GroupBy) -> Vec<Part<Key<'h>>> {
        self.parts(|heap, id| Some(Key::new(heap, id, by)))
    }

    /// The records of the virtual machine by kind: `env`, `iseq`, …; `None` in
    /// dumps before 2.5, which do not say. They add up to IMEMO.
    pub fn imemo(&self) -> Vec<Part<Option<&'h str>>> {
        self.parts(|heap, id| {
            (heap.object_type(id) == ObjectType::Imemo).then(|| heap.imemo_type(id))
        })
    }

    /// Objects implemented in C by their struct, such as `proc`; `None` where it
    /// has no name. They add up to DATA.
    pub fn structs(&self) -> Vec<Part<Option<&'h str>>> {
        self.parts(|heap, id| {
            (heap.object_type(id) == ObjectType::Data).then(|| heap.struct_name(id))
        })
    }

    /// Classes and modules by what they are. They add up to CLASS, MODULE and
    /// ICLASS.
    pub fn modules(&self) -> Vec<Part<ModuleKind>> {
        let heap = self.heap;
        let mut counts: FxHashMap<ModuleKind, Count> = FxHashMap::default();
        for id in heap.ids() {
            if let Some(kind) = module_kind(heap, id) {
                add(counts.entry(kind).or_default(), heap.shallow_size(id));
            }
        }
        sorted(counts)
    }

    /// By age; empty if nothing was traced.
    pub fn ages(&self) -> Vec<Age> {
        ages::ages(self.heap)
    }

    /// By size of slot.
    pub fn slots(&self, content: &Content) -> Vec<Slots> {
        slots::slots(self.heap, content)
    }

    /// Strings by value. Takes the content, whose memory it needs.
    pub fn strings(&self, content: Content) -> Strings {
        Strings::new(self.heap, content)
    }

    /// The `most` objects of a type that take most by themselves, the largest
    /// first.
    pub fn largest(&self, object_type: ObjectType, most: usize) -> Vec<ObjectId> {
        let heap = self.heap;
        let mut found = BinaryHeap::new();
        for id in heap.ids() {
            if heap.object_type(id) == object_type {
                // The least of those kept is on top.
                found.push((Reverse(heap.shallow_size(id)), heap.address(id), id));
                if found.len() > most {
                    found.pop();
                }
            }
        }
        let sorted = found.into_sorted_vec();
        sorted.into_iter().map(|(_, _, id)| id).collect()
    }

    /// All threads, then all fibers, in the order of the dump.
    pub fn threads_and_fibers(&self) -> Vec<ObjectId> {
        let of = |names: &'static [&'static str]| {
            let heap = self.heap;
            heap.ids().filter(move |&id| {
                heap.struct_name(id)
                    .is_some_and(|name| names.contains(&name))
            })
        };
        of(&["VM/thread"])
            .chain(of(&["fiber", "VM/fiber"]))
            .collect()
    }

    /// Parts by what all objects of a kind have in common; objects without a
    /// key are in none.
    fn parts<K: Hash + Ord>(&self, key: impl Fn(&'h Heap, ObjectId) -> Option<K>) -> Vec<Part<K>> {
        let mut counts: FxHashMap<K, Count> = FxHashMap::default();
        for &(id, count) in &self.kinds {
            if let Some(key) = key(self.heap, id) {
                join(counts.entry(key).or_default(), count);
            }
        }
        sorted(counts)
    }
}

/// The largest first.
fn sorted<K: Ord>(counts: FxHashMap<K, Count>) -> Vec<Part<K>> {
    let parts = counts.into_iter().map(|(key, count)| Part { key, count });
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by(|a, b| {
        let size = |count: Count| Reverse((count.bytes, count.objects));
        size(a.count)
            .cmp(&size(b.count))
            .then_with(|| a.key.cmp(&b.key))
    });
    parts
}

fn module_kind(heap: &Heap, id: ObjectId) -> Option<ModuleKind> {
    // Ruby to 2.7 writes a name even where there is none.
    let is_named = || heap.name(id).is_some_and(|name| !name.starts_with("#<"));
    Some(match heap.object_type(id) {
        ObjectType::Class if heap.is_singleton(id) => ModuleKind::SingletonClass,
        ObjectType::Class if is_named() => ModuleKind::Class,
        ObjectType::Class => ModuleKind::AnonymousClass,
        ObjectType::Module if is_named() => ModuleKind::Module,
        ObjectType::Module => ModuleKind::AnonymousModule,
        ObjectType::Iclass => ModuleKind::Inclusion,
        _ => return None,
    })
}

fn add(count: &mut Count, bytes: Bytes) {
    join(
        count,
        Count {
            objects: Objects(1),
            bytes,
        },
    );
}

fn join(count: &mut Count, more: Count) {
    count.objects.0 += more.objects.0;
    count.bytes += more.bytes;
}
