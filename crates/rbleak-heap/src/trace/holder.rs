//! Survivors grouped by what holds them.

use super::reach::{Parent, Reach};
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

/// Steps shown at most from the accumulation point to a survivor.
const MAX_STEPS: usize = 8;
/// Steps searched at most from the accumulation point up to a name.
const MAX_CLIMB: usize = 64;

/// Groups all new objects of the last heap that are reached from a root by
/// what holds them, the largest first.
pub fn holders(input: &TraceInput<'_>) -> Vec<Holder> {
    let Some(heap) = input.heaps.last() else {
        return Vec::new();
    };
    let reach = Reach::new(heap, input.names);
    let piles = piles(heap, &reach, input);
    let closures = closures_by_env(heap);
    let tracer = Tracer {
        input,
        heap,
        reach: &reach,
        closures: &closures,
    };
    // An accumulation point each, then those of one name and path together.
    let mut merged: FxHashMap<(HolderName, Vec<Step>), (Pile, Option<ObjectId>, u64)> =
        FxHashMap::default();
    let mut points: Vec<_> = piles.into_iter().collect();
    points.sort_unstable_by_key(|(point, _)| *point);
    for (point, pile) in points {
        let (name, upper) = tracer.name(point, &pile);
        let entry = merged.entry((name, upper)).or_default();
        if pile.bytes > entry.2 || entry.1.is_none() {
            entry.1 = point.object();
            entry.2 = pile.bytes;
        }
        entry.0.bytes += pile.bytes;
        entry.0.ids.extend(pile.ids);
    }
    let mut found: Vec<Holder> = merged
        .into_iter()
        .map(|((name, upper), (pile, accumulator, _))| {
            tracer.holder(name, upper, pile, accumulator)
        })
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
    fn object(self) -> Option<ObjectId> {
        match self {
            Point::Old(id) | Point::Top(id) => Some(id),
        }
    }
}

/// Each new object under the nearest old object above it. One pass in
/// breadth-first order: a parent is settled before its children, so that a
/// linked list of a million nodes costs no more than an array.
fn piles(heap: &Heap, reach: &Reach, input: &TraceInput<'_>) -> FxHashMap<Point, Pile> {
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
        if is_tool(heap, input, id) {
            continue;
        }
        let pile = piles.entry(point).or_default();
        pile.ids.push(id);
        pile.bytes += heap.shallow_size(id).0;
    }
    piles
}

fn is_tool(heap: &Heap, input: &TraceInput<'_>, id: ObjectId) -> bool {
    input.names.is_own(heap.address(id))
        || heap
            .site(id)
            .is_some_and(|site| (input.is_tool_file)(heap.site_info(site).file))
}

/// The Procs that capture each env. An env's parent scope is an env that it
/// references, so that an inner block also captures the outer one's variables.
fn closures_by_env(heap: &Heap) -> FxHashMap<ObjectId, Vec<ObjectId>> {
    let mut found: FxHashMap<ObjectId, Vec<ObjectId>> = FxHashMap::default();
    for id in heap.ids().filter(|&id| words::is_proc(heap, id)) {
        for &env in heap.references(id) {
            if words::is_env(heap, env) {
                found.entry(env).or_default().push(id);
            }
        }
    }
    found
}

struct Tracer<'a> {
    input: &'a TraceInput<'a>,
    heap: &'a Heap,
    reach: &'a Reach,
    closures: &'a FxHashMap<ObjectId, Vec<ObjectId>>,
}

