//! From an object up to something with a name.

use super::reach::{Parent, Reach};
use super::words;
use super::{HolderName, Step, TraceInput};
use crate::names::{CodeLocation, Names};
use crate::{Heap, ObjectId, ObjectType};
use rbleak_units::Objects;
use rustc_hash::FxHashMap;
use std::cell::Cell;

/// The steps of a chain.
type Down = fn(&Heap, &Names, &[ObjectId]) -> Vec<(ObjectId, Step)>;

/// Steps searched at most from objects up to names, over all objects: enough
/// for a list of a million nodes, and for a million objects near their names.
const MAX_CLIMB: usize = 20_000_000;
/// Objects told at either end of a long chain.
const TOLD: usize = 64;
/// Survivors looked at to tell which block fills captured variables.
const MAX_BORN: usize = 64;

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

/// Names objects of the last heap.
pub(super) struct Tracer<'a> {
    pub(super) input: &'a TraceInput<'a>,
    pub(super) heap: &'a Heap,
    pub(super) reach: Reach,
    closures: FxHashMap<ObjectId, Vec<ObjectId>>,
    main: Option<ObjectId>,
    climbed: Cell<usize>,
}

impl<'a> Tracer<'a> {
    /// Walks the last heap; `None` where there is none.
    pub(super) fn new(input: &'a TraceInput<'a>) -> Option<Tracer<'a>> {
        let heap = input.heaps.last()?;
        Some(Tracer {
            input,
            heap,
            reach: Reach::new(heap, input.names),
            closures: closures_by_env(heap),
            main: words::main_object(heap),
            climbed: Cell::new(0),
        })
    }

    /// Whether an object is the tool's own.
    pub(super) fn is_tool(&self, id: ObjectId) -> bool {
        is_tool(self.input, self.heap, id)
    }

    /// What to call what holds `start`, and the way from there up to that name
    /// as far as it is told. `born` are some of the objects below it.
    pub(super) fn name(&self, start: ObjectId, born: &[ObjectId]) -> (HolderName, Vec<ObjectId>) {
        let (heap, names) = (self.heap, self.input.names);
        // From the object up.
        let mut chain = vec![start];
        let mut fallback: Option<(usize, HolderName)> = None;
        let mut root = None;
        let mut only_env = true;
        loop {
            let depth = chain.len() - 1;
            let id = chain[depth];
            only_env &= depth == 0 || words::is_between(heap, id);
            if self.is_new_thread(id) || (depth == 0 && words::is_ractor(heap, id)) {
                let name = HolderName::Thread("the running threads".to_owned());
                let top = depth + usize::from(!words::is_ractor(heap, id));
                chain.truncate(top);
                return (name, chain);
            }
            if let (Some(main), Some(held)) = (self.main, words::held_above(heap, &chain[..depth]))
                && id == main
            {
                let name = words::of_main(heap, names, main, held);
                chain.truncate(words::without_top(heap, &chain).len());
                return (name, chain);
            }
            if let Some(name) = self.direct_name(id) {
                return (name, chain);
            }
            if words::is_env(heap, id)
                && only_env
                && let Some((closure, code)) = self.closure(id, born)
            {
                chain.push(closure);
                return (HolderName::Closure(code), chain);
            }
            match heap.object_type(id) {
                ObjectType::Class | ObjectType::Module => {
                    let held = words::held_above(heap, &chain[..depth]);
                    match words::of_module(heap, names, id, held) {
                        Some(name @ HolderName::Named(_)) => {
                            chain.truncate(words::without_top(heap, &chain).len());
                            return (name, chain);
                        }
                        Some(name) => {
                            fallback.get_or_insert((depth, name));
                            break;
                        }
                        // A singleton class is known by what has it, a class
                        // without a name by who keeps it.
                        None => {}
                    }
                }
                ObjectType::Data if words::is_thread(heap, id) => {
                    let name = words::local_of_thread(heap, names, id);
                    // The name says the thread: it is no step of its own.
                    let below = depth.saturating_sub(1);
                    fallback.get_or_insert((below, HolderName::Thread(name)));
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
                Parent::Object(parent) if self.climbed.get() < MAX_CLIMB => {
                    self.climbed.set(self.climbed.get() + 1);
                    chain.push(parent);
                }
                Parent::Root(index) => {
                    root = Some(words::root_in_words(&heap.roots()[index].name));
                    break;
                }
                Parent::Finalizers => {
                    root = Some(words::FINALIZERS);
                    break;
                }
                _ => break,
            }
        }
        match fallback {
            Some((depth, name)) => {
                chain.truncate(depth + 1);
                (name, chain)
            }
            None => {
                let words = root.unwrap_or("no root in this dump");
                (HolderName::Root(words.to_owned()), chain)
            }
        }
    }

    /// Whether `id` is a thread that was started since the first dump: what
    /// keeps it is that it runs.
    fn is_new_thread(&self, id: ObjectId) -> bool {
        words::is_thread(self.heap, id) && self.input.first_seen[id.index()] > 0
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
    fn closure(&self, env: ObjectId, born: &[ObjectId]) -> Option<(ObjectId, CodeLocation)> {
        let (heap, names) = (self.heap, self.input.names);
        let born: Vec<_> = born
            .iter()
            .take(MAX_BORN)
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

    /// The steps of a chain that is ordered upward.
    pub(super) fn steps_down(&self, chain: &[ObjectId]) -> Vec<Step> {
        self.told(chain, words::steps_down)
    }

    /// The same of one chain that stands for many: without keys.
    pub(super) fn steps_of_many(&self, chain: &[ObjectId]) -> Vec<Step> {
        self.told(chain, words::steps_of_many)
    }

    /// The same without lengths of containers and keys: what it has in common with
    /// other chains.
    pub(super) fn kinds_down(&self, chain: &[ObjectId]) -> Vec<Step> {
        self.told(chain, words::kinds_down)
    }

    fn told(&self, chain: &[ObjectId], down: Down) -> Vec<Step> {
        let steps = |chain| down(self.heap, self.input.names, chain);
        let down: Vec<Step> = match chain.len() {
            // The middle of a long list says nothing, and is left out before
            // it costs time.
            length if length > 2 * TOLD => {
                let more = Step {
                    edge: None,
                    object: words::MORE.to_owned(),
                };
                let top = steps(&chain[length - TOLD..]);
                let bottom = steps(&chain[..=TOLD]).into_iter().skip(1);
                let all = top.into_iter().map(|(_, step)| step).chain([more]);
                all.chain(bottom.map(|(_, step)| step)).collect()
            }
            _ => steps(chain).into_iter().map(|(_, step)| step).collect(),
        };
        words::shortened(down)
    }
}

/// Whether an object is the tool's own: the agent's, or born in its files.
fn is_tool(input: &TraceInput<'_>, heap: &Heap, id: ObjectId) -> bool {
    input.names.is_own(heap.address(id))
        || heap
            .site(id)
            .is_some_and(|site| (input.is_tool_file)(heap.site_info(site).file))
}

/// How many new objects are the tool's own, which [`super::holders`] leaves out.
pub fn tool_objects(input: &TraceInput<'_>) -> Objects {
    let Some(heap) = input.heaps.last() else {
        return Objects(0);
    };
    let own = |id: &ObjectId| input.first_seen[id.index()] > 0 && is_tool(input, heap, *id);
    Objects(heap.ids().filter(own).count() as u64)
}
