//! Objects summed up by what they have in common.
//!
//! Groups are sorted by bytes, then count, then key: the same input always
//! gives the same output. Knows no formats.

use crate::diff::Diff;
use crate::heap::Heap;
use crate::ids::ObjectId;
use crate::object_type::ObjectType;
use crate::origin::{Origin, origin};
use rbleak_units::{Bytes, Objects};
use regex::Regex;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::fmt;
use std::path::{Path, PathBuf};

/// What the objects of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum GroupBy {
    /// Type, class, file and line.
    #[default]
    Site,
    /// Type and class.
    Class,
    /// The file.
    File,
    /// Whose code allocated them: see [`Origin`].
    Gem,
    /// The method and its file.
    Method,
}

/// Which objects count.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only objects whose class or whose site's file matches.
    pub only: Option<Regex>,
    /// Only objects that the app's own code allocated.
    pub app_only: bool,
    /// No objects that were allocated in a file below this directory, such as
    /// that of the tool that took the dumps.
    pub but: Option<PathBuf>,
}

impl Filter {
    /// Whether an object counts.
    pub fn takes(&self, heap: &Heap, id: ObjectId) -> bool {
        let file = || heap.site(id).map(|site| heap.site_info(site).file);
        if let Some(but) = &self.but
            && file().is_some_and(|file| Path::new(file).starts_with(but))
        {
            return false;
        }
        if self.app_only && file().is_none_or(|file| origin(file) != Origin::App) {
            return false;
        }
        self.only.as_ref().is_none_or(|only| {
            only.is_match(heap.class_name(id)) || file().is_some_and(|file| only.is_match(file))
        })
    }
}

/// What is common to a group; `None` where the grouping does not look or the
/// dump does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<'h> {
    /// The file of the allocation site.
    pub file: Option<&'h str>,
    /// Its line; 0 if not known.
    pub line: u32,
    /// The method.
    pub method: Option<&'h str>,
    /// Whose code it is.
    pub origin: Option<Origin<'h>>,
    /// The class as a Rubyist says.
    pub class: Option<&'h str>,
    /// The internal type.
    pub object_type: Option<ObjectType>,
}

impl<'h> Key<'h> {
    /// The key of one object.
    pub fn new(heap: &'h Heap, id: ObjectId, by: GroupBy) -> Key<'h> {
        let mut key = Key {
            file: None,
            line: 0,
            method: None,
            origin: None,
            class: None,
            object_type: None,
        };
        let site = heap.site(id).map(|site| heap.site_info(site));
        if matches!(by, GroupBy::Site | GroupBy::Class) {
            key.class = Some(heap.class_name(id));
            key.object_type = Some(heap.object_type(id));
        }
        let Some(site) = site else {
            return key;
        };
        match by {
            GroupBy::Site => (key.file, key.line) = (Some(site.file), site.line),
            GroupBy::Class => {}
            GroupBy::File => key.file = Some(site.file),
            GroupBy::Gem => key.origin = Some(origin(site.file)),
            GroupBy::Method => (key.file, key.method) = (Some(site.file), site.method),
        }
        key
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        match (self.file, self.line) {
            (Some(file), 0) => parts.push(file.to_owned()),
            (Some(file), line) => parts.push(format!("{file}:{line}")),
            (None, _) => {}
        }
        parts.extend(self.method.map(str::to_owned));
        parts.extend(self.origin.map(|origin| origin.label()));
        parts.extend(self.class.map(str::to_owned));
        if parts.is_empty() {
            parts.push("(site not known)".to_owned());
        }
        f.pad(&parts.join(" "))
    }
}

/// Objects with a common key.
#[derive(Clone, Debug, PartialEq)]
pub struct Group<'h> {
    /// What they have in common.
    pub key: Key<'h>,
    /// How many there are.
    pub objects: Objects,
    /// Their shallow sizes.
    pub bytes: Bytes,
    /// Of all live bytes of the heap, from 0 to 1.
    pub share: f64,
    /// The objects, in the order of the dump.
    pub ids: Vec<ObjectId>,
}

/// Sums up objects of one heap.
pub fn group<'h>(
    heap: &'h Heap,
    ids: impl IntoIterator<Item = ObjectId>,
    by: GroupBy,
    filter: &Filter,
) -> Vec<Group<'h>> {
    let mut groups: FxHashMap<Key<'h>, (Bytes, Vec<ObjectId>)> = FxHashMap::default();
    for id in ids {
        if filter.takes(heap, id) {
            let (bytes, ids) = groups.entry(Key::new(heap, id, by)).or_default();
            *bytes += heap.shallow_size(id);
            ids.push(id);
        }
    }
    let (_, whole) = heap.live_totals();
    let mut groups: Vec<_> = groups
        .into_iter()
        .map(|(key, (bytes, ids))| Group {
            key,
            objects: Objects(ids.len() as u64),
            bytes,
            // An empty heap has no groups.
            share: bytes.as_f64() / whole.as_f64().max(1.0),
            ids,
        })
        .collect();
    groups.sort_by(|a, b| {
        Reverse((a.bytes, a.objects))
            .cmp(&Reverse((b.bytes, b.objects)))
            .then_with(|| a.key.cmp(&b.key))
    });
    groups
}

impl<'h> Diff<'h> {
    /// The survivors, summed up.
    pub fn groups(&self, by: GroupBy, filter: &Filter) -> Vec<Group<'h>> {
        let ids = self.survivors().iter().map(|survivor| survivor.id);
        group(self.last(), ids, by, filter)
    }

    /// What only the last dump has, summed up.
    pub fn newest_groups(&self, by: GroupBy, filter: &Filter) -> Vec<Group<'h>> {
        group(self.last(), self.newest().iter().copied(), by, filter)
    }
}
