//! The dominators of a heap, and what each object keeps alive.

use super::csr::{Csr, CsrBuilder, CsrError};
use super::input::GraphInput;
use super::layers::{self, Layer};
use super::parts::Parts;
use super::tree::DominatorTree;
use crate::{Heap, ObjectId};
use rbleak_units::{Bytes, Objects};

/// What all ways to an object pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dominator {
    /// Nothing less than all roots together.
    Roots,
    /// The root of this index in [`Heap::roots`].
    Root(usize),
    /// An object.
    Object(ObjectId),
}

/// Objects and their shallow sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub objects: Objects,
    /// Their bytes.
    pub bytes: Bytes,
}

impl Count {
    pub(super) fn add(&mut self, bytes: Bytes) {
        self.objects.0 += 1;
        self.bytes += bytes;
    }
}

/// The dominator tree of a heap. See the module [`crate::graph`] for what
/// counts as an edge.
#[derive(Debug)]
pub struct Dominators<'a> {
    pub(super) input: GraphInput<'a>,
    layers: Vec<Layer>,
    parts: Parts,
    /// By site; empty where none is the tool's.
    tool_sites: Vec<bool>,
    pub(super) tree: DominatorTree,
    /// By rank.
    pub(super) retained: Vec<u64>,
    /// By rank: see [`DominatorTree::children`].
    child_starts: Vec<u32>,
    children: Vec<u32>,
}

impl<'a> Dominators<'a> {
    /// Walks a heap that was read with its references.
    ///
    /// # Errors
    ///
    /// If references and classes together are more edges than 32 bits count.
    pub fn new(input: GraphInput<'a>) -> Result<Dominators<'a>, CsrError> {
        let parts = Parts::new(input.heap);
        let layers = layers::layers(&input, &parts);
        let graph = graph(&input, &parts, &layers)?;
        let tree = DominatorTree::new(&graph, 0);
        drop(graph);
        let (child_starts, children) = tree.children();
        let mut dominators = Dominators {
            input,
            layers,
            parts,
            tool_sites: input.tool_sites(),
            tree,
            retained: Vec::new(),
            child_starts,
            children,
        };
        dominators.retained =
            dominators
                .tree
                .retained(|node| match dominators.dominator_of_node(node) {
                    Dominator::Object(id) => dominators.own_size(id).0,
                    _ => 0,
                });
        Ok(dominators)
    }

    /// The heap.
    pub fn heap(&self) -> &'a Heap {
        self.input.heap
    }

    /// By what an object is reached at best.
    pub fn layer(&self, id: ObjectId) -> Layer {
        self.layers[id.index()]
    }

    /// What an object takes by itself, its parts included. Those of the
    /// measuring take nothing: see [`Dominators::is_tool`].
    pub fn own_size(&self, id: ObjectId) -> Bytes {
        if self.is_tool(id) {
            return Bytes(0);
        }
        let parts = self.parts.of(id).map(|part| self.heap().shallow_size(part));
        self.heap().shallow_size(id) + parts.sum()
    }

    /// Whether an object belongs to the measuring: the allocation tracer's
    /// table, rbleak's agent, and what only these reach.
    pub fn is_tool(&self, id: ObjectId) -> bool {
        let is_born_there = || {
            let site = self.heap().site(id);
            site.is_some_and(|site| self.tool_sites[site.index()])
        };
        self.layer(id) == Layer::Measuring
            || self.input.is_measuring(id)
            || !self.tool_sites.is_empty() && is_born_there()
    }

    /// Whether an object is a part of another one (instance variables that do
    /// not fit into it, from 4.0 on) and counts with that.
    pub fn is_part(&self, id: ObjectId) -> bool {
        self.parts.whole(id) != id
    }

    /// What has to go for the object to go; `None` for what is unreached. For
    /// a part it is the whole.
    pub fn immediate_dominator(&self, id: ObjectId) -> Option<Dominator> {
        let whole = self.parts.whole(id);
        if whole != id {
            self.rank(whole)?;
            return Some(Dominator::Object(whole));
        }
        let above = self.tree.immediate_dominator(self.object_node(id))?;
        Some(self.dominator_of_node(above))
    }

    /// What would be freed if the object went: its own size and that of all it
    /// dominates; 0 for what is unreached. A part keeps nothing of its own.
    pub fn retained_size(&self, id: ObjectId) -> Bytes {
        Bytes(self.rank(id).map_or(0, |rank| self.retained[rank as usize]))
    }

    /// The same of any dominator; of [`Dominator::Roots`] it is all that is
    /// reached, the measuring excepted.
    pub fn retained_by(&self, dominator: Dominator) -> Bytes {
        let rank = self.tree.rank(self.node(dominator));
        Bytes(rank.map_or(0, |rank| self.retained[rank as usize]))
    }

