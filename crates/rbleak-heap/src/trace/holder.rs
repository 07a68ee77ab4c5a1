//! Survivors grouped by what holds them.

use super::reach::Parent;
use super::tracer::Tracer;
use super::words;
use crate::names::{CodeLocation, Names};
use crate::{Heap, ObjectId, ObjectType, Origin, SiteId, origin};
use rbleak_units::{Address, Bytes, Objects};
use rustc_hash::FxHashMap;
use std::fmt;

/// What is traced.
pub struct TraceInput<'a> {
    /// The series of dumps, oldest first; paths are those of the last.
    pub heaps: &'a [Heap],
    /// For each object of the last heap the dump in which it was seen first;
    /// 0 for what was there from the start.
    pub first_seen: &'a [u8],
    /// The sidecar of the last heap.
    pub names: &'a Names,
    /// Objects to leave out: those born in files for which this is true.
    pub is_tool_file: &'a dyn Fn(&str) -> bool,
}

/// What holds, in the reader's own words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HolderName {
    /// A constant, class variable, class-level instance variable, global or
    /// thread-local: `Leaky::STORE`.
    Named(String),
    /// The captured variables of a block.
    Closure(CodeLocation),
    /// An instance: its class, and the variable where it is known.
    Instance(String),
    /// A class or module itself.
    Module(String),
    /// A thread's stack or locals.
    Thread(String),
    /// Only a root is known, in words.
    Root(String),
}

impl fmt::Display for HolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HolderName::Named(name) | HolderName::Instance(name) => f.write_str(name),
            HolderName::Closure(code) => write!(f, "Proc at {}:{}", code.file, code.line),
            HolderName::Module(name) => write!(f, "{name} (the class itself)"),
            HolderName::Thread(name) => f.write_str(name),
            HolderName::Root(words) => f.write_str(words),
        }
    }
}

/// One step of a path: the name of the reference, where it has one, and what
/// it leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// `@token`, `.title`, `captures`.
    pub edge: Option<String>,
    /// `Array (1 500)`, `Leaky::Session`.
    pub object: String,
}

/// Where some of a holder's objects were born.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderSite {
    /// The site in the last heap; `None` for untraced objects.
    pub site: Option<SiteId>,
    /// The class of the objects.
    pub class: String,
    /// How many.
    pub objects: Objects,
    /// Their shallow size.
    pub bytes: Bytes,
    /// How many by the dump in which they were seen first; index 0 is unused.
    pub born: Vec<u64>,
    /// The smallest address, for a stable order.
    first: Address,
}

/// One holder and what it keeps.
#[derive(Clone, Debug)]
pub struct Holder {
    /// What to call it.
    pub name: HolderName,
    /// From the name to one of the survivors; `path[split..]` are new objects.
    pub path: Vec<Step>,
    /// The old object on which the new ones hang (one of several where the
    /// holder has many, such as a Hash of Arrays).
    pub accumulator: Option<ObjectId>,
    /// Entries of the accumulator (a Hash or an Array) in each dump.
    pub lengths: Vec<Option<u64>>,
    /// Objects new since the first dump.
    pub objects: Objects,
    /// Their shallow size.
    pub bytes: Bytes,
    /// Objects and bytes by the dump in which they were seen first.
    pub born: Vec<(u64, u64)>,
    /// Where they were born: the app's own sites before those of gems, then by
    /// bytes.
    pub sites: Vec<HolderSite>,
}

/// Objects of an accumulation point while they are counted.
#[derive(Default)]
struct Pile {
    ids: Vec<ObjectId>,
    bytes: u64,
}

/// Piles of one name and path.
#[derive(Default)]
struct Merged {
    pile: Pile,
    /// The point with the largest pile, and how large that is.
    accumulator: Option<ObjectId>,
    largest: u64,
}

/// Steps shown at most from the accumulation point to a survivor.
const MAX_STEPS: usize = 8;

/// Groups all new objects of the last heap that are reached from a root by
/// what holds them, the largest first.
pub fn holders(input: &TraceInput<'_>) -> Vec<Holder> {
    let Some(tracer) = Tracer::new(input) else {
        return Vec::new();
    };
    let mut points: Vec<(Point, Pile)> = piles(&tracer).into_iter().collect();
    points.sort_unstable_by_key(|(point, _)| *point);
    // An accumulation point each, then those of one name and path together.
    let mut merged: FxHashMap<(HolderName, Vec<Step>), Merged> = FxHashMap::default();
    for (point, pile) in points {
        let entry = merged
            .entry(tracer.name(point.object(), &pile.ids))
            .or_default();
        if pile.bytes > entry.largest || entry.accumulator.is_none() {
            entry.accumulator = Some(point.object());
            entry.largest = pile.bytes;
        }
        entry.pile.bytes += pile.bytes;
        entry.pile.ids.extend(pile.ids);
    }
    let mut found: Vec<Holder> = merged
        .into_iter()
        .map(|((name, upper), merged)| tracer.holder(name, upper, merged))
        .collect();
    found.sort_by(|a, b| {
        (b.bytes, b.objects)
            .cmp(&(a.bytes, a.objects))
            .then_with(|| (&a.name, &a.path).cmp(&(&b.name, &b.path)))
    });
    found
}

/// What new objects hang on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Point {
    /// An old object.
    Old(ObjectId),
    /// A root: the topmost new object itself was put there.
    Top(ObjectId),
}

impl Point {
    fn object(self) -> ObjectId {
        match self {
            Point::Old(id) | Point::Top(id) => id,
        }
    }
}

