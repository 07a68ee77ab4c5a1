//! The paths to many objects, merged where they say the same.
//!
//! Lengths of containers and identities of objects are left out of the
//! comparison: a thousand sessions in a thousand Arrays of one Hash are one
//! path. A chain of the same reference to the same class, such as a linked
//! list, is one step however long it is.

use super::paths::{Anchor, Paths};
use super::{HolderName, words};
use crate::ObjectId;
use rbleak_units::grouped;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// The merged paths.
#[derive(Clone, Debug, Default)]
pub struct PathTree {
    /// Parents before their children.
    nodes: Vec<Node>,
    unreached: u64,
}

/// One line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRow {
    /// 0 for a name, 1 for what it refers to, and so on.
    pub depth: usize,
    /// What a path begins with; at depth 0 only.
    pub name: Option<HolderName>,
    /// The name of the reference from the row above it.
    pub edge: Option<String>,
    /// `Array (1 500)`, or `Array × 12` where paths go through several.
    pub object: String,
    /// How many of the objects asked for lie at this row or below it.
    pub objects: u64,
    /// How many lie at this row.
    pub here: u64,
}

/// Who keeps, or by which reference to what kind of object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Label {
    Name(HolderName),
    Step(Option<String>, String),
}

#[derive(Clone, Debug)]
struct Node {
    label: Label,
    parent: Option<usize>,
    /// The object, and how many there are.
    object: String,
    members: u64,
    is_chain: bool,
    here: u64,
    below: u64,
}

/// Where an object stands: its node, and the object that the names of its
/// references start from, which is not itself if it lies between two objects;
/// none for the name that a path begins with.
#[derive(Clone, Copy)]
struct Place {
    node: usize,
    holder: Option<ObjectId>,
}

struct Builder<'a> {
    paths: &'a Paths<'a>,
    nodes: Vec<Node>,
    by_label: FxHashMap<(Option<usize>, Label), usize>,
    places: FxHashMap<ObjectId, Place>,
}

impl PathTree {
    pub(super) fn new(paths: &Paths<'_>, ids: impl IntoIterator<Item = ObjectId>) -> PathTree {
        let mut builder = Builder {
            paths,
            nodes: Vec::new(),
            by_label: FxHashMap::default(),
            places: FxHashMap::default(),
        };
        let mut unreached = 0;
        for id in ids {
            match builder.place(id) {
                Some(place) => builder.nodes[place.node].here += 1,
                None => unreached += 1,
            }
        }
        let mut nodes = builder.nodes;
        for at in (0..nodes.len()).rev() {
            nodes[at].below += nodes[at].here;
            if let Some(parent) = nodes[at].parent {
                nodes[parent].below += nodes[at].below;
            }
        }
        PathTree { nodes, unreached }
    }

    /// How many of the objects no root leads to.
    pub fn unreached(&self) -> u64 {
        self.unreached
    }

    /// How many different paths there are.
    pub fn paths(&self) -> usize {
        self.nodes.iter().filter(|node| node.here > 0).count()
    }

    /// The path that most of the objects share, from its name down; `here` of
    /// the last row says how many they are. Of several the one that comes first
    /// in the dump; empty if none is reached.
    pub fn most_common(&self) -> Vec<PathRow> {
        let last = (0..self.nodes.len())
            .filter(|&at| self.nodes[at].here > 0)
            .min_by_key(|&at| (Reverse(self.nodes[at].here), at));
        let mut rows: Vec<PathRow> = self.upward(last).map(|at| self.row(at, 0)).collect();
        rows.reverse();
        for (depth, row) in rows.iter_mut().enumerate() {
            row.depth = depth;
        }
        rows
    }