    /// What is dominated directly, in no order that means anything.
    pub fn children(&self, dominator: Dominator) -> impl ExactSizeIterator<Item = Dominator> + '_ {
        let ranks = match self.tree.rank(self.node(dominator)) {
            Some(rank) => self.child_ranks(rank),
            None => &[],
        };
        ranks.iter().map(|&rank| self.dominator_of_rank(rank))
    }

    /// Objects in each layer that has any, and their shallow sizes, in order.
    pub fn counts(&self) -> Vec<(Layer, Count)> {
        let all = [
            Layer::Program,
            Layer::Threads,
            Layer::Caches,
            Layer::MachineStack,
            Layer::Measuring,
            Layer::Unreached,
        ];
        let mut counts = all.map(|layer| (layer, Count::default()));
        let heap = self.heap();
        for id in heap.ids().filter(|&id| heap.is_live(id)) {
            counts[self.layer(id) as usize].1.add(heap.shallow_size(id));
        }
        counts
            .into_iter()
            .filter(|(_, count)| count.objects.0 > 0)
            .collect()
    }

    /// What belongs to the measuring, of what is reached.
    pub fn tool_count(&self) -> Count {
        let heap = self.heap();
        let mut count = Count::default();
        for id in heap.ids() {
            if self.layer(id) != Layer::Unreached && self.is_tool(id) {
                count.add(heap.shallow_size(id));
            }
        }
        count
    }

    #[inline]
    pub(super) fn rank(&self, id: ObjectId) -> Option<u32> {
        self.tree.rank(self.object_node(id))
    }

    #[inline]
    pub(super) fn child_ranks(&self, rank: u32) -> &[u32] {
        let rank = rank as usize;
        &self.children[self.child_starts[rank] as usize..self.child_starts[rank + 1] as usize]
    }

    /// The child that keeps most.
    pub(super) fn largest_child(&self, rank: u32) -> Option<u32> {
        let children = self.child_ranks(rank).iter().copied();
        children.max_by_key(|&child| (self.retained[child as usize], std::cmp::Reverse(child)))
    }

    pub(super) fn dominator_of_rank(&self, rank: u32) -> Dominator {
        self.dominator_of_node(self.tree.node(rank))
    }

    #[inline]
    pub(super) fn object_of_rank(&self, rank: u32) -> Option<ObjectId> {
        match self.dominator_of_rank(rank) {
            Dominator::Object(id) => Some(id),
            _ => None,
        }
    }

    #[inline]
    fn dominator_of_node(&self, node: u32) -> Dominator {
        let first = first_object(self.input.heap);
        match node as usize {
            0 => Dominator::Roots,
            node if node < first => Dominator::Root(node - 1),
            node => Dominator::Object(ObjectId::from_index(node - first)),
        }
    }

    fn node(&self, dominator: Dominator) -> u32 {
        match dominator {
            Dominator::Roots => 0,
            Dominator::Root(index) => index as u32 + 1,
            Dominator::Object(id) => self.object_node(id),
        }
    }

    #[inline]
    fn object_node(&self, id: ObjectId) -> u32 {
        (first_object(self.input.heap) + id.index()) as u32
    }
}

/// Nodes before it are the virtual root and the roots.
fn first_object(heap: &Heap) -> usize {
    heap.roots().len() + 1
}

/// The edges that count: virtual root, roots, objects. What a layer reaches
/// hangs on edges of that layer only; what is unreached and what is a part of
/// something else has none.
fn graph(input: &GraphInput<'_>, parts: &Parts, layers: &[Layer]) -> Result<Csr, CsrError> {
    let heap = input.heap;
    let first = first_object(heap);
    let nodes = first + heap.len();
    let edges = heap.reference_count() + heap.len();
    let too_large = CsrError { nodes, edges };
    let fits = u32::try_from(nodes).is_ok_and(|nodes| nodes < u32::MAX);
    if !fits {
        return Err(too_large);
    }
    let node = |id: ObjectId| (first + parts.whole(id).index()) as u32;
    let mut graph = CsrBuilder::new(nodes, edges);
    for index in 0..heap.roots().len() {
        graph.edge(index as u32 + 1);
    }
    graph.end_row();
    for root in heap.roots() {
        let layer = if layers::is_conservative(&root.name) {
            Layer::MachineStack
        } else {
            Layer::Program
        };
        for &id in &root.references {
            if layers[id.index()] == layer {
                graph.edge(node(id));
            }
        }
        graph.end_row();
    }
    for id in heap.ids() {
        if layers[id.index()] != Layer::Unreached && parts.whole(id) == id {
            for part in std::iter::once(id).chain(parts.of(id)) {
                let layer = layers[part.index()].max(layers::expands_at(input, part));
                for target in layers::edges(heap, part) {
                    // A node's edge to itself changes nothing.
                    if layers[target.index()] == layer && parts.whole(target) != id {
                        graph.edge(node(target));
                    }
                }
            }
        }
        graph.end_row();
    }
    graph.finish()
}