/// Each new object under the nearest old object above it. One pass in
/// breadth-first order: a parent is settled before its children, so that a
/// linked list of a million nodes costs no more than an array.
fn piles(tracer: &Tracer<'_>) -> FxHashMap<Point, Pile> {
    let (heap, reach, input) = (tracer.heap, &tracer.reach, tracer.input);
    let mut point_of: FxHashMap<ObjectId, Point> = FxHashMap::default();
    let mut piles: FxHashMap<Point, Pile> = FxHashMap::default();
    let is_new = |id: ObjectId| input.first_seen[id.index()] > 0;
    for &id in reach.order() {
        if !is_new(id) {
            continue;
        }
        let point = match reach.parent(id) {
            Parent::Object(parent) if is_new(parent) => point_of[&parent],
            Parent::Object(parent) => Point::Old(parent),
            Parent::Root(_) | Parent::Unreached => Point::Top(id),
        };
        point_of.insert(id, point);
        if tracer.is_tool(id) {
            continue;
        }
        let pile = piles.entry(point).or_default();
        pile.ids.push(id);
        pile.bytes += heap.shallow_size(id).0;
    }
    piles
}

impl Tracer<'_> {
    fn holder(&self, name: HolderName, mut path: Vec<Step>, merged: Merged) -> Holder {
        let Merged {
            pile, accumulator, ..
        } = merged;
        let mut born = vec![(0, 0); self.input.heaps.len()];
        for &id in &pile.ids {
            let (objects, bytes) = &mut born[usize::from(self.input.first_seen[id.index()])];
            *objects += 1;
            *bytes += self.heap.shallow_size(id).0;
        }
        path.extend(self.common_descent(&pile));
        path = words::shortened(path);
        Holder {
            name,
            path,
            lengths: self.lengths(accumulator),
            accumulator,
            objects: Objects(pile.ids.len() as u64),
            bytes: Bytes(pile.bytes),
            born,
            sites: self.sites(&pile),
        }
    }

    /// The way from the accumulation point to the survivors that most of them
    /// share, as far down as it goes: of all ways at least half as frequent as
    /// the most frequent, the longest.
    fn common_descent(&self, pile: &Pile) -> Vec<Step> {
        let mut ways: FxHashMap<Vec<Step>, u64> = FxHashMap::default();
        for &id in &pile.ids {
            // Neither inline caches nor a class's singleton class are what
            // leaks: they come with it.
            if self.heap.object_type(id) == ObjectType::Imemo || self.heap.is_singleton(id) {
                continue;
            }
            let mut chain = vec![id];
            // The topmost of the chain is what the pile hangs on, which the
            // path has already.
            let mut is_whole = false;
            loop {
                match self.reach.parent(chain[chain.len() - 1]) {
                    Parent::Object(parent) if self.input.first_seen[parent.index()] == 0 => {
                        chain.push(parent);
                        is_whole = true;
                    }
                    Parent::Object(parent) if chain.len() < MAX_STEPS => {
                        chain.push(parent);
                        continue;
                    }
                    Parent::Object(_) => {}
                    Parent::Root(_) | Parent::Unreached => is_whole = true,
                }
                break;
            }
            let mut steps = self.steps_down(&chain);
            if is_whole {
                steps.remove(0);
            }
            *ways.entry(steps).or_default() += 1;
        }
        let most = ways.values().copied().max().unwrap_or(0);
        ways.into_iter()
            .filter(|(_, count)| *count * 2 >= most)
            .map(|(steps, count)| (steps.len(), count, std::cmp::Reverse(steps)))
            .max()
            .map(|(_, _, steps)| steps.0)
            .unwrap_or_default()
    }

    fn lengths(&self, accumulator: Option<ObjectId>) -> Vec<Option<u64>> {
        let Some(id) = accumulator else {
            return Vec::new();
        };
        if !matches!(
            self.heap.object_type(id),
            ObjectType::Array | ObjectType::Hash
        ) {
            return vec![None; self.input.heaps.len()];
        }
        lengths_of(self.input.heaps, self.heap, id)
    }

    fn sites(&self, pile: &Pile) -> Vec<HolderSite> {
        let heap = self.heap;
        let dumps = self.input.heaps.len();
        let mut sites: FxHashMap<(Option<SiteId>, String), HolderSite> = FxHashMap::default();
        for &id in &pile.ids {
            let key = (heap.site(id), heap.class_name(id).to_string());
            let entry = sites.entry(key).or_insert_with_key(|key| HolderSite {
                site: key.0,
                class: key.1.clone(),
                objects: Objects(0),
                bytes: Bytes(0),
                born: vec![0; dumps],
                first: heap.address(id),
            });
            entry.objects.0 += 1;
            entry.bytes += heap.shallow_size(id);
            entry.born[usize::from(self.input.first_seen[id.index()])] += 1;
            entry.first = entry.first.min(heap.address(id));
        }
        let mut sites: Vec<HolderSite> = sites.into_values().collect();
        let foreign = |site: &HolderSite| {
            !site
                .site
                .is_some_and(|site| matches!(origin(heap.site_info(site).file), Origin::App))
        };
        sites.sort_by(|a, b| (foreign(a), b.bytes, a.first).cmp(&(foreign(b), a.bytes, b.first)));
        sites
    }
}

/// The length of the same container in each dump of a series; `None` where it
/// was not there, or was another object.
pub(super) fn lengths_of(heaps: &[Heap], last: &Heap, id: ObjectId) -> Vec<Option<u64>> {
    heaps
        .iter()
        .map(|heap| {
            let same = heap.find(last.address(id))?;
            let is_same = heap.object_type(same) == last.object_type(id)
                && heap.class(same) == last.class(id);
            is_same.then(|| heap.length(same)).flatten()
        })
        .collect()
}
