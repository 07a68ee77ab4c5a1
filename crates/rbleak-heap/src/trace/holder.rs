//! Survivors by what holds them: one holder for each cluster of paths.
//!
//! A new object belongs to the nearest old object above it on the shortest way
//! from a root, and with that to one cluster: what clusters hold adds up, and
//! what two owners share counts with the nearer.

use super::benign::{Benign, Known};
use super::cluster::{Cluster, Signature, merge_similar};
use super::reach::Parent;
use super::tracer::Tracer;
use super::words;
use crate::names::{CodeLocation, Names};
use crate::{Generation, Heap, ObjectId, ObjectType, Origin, SiteId, origin};
use rbleak_units::{Address, Bytes, Objects, grouped};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::BuildHasher;

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
    /// All old objects on which they hang.
    pub accumulators: Vec<ObjectId>,
    /// How many different paths the cluster has, similar ones merged.
    pub paths: u64,
    /// Entries of the accumulators (Hashes and Arrays) in each dump, together.
    pub lengths: Vec<Option<u64>>,
    /// What it is of the growth that is known to stop, if it is any.
    pub benign: Option<&'static Benign>,
    /// Whether that may go on for now: see [`Benign`].
    pub is_within: bool,
    /// Objects new since the first dump.
    pub objects: Objects,
    /// Their shallow size.
    pub bytes: Bytes,
    /// Objects and bytes by the dump in which they were seen first.
    pub born: Vec<(u64, u64)>,
    /// Objects and bytes by the generation in which they were allocated, where
    /// that was traced; oldest first.
    pub generations: Vec<(Generation, (u64, u64))>,
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

/// Steps shown at most from the accumulation point to a survivor.
const MAX_STEPS: usize = 8;
/// Survivors looked at for the way that most of them share: a few of each
/// thousand tell it as well as all.
const MAX_DESCENTS: usize = 4096;

/// Clusters all new objects of the last heap that are reached from a root by
/// what holds them, the largest first. How paths become clusters, and which are
/// similar, the module `cluster` says; each new object is in one of them.
pub fn holders(input: &TraceInput<'_>) -> Vec<Holder> {
    let Some(tracer) = Tracer::new(input) else {
        return Vec::new();
    };
    let mut points: Vec<(Point, Pile)> = piles(&tracer).into_iter().collect();
    points.sort_unstable_by_key(|(point, _)| *point);
    let mut clusters: FxHashMap<Signature, Cluster> = FxHashMap::default();
    for cluster in siblings(&tracer, points) {
        let (name, way) = tracer.name(cluster.way[0], &cluster.ids);
        let signature = Signature {
            steps: tracer.kinds_down(&way),
            below: tracer.right_below(&name, &way),
            name,
        };
        let cluster = Cluster { way, ..cluster };
        clusters.entry(signature).or_default().add(cluster);
    }
    let known = Known::default();
    let mut found: Vec<Holder> = merge_similar(clusters)
        .into_iter()
        .map(|(signature, cluster)| tracer.holder(&known, signature.name, cluster))
        .collect();
    found.sort_by(largest_first);
    found
}

/// The larger of two holders first.
fn largest_first(a: &Holder, b: &Holder) -> Ordering {
    (b.bytes, b.objects)
        .cmp(&(a.bytes, a.objects))
        .then_with(|| (&a.name, &a.path).cmp(&(&b.name, &b.path)))
}

impl Holder {
    /// Several holders as one, which is called after the first.
    pub fn joined(holders: impl IntoIterator<Item = Holder>) -> Option<Holder> {
        let mut holders = holders.into_iter();
        let mut all = holders.next()?;
        for other in holders {
            all.accumulators.extend(other.accumulators);
            all.paths += other.paths;
            all.objects.0 += other.objects.0;
            all.bytes += other.bytes;
            all.is_within &= other.is_within;
            for (sum, born) in all.born.iter_mut().zip(other.born) {
                sum.0 += born.0;
                sum.1 += born.1;
            }
            // Of different containers: their sum says nothing.
            all.lengths.fill(None);
            all.generations.extend(other.generations);
            all.generations.sort_unstable();
            all.sites.extend(other.sites);
        }
        Some(all)
    }
}