impl Tracer<'_> {
    /// What to call the accumulation point, and the steps from that name down
    /// to it.
    fn name(&self, point: Point, pile: &Pile) -> (HolderName, Vec<Step>) {
        let (heap, names) = (self.heap, self.input.names);
        let start = match point {
            Point::Old(id) | Point::Top(id) => id,
        };
        // The chain from the accumulation point up.
        let mut chain = vec![start];
        let mut fallback: Option<(usize, HolderName)> = None;
        let mut root = None;
        loop {
            let depth = chain.len() - 1;
            let id = chain[depth];
            let only_env = chain[1..].iter().all(|&id| words::is_between(heap, id));
            if let Some(name) = self.direct_name(id) {
                return (name, self.steps_down(&chain));
            }
            if words::is_env(heap, id) && only_env {
                if let Some((closure, code)) = self.closure(id, pile) {
                    chain.push(closure);
                    let steps = self.steps_down(&chain);
                    return (HolderName::Closure(code), steps);
                }
            }
            match heap.object_type(id) {
                ObjectType::Class | ObjectType::Module => {
                    let name = heap
                        .name(id)
                        .map_or_else(|| heap.class_name(id).to_string(), str::to_owned);
                    fallback.get_or_insert((depth, HolderName::Module(name)));
                    break;
                }
                ObjectType::Data if heap.struct_name(id) == Some("VM/thread") => {
                    let name = match names.thread(heap.address(id)) {
                        Some("main") => "a local of the main thread".to_owned(),
                        Some("") | None => "a local of a running thread".to_owned(),
                        Some(name) => format!("a local of the thread {name}"),
                    };
                    fallback.get_or_insert((depth, HolderName::Thread(name)));
                    break;
                }
                ObjectType::Object if depth > 0 && fallback.is_none() => {
                    let ivar = words::edge(heap, names, id, chain[depth - 1]).unwrap_or_default();
                    let name = format!("{}{ivar} (an instance)", heap.class_name(id));
                    fallback = Some((depth, HolderName::Instance(name)));
                }
                _ => {}
            }
            match self.reach.parent(id) {
                Parent::Object(parent) if chain.len() < MAX_CLIMB => chain.push(parent),
                Parent::Root(index) => {
                    root = Some(&heap.roots()[index].name);
                    break;
                }
                _ => break,
            }
        }
        match fallback {
            Some((depth, name)) => (name, self.steps_down(&chain[..=depth])),
            None => {
                let words = match root {
                    Some(name) => words::root_in_words(name).to_owned(),
                    None => "no root in this dump".to_owned(),
                };
                (HolderName::Root(words), self.steps_down(&chain))
            }
        }
    }

    fn direct_name(&self, id: ObjectId) -> Option<HolderName> {
        if matches!(
            self.heap.object_type(id),
            ObjectType::Class | ObjectType::Module
        ) {
            return None;
        }
        let name = self.input.names.of_value(self.heap.address(id))?;
        Some(HolderName::Named(name.to_owned()))
    }

    /// The block whose captured variables `env` is. Blocks written in one
    /// scope share its variables: the one that most likely fills them is the
    /// last to begin before the line where the objects are born.
    fn closure(&self, env: ObjectId, pile: &Pile) -> Option<(ObjectId, CodeLocation)> {
        let (heap, names) = (self.heap, self.input.names);
        let born: Vec<_> = pile
            .ids
            .iter()
            .take(64)
            .filter_map(|&id| heap.site(id))
            .map(|site| heap.site_info(site))
            .collect();
        let mut candidates: Vec<(bool, u32, ObjectId, &CodeLocation)> = self
            .closures
            .get(&env)?
            .iter()
            .filter_map(|&id| Some((id, names.code(heap.address(id))?)))
            .map(|(id, code)| {
                let before = born
                    .iter()
                    .any(|site| *site.file == *code.file && site.line >= code.line);
                (before, code.line, id, code)
            })
            .collect();
        candidates.sort_by_key(|&(before, line, id, _)| (before, line, std::cmp::Reverse(id)));
        let (_, _, id, code) = candidates.pop()?;
        Some((id, code.clone()))
    }

    /// `chain` is ordered from the accumulation point up; steps go down and
    /// begin with the topmost object.
    fn steps_down(&self, chain: &[ObjectId]) -> Vec<Step> {
        let mut steps = Vec::with_capacity(chain.len());
        let mut above: Option<ObjectId> = None;
        for &id in chain.iter().rev() {
            if above.is_some() && words::is_between(self.heap, id) {
                continue;
            }
            steps.push(self.step(above, id));
            above = Some(id);
        }
        steps
    }

    fn step(&self, above: Option<ObjectId>, id: ObjectId) -> Step {
        let (heap, names) = (self.heap, self.input.names);
        let edge = above.and_then(|above| {
            if words::is_proc(heap, above) {
                return Some("captures".to_owned());
            }
            words::edge(heap, names, above, id)
        });
        Step {
            edge,
            object: words::object(heap, names, id),
        }
    }

    fn holder(
        &self,
        name: HolderName,
        mut path: Vec<Step>,
        pile: Pile,
        accumulator: Option<ObjectId>,
    ) -> Holder {
        let mut born = vec![(0, 0); self.input.heaps.len()];
        for &id in &pile.ids {
            let (objects, bytes) = &mut born[usize::from(self.input.first_seen[id.index()])];
            *objects += 1;
            *bytes += self.heap.shallow_size(id).0;
        }
        path.extend(self.common_descent(&pile));
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
            let mut chain = vec![id];
            let mut above = None;
            while let Parent::Object(parent) = self.reach.parent(chain[chain.len() - 1]) {
                if self.input.first_seen[parent.index()] == 0 {
                    above = Some(parent);
                    break;
                }
                if chain.len() >= MAX_STEPS {
                    break;
                }
                chain.push(parent);
            }
            if words::is_between(self.heap, id) {
                continue;
            }
            if let Some(above) = above {
                chain.push(above);
            }
            let mut steps = self.steps_down(&chain);
            if above.is_some() {
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
        let address = self.heap.address(id);
        let class = self.heap.class(id);
        self.input
            .heaps
            .iter()
            .map(|heap| {
                let same = heap.find(address)?;
                let is_container =
                    matches!(heap.object_type(same), ObjectType::Array | ObjectType::Hash);
                (is_container && heap.class(same) == class)
                    .then(|| heap.length(same))
                    .flatten()
            })
            .collect()
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