    /// All of it, what leads to most objects first.
    pub fn rows(&self) -> Vec<PathRow> {
        let mut children: FxHashMap<Option<usize>, Vec<usize>> = FxHashMap::default();
        for (at, node) in self.nodes.iter().enumerate() {
            // The way to an object that no root leads to may have begun.
            if node.below > 0 {
                children.entry(node.parent).or_default().push(at);
            }
        }
        for list in children.values_mut() {
            // Taken from the end.
            list.sort_by(|&a, &b| {
                let key = |at: usize| (Reverse(self.nodes[at].below), &self.nodes[at].label);
                key(b).cmp(&key(a))
            });
        }
        let mut rows = Vec::with_capacity(self.nodes.len());
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        let push = |waiting: &mut Vec<(usize, usize)>, at: Option<usize>, depth| {
            waiting.extend(
                children
                    .get(&at)
                    .into_iter()
                    .flatten()
                    .map(|&at| (at, depth)),
            );
        };
        push(&mut waiting, None, 0);
        while let Some((at, depth)) = waiting.pop() {
            rows.push(self.row(at, depth));
            push(&mut waiting, Some(at), depth + 1);
        }
        rows
    }

    fn upward(&self, from: Option<usize>) -> impl Iterator<Item = usize> {
        std::iter::successors(from, |&at| self.nodes[at].parent)
    }

    fn row(&self, at: usize, depth: usize) -> PathRow {
        let node = &self.nodes[at];
        let (name, edge, kind) = match &node.label {
            Label::Name(name) => (Some(name.clone()), None, ""),
            Label::Step(edge, kind) => (None, edge.clone(), kind.as_str()),
        };
        let object = match (&name, node.members, node.is_chain) {
            (Some(name), _, _) => name.to_string(),
            (None, 0 | 1, _) => node.object.clone(),
            (None, members, false) => format!("{kind} × {}", grouped(members)),
            (None, members, true) => format!("{kind} × {}, nested", grouped(members)),
        };
        PathRow {
            depth,
            name,
            edge,
            object,
            objects: node.below,
            here: node.here,
        }
    }
}

impl Builder<'_> {
    /// Where `id` stands; places whatever is above it first. Each object is
    /// placed once, so that a list of a million costs no more than an Array.
    fn place(&mut self, id: ObjectId) -> Option<Place> {
        let paths = self.paths;
        let mut chain = vec![id];
        let mut at = loop {
            let top = chain[chain.len() - 1];
            // A thread or a class is a name to what it holds, and an object
            // only to who asks for it.
            if (chain.len() == 1 || !paths.may_name(top))
                && let Some(&place) = self.places.get(&top)
            {
                chain.pop();
                break place;
            }
            if let Some(Anchor { name, is_said }) = paths.anchor(&chain)? {
                let node = self.node(None, Label::Name(name));
                if is_said {
                    chain.truncate(words::without_top(paths.heap, &chain).len());
                }
                break Place { node, holder: None };
            }
            chain.push(paths.above(top)?);
        };
        let mut is_first = at.holder.is_none();
        while let Some(id) = chain.pop() {
            let is_between = !is_first && words::is_between(paths.heap, id);
            is_first = false;
            if !is_between {
                at = Place {
                    node: self.step(at, id),
                    holder: Some(id),
                };
            }
            self.places.insert(id, at);
        }
        Some(at)
    }

    fn step(&mut self, at: Place, id: ObjectId) -> usize {
        let (heap, names) = (self.paths.heap, self.paths.names);
        let edge = at
            .holder
            .and_then(|holder| words::edge(heap, names, holder, id));
        let label = Label::Step(edge, words::kind(heap, names, id));
        let node = if self.nodes[at.node].label == label {
            self.nodes[at.node].is_chain = true;
            at.node
        } else {
            self.node(Some(at.node), label)
        };
        self.nodes[node].members += 1;
        if self.nodes[node].members == 1 {
            self.nodes[node].object = words::object(heap, names, id);
        }
        node
    }

    fn node(&mut self, parent: Option<usize>, label: Label) -> usize {
        let nodes = &mut self.nodes;
        *self
            .by_label
            .entry((parent, label))
            .or_insert_with_key(|(parent, label)| {
                nodes.push(Node {
                    label: label.clone(),
                    parent: *parent,
                    object: String::new(),
                    members: 0,
                    is_chain: false,
                    here: 0,
                    below: 0,
                });
                nodes.len() - 1
            })
    }
}
