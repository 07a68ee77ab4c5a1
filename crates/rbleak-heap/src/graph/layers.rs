//! What reaches an object at best: the layers of the graph.
//!
//! The machine stack is scanned conservatively, locals of threads come and go,
//! and inline caches hold what a constant holds anyway. As roots and edges like
//! any other they would hide the owner: what a constant and an inline cache
//! both hold would belong to neither. So each layer counts only for what the
//! ones before it leave over, as in [`crate::trace::Reach`].

use super::input::GraphInput;
use super::parts::Parts;
use crate::{Heap, ObjectId, ObjectType};

/// By what an object is reached at best, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Layer {
    /// By roots and objects.
    Program,
    /// By a stack or the locals of a thread only.
    Threads,
    /// By an inline cache only.
    Caches,
    /// By the machine stack only, which may be chance.
    MachineStack,
    /// By the allocation tracer or rbleak's agent only.
    Measuring,
    /// By nothing: garbage at the time of the dump, or held by what a dump
    /// does not tell.
    Unreached,
}

/// Whether a root is scanned conservatively.
pub(super) fn is_conservative(root: &str) -> bool {
    root == "machine_context"
}

/// The layer from which on what an object refers to counts.
pub(super) fn expands_at(input: &GraphInput<'_>, id: ObjectId) -> Layer {
    let heap = input.heap;
    match heap.object_type(id) {
        _ if input.is_measuring(id) => Layer::Measuring,
        ObjectType::Data => match heap.struct_name(id) {
            Some("VM/thread" | "fiber" | "VM/fiber") => Layer::Threads,
            _ => Layer::Program,
        },
        ObjectType::Imemo => match heap.imemo_type(id) {
            Some("callcache" | "callinfo" | "constcache") => Layer::Caches,
            _ => Layer::Program,
        },
        _ => Layer::Program,
    }
}

/// What an object keeps alive: what it refers to, and its class and superclass,
/// which a dump leaves out of `references`.
pub(super) fn edges(heap: &Heap, id: ObjectId) -> impl Iterator<Item = ObjectId> + '_ {
    let superclass = match heap.object_type(id) {
        ObjectType::Class | ObjectType::Module | ObjectType::Iclass => heap.superclass(id),
        _ => None,
    };
    [heap.class_id(id), superclass]
        .into_iter()
        .flatten()
        .chain(heap.references(id).iter().copied())
}

/// The layer of each object; parts are in that of the whole.
pub(super) fn layers(input: &GraphInput<'_>, parts: &Parts) -> Vec<Layer> {
    let mut walk = Walk {
        input,
        parts,
        layers: vec![Layer::Unreached; input.heap.len()],
        todo: Vec::new(),
        put_off: [const { Vec::new() }; Layer::Unreached as usize],
    };
    walk.enter_roots(|root| !is_conservative(root), Layer::Program);
    walk.run(Layer::Program);
    walk.run(Layer::Threads);
    walk.run(Layer::Caches);
    walk.enter_roots(is_conservative, Layer::MachineStack);
    walk.run(Layer::MachineStack);
    walk.run(Layer::Measuring);
    walk.layers
}

struct Walk<'a> {
    input: &'a GraphInput<'a>,
    parts: &'a Parts,
    layers: Vec<Layer>,
    todo: Vec<ObjectId>,
    put_off: [Vec<ObjectId>; Layer::Unreached as usize],
}

impl Walk<'_> {
    fn enter_roots(&mut self, wanted: impl Fn(&str) -> bool, layer: Layer) {
        let heap = self.input.heap;
        for root in heap.roots().iter().filter(|root| wanted(&root.name)) {
            for &id in &root.references {
                self.visit(id, layer);
            }
        }
    }

    /// Goes on from what the layers before put off, and from the roots.
    fn run(&mut self, layer: Layer) {
        for id in std::mem::take(&mut self.put_off[layer as usize]) {
            self.expand(id, layer);
        }
        while let Some(id) = self.todo.pop() {
            let at = expands_at(self.input, id);
            if at > layer {
                self.put_off[at as usize].push(id);
            } else {
                self.expand(id, layer);
            }
        }
    }

    fn expand(&mut self, id: ObjectId, layer: Layer) {
        for target in edges(self.input.heap, id) {
            self.visit(target, layer);
        }
    }

    #[inline]
    fn visit(&mut self, id: ObjectId, layer: Layer) {
        let whole = self.parts.whole(id);
        for id in [Some(whole), (whole != id).then_some(id)]
            .into_iter()
            .flatten()
        {
            let seen = &mut self.layers[id.index()];
            // A slot that holds no object is reached by nothing.
            if *seen == Layer::Unreached && self.input.heap.is_live(id) {
                *seen = layer;
                self.todo.push(id);
            }
        }
    }
}
