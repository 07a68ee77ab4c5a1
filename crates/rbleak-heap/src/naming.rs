//! What a Rubyist calls the class of an object.
//!
//! Works on addresses and names only. A singleton class is called after the
//! real class, as `obj.class` does; a class without a name after the nearest
//! ancestor with one.

use crate::columns::{ABSENT, Columns, Sparse};
use crate::ids::ObjectId;
use crate::index::AddressIndex;
use crate::interner::{Interner, StringId};
use crate::object_type::ObjectType;
use rbleak_units::Address;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Longer chains of ancestors are cycles.
const MAX_ANCESTORS: usize = 1000;

/// What names are made of.
pub(crate) struct Parts<'a> {
    pub(crate) columns: &'a Columns,
    pub(crate) strings: &'a Interner,
    pub(crate) index: &'a AddressIndex,
    pub(crate) superclasses: Sparse<ObjectId>,
    /// The references of classes without `superclass` (before 3.1).
    pub(crate) class_references: &'a [(u32, Vec<u64>)],
    pub(crate) has_superclass_key: bool,
}

/// The names of a heap's classes.
#[derive(Default)]
pub(crate) struct Names {
    /// For each word of `class` (see [`Columns::class_words`]).
    pub(crate) of_class_word: Vec<Arc<str>>,
    /// For internal objects without a class, by type.
    pub(crate) internal: Vec<Box<str>>,
    /// For internal objects by the string of their `imemo_type`.
    pub(crate) imemo: FxHashMap<u32, Box<str>>,
    pub(crate) superclasses: Sparse<ObjectId>,
    /// Rows of singleton classes, ascending.
    pub(crate) singletons: Vec<u32>,
}

/// Names every class that an object of the heap has.
pub(crate) fn resolve(parts: Parts<'_>) -> Names {
    let columns = parts.columns;
    let singletons = if parts.has_superclass_key {
        columns.singletons.clone()
    } else {
        older_singletons(&parts)
    };
    let superclasses = if parts.has_superclass_key {
        parts.superclasses.clone()
    } else {
        older_superclasses(&parts)
    };
    let namer = Namer {
        parts: &parts,
        superclasses: &superclasses,
        singletons: singletons.iter().copied().collect(),
        real_names: columns.real_class_names.iter().copied().collect(),
    };
    let mut texts = FxHashMap::default();
    let of_class_word = columns
        .class_words
        .iter()
        .map(|&word| {
            let name = namer.class_at(word);
            // Many classes may have the same long name.
            let text = texts
                .entry(name)
                .or_insert_with(|| name.text(parts.strings));
            Arc::clone(text)
        })
        .collect();
    let mut imemo = FxHashMap::default();
    for kind in &columns.kind_table {
        if kind.object_type == ObjectType::Imemo && kind.detail != ABSENT {
            imemo.entry(kind.detail).or_insert_with(|| {
                let name = parts.strings.get(StringId(kind.detail));
                format!("{name} (internal)").into()
            });
        }
    }
    let internal = ObjectType::ALL
        .iter()
        .map(|object_type| format!("{object_type} (internal)").into())
        .collect();
    Names {
        of_class_word,
        internal,
        imemo,
        superclasses,
        singletons,
    }
}

struct Namer<'a> {
    parts: &'a Parts<'a>,
    superclasses: &'a Sparse<ObjectId>,
    singletons: FxHashSet<u32>,
    real_names: FxHashMap<u32, StringId>,
}

/// What a class is called.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    Own(StringId),
    /// After the nearest ancestor with a name.
    Subclass(StringId),
    Address(u64),
}

impl Name {
    fn text(self, strings: &Interner) -> Arc<str> {
        match self {
            Name::Own(name) => strings.get(name).into(),
            Name::Subclass(name) => format!("(anonymous subclass of {})", strings.get(name)).into(),
            Name::Address(address) => format!("#<Class:{}>", Address(address)).into(),
        }
    }
}

impl Namer<'_> {
    fn class_at(&self, word: u64) -> Name {
        match self.parts.index.find(word) {
            Some(row) => self.class(row),
            None => Name::Address(word),
        }
    }

    fn class(&self, row: u32) -> Name {
        let columns = self.parts.columns;
        let mut at = row;
        let mut is_subclass = false;
        // A damaged dump may have a cycle.
        for _ in 0..MAX_ANCESTORS {
            if let Some(&name) = self.real_names.get(&at) {
                return Name::Own(name);
            }
            let is_class = matches!(
                columns.kind(at as usize).object_type,
                ObjectType::Class | ObjectType::Module
            );
            let name = columns.kind(at as usize).detail;
            if is_class && name != ABSENT {
                let name = StringId(name);
                return match is_subclass {
                    true => Name::Subclass(name),
                    false => Name::Own(name),
                };
            }
            // Above a singleton is the real class. In 3.0 most classes
            // without a name are singletons, and nothing says which.
            is_subclass |= self.parts.has_superclass_key && !self.singletons.contains(&at);
            let Some(&above) = self.superclasses.get(at) else {
                break;
            };
            at = above.0;
        }
        Name::Address(self.parts.index.address(row))
    }
}

/// Ruby to 2.7 names a singleton class after the real class and does not mark
/// it. A singleton refers to the class above it, which has the same name, or
/// to what it is the singleton class of, which is all that has it as class.
fn older_singletons(parts: &Parts<'_>) -> Vec<u32> {
    let columns = parts.columns;
    let mut instances = vec![0_u32; columns.class_words.len()];
    for kind in columns.kinds.all() {
        let kind = &columns.kind_table[kind as usize];
        // Internal records have their own use for the word.
        if let Some(count) = instances.get_mut(kind.class as usize)
            && !kind.object_type.is_internal()
        {
            *count += 1;
        }
    }
    let is_singleton = |row: u32, references: &[u64]| {
        let name = class_name(columns, row);
        let is_attached = |other: u32| {
            let kind = columns.kind(other as usize);
            let class = kind.class as usize;
            !kind.object_type.is_internal()
                && columns.class_words.get(class) == Some(&parts.index.address(row))
                && instances[class] == 1
        };
        name != ABSENT
            && references
                .iter()
                .filter_map(|&address| parts.index.find(address))
                .any(|other| {
                    other != row && (class_name(columns, other) == name || is_attached(other))
                })
    };
    parts
        .class_references
        .iter()
        .filter(|(row, references)| is_singleton(*row, references))
        .map(|&(row, _)| row)
        .collect()
}

/// The string that names a CLASS.
fn class_name(columns: &Columns, row: u32) -> u32 {
    let kind = columns.kind(row as usize);
    match kind.object_type {
        ObjectType::Class => kind.detail,
        _ => ABSENT,
    }
}

/// Ruby 3.0 refers to the superclass of a class without a name first.
fn older_superclasses(parts: &Parts<'_>) -> Sparse<ObjectId> {
    let rows = parts
        .class_references
        .iter()
        .filter(|(row, _)| parts.columns.kind(*row as usize).detail == ABSENT)
        .filter_map(|(row, references)| {
            let above = parts.index.find(*references.first()?)?;
            (parts.columns.kind(above as usize).object_type == ObjectType::Class)
                .then_some((*row, ObjectId(above)))
        })
        .collect();
    Sparse::new(rows)
}