/// Points that must have the same path, as one before any is named: of a Hash
/// of a hundred thousand Arrays one.
fn siblings(tracer: &Tracer<'_>, points: Vec<(Point, Pile)>) -> Vec<Cluster> {
    let heap = tracer.heap;
    let mut at: FxHashMap<(ObjectId, &str), usize> = FxHashMap::default();
    let mut found: Vec<Cluster> = Vec::new();
    for (point, pile) in points {
        let id = point.object();
        let accumulators = match point {
            Point::Old(id) => vec![id],
            Point::Top(_) => Vec::new(),
        };
        let cluster = Cluster {
            ids: pile.ids,
            bytes: pile.bytes,
            accumulators,
            way: vec![id],
            largest: pile.bytes,
            paths: 0,
        };
        let above = match (point, tracer.reach.parent(id)) {
            (Point::Old(_), Parent::Object(above)) => tracer.is_one_of_many(above, id),
            _ => None,
        };
        match above {
            None => found.push(cluster),
            Some(above) => match at.entry((above, heap.class_name(id))) {
                Entry::Occupied(known) => found[*known.get()].add(cluster),
                Entry::Vacant(new) => {
                    new.insert(found.len());
                    found.push(cluster);
                }
            },
        }
    }
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
            Parent::Root(_) | Parent::Finalizers | Parent::Unreached => Point::Top(id),
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
    /// The container above `id`, if in it `id` is one of many without a name of
    /// its own: whatever holds that container holds all of them.
    fn is_one_of_many(&self, above: ObjectId, id: ObjectId) -> Option<ObjectId> {
        let (heap, names) = (self.heap, self.input.names);
        let plain = |id| {
            matches!(
                heap.object_type(id),
                ObjectType::Array | ObjectType::Hash | ObjectType::Struct
            )
        };
        let in_container = matches!(
            heap.object_type(above),
            ObjectType::Array | ObjectType::Hash
        );
        (in_container && plain(id) && names.of_value(heap.address(id)).is_none()).then_some(above)
    }

    /// See [`Signature::below`].
    fn right_below(&self, name: &HolderName, way: &[ObjectId]) -> Option<ObjectId> {
        let below = match name {
            HolderName::Module(_) => way.len().checked_sub(2).map(|at| way[at]),
            HolderName::Root(_) | HolderName::Thread(_) => way.last().copied(),
            HolderName::Named(_) | HolderName::Closure(_) | HolderName::Instance(_) => None,
        };
        below.filter(|id| self.input.first_seen[id.index()] == 0)
    }

    fn holder(&self, known: &Known, name: HolderName, cluster: Cluster) -> Holder {
        let benign = Benign::of(self, known, &name, &cluster.way, &cluster.ids);
        let is_within = benign.is_some_and(|row| row.is_within(self, known, &cluster.accumulators));
        let mut born = vec![(0, 0); self.input.heaps.len()];
        let mut generations: BTreeMap<Generation, (u64, u64)> = BTreeMap::new();
        for &id in &cluster.ids {
            if let Some(generation) = self.heap.generation(id) {
                let (objects, bytes) = generations.entry(generation).or_default();
                *objects += 1;
                *bytes += self.heap.shallow_size(id).0;
            }
            let (objects, bytes) = &mut born[usize::from(self.input.first_seen[id.index()])];
            *objects += 1;
            *bytes += self.heap.shallow_size(id).0;
        }
        let many = cluster.accumulators.len();
        // The key of one of many would mislead.
        let mut path = match many {
            0 | 1 => self.steps_down(&cluster.way),
            _ => self.steps_of_many(&cluster.way),
        };
        if let (Some(last), Some(&id)) = (path.last_mut(), cluster.way.first())
            && many > 1
            && last.object != words::MORE
        {
            let kind = words::kind(self.heap, self.input.names, id);
            last.object = format!("{kind} × {}", grouped(many as u64));
        }
        path.extend(self.common_descent(&cluster.ids));
        Holder {
            name,
            path: words::shortened(path),
            lengths: self.lengths(&cluster.accumulators),
            accumulator: cluster.way.first().copied(),
            accumulators: cluster.accumulators,
            paths: cluster.paths,
            objects: Objects(cluster.ids.len() as u64),
            bytes: Bytes(cluster.bytes),
            born,
            generations: generations.into_iter().collect(),
            benign,
            is_within,
            sites: self.sites(&cluster.ids),
        }
    }

    /// The way from the accumulation point to the survivors that most of them
    /// share, as far down as it goes: of all ways at least half as frequent as
    /// the most frequent, the longest. It is told by one that goes it, without
    /// lengths where others have another.
    fn common_descent(&self, ids: &[ObjectId]) -> Vec<Step> {
        let mut ways: FxHashMap<Vec<Step>, (u64, Vec<ObjectId>)> = FxHashMap::default();
        let one_of = ids.len().div_ceil(MAX_DESCENTS) as u64;
        for &id in ids {
            // Every so many would take the same part of each group of objects.
            if one_of > 1 && !FxBuildHasher.hash_one(id).is_multiple_of(one_of) {
                continue;
            }
            // Neither inline caches nor a class's singleton class are what
            // leaks: they come with it.
            if self.heap.object_type(id) == ObjectType::Imemo || self.heap.is_singleton(id) {
                continue;
            }
            let (chain, is_whole) = self.descent(id);
            let mut steps = self.kinds_down(&chain);
            // The topmost is what the pile hangs on, which the path has
            // already.
            if is_whole {
                steps.remove(0);
            }
            let way = ways.entry(steps).or_default();
            way.0 += 1;
            if way.1.is_empty() {
                way.1 = chain;
            }
        }
        let most = ways.values().map(|(count, _)| *count).max().unwrap_or(0);
        let longest = ways
            .into_iter()
            .filter(|(_, (count, _))| *count * 2 >= most)
            .max_by_key(|(steps, (count, _))| (steps.len(), *count, Reverse(steps.clone())));
        let Some((kinds, (count, chain))) = longest else {
            return Vec::new();
        };
        if count > 1 {
            return kinds;
        }
        let mut steps = self.steps_down(&chain);
        let above = steps.len() - kinds.len();
        steps.split_off(above)
    }

    /// From a new object up to what its pile hangs on, and whether that was
    /// reached.
    fn descent(&self, id: ObjectId) -> (Vec<ObjectId>, bool) {
        let mut chain = vec![id];
        loop {
            match self.reach.parent(chain[chain.len() - 1]) {
                Parent::Object(parent) if self.input.first_seen[parent.index()] == 0 => {
                    chain.push(parent);
                    return (chain, true);
                }
                Parent::Object(parent) if chain.len() < MAX_STEPS => chain.push(parent),
                Parent::Object(_) => return (chain, false),
                Parent::Root(_) | Parent::Finalizers | Parent::Unreached => {
                    return (chain, true);
                }
            }
        }
    }

    /// Entries of all containers among the accumulation points in each dump.
    fn lengths(&self, accumulators: &[ObjectId]) -> Vec<Option<u64>> {
        let mut sums = vec![None; self.input.heaps.len()];
        let containers = accumulators.iter().filter(|&&id| {
            matches!(
                self.heap.object_type(id),
                ObjectType::Array | ObjectType::Hash
            )
        });
        for &id in containers {
            let lengths = lengths_of(self.input.heaps, self.heap, id);
            for (sum, length) in sums.iter_mut().zip(lengths) {
                if let Some(length) = length {
                    *sum = Some(sum.unwrap_or(0) + length);
                }
            }
        }
        sums
    }

    fn sites(&self, ids: &[ObjectId]) -> Vec<HolderSite> {
        let heap = self.heap;
        let dumps = self.input.heaps.len();
        let mut sites: FxHashMap<(Option<SiteId>, String), HolderSite> = FxHashMap::default();
        for &id in ids {
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
