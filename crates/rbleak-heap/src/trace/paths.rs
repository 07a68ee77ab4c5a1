//! Why an object is still there: the shortest path from something with a name.
//!
//! The path is that of [`Reach`], so that a constant is named before a thread
//! and a thread before the machine stack. It is cut at the lowest name above
//! the object: how Ruby itself comes to a constant tells nobody anything.

use super::reach::{Parent, Reach};
use super::words::FINALIZERS;
use super::{HolderName, PathTree, Step, words};
use crate::names::Names;
use crate::{Heap, ObjectId};

/// The ways to the objects of one dump.
pub struct Paths<'a> {
    pub(super) heap: &'a Heap,
    pub(super) names: &'a Names,
    reach: Reach,
    main: Option<ObjectId>,
}

/// The way to one object.
#[derive(Clone, Debug)]
pub struct PathTo {
    /// What it begins with.
    pub name: HolderName,
    /// The root of the dump behind the name, as Ruby calls it.
    pub root: Option<String>,
    /// From the name down; the last is the object itself.
    pub steps: Vec<(ObjectId, Step)>,
}

/// What stands at the top of a path.
pub(super) struct Anchor {
    pub(super) name: HolderName,
    /// Whether the topmost object is what has the name, and no step of its own.
    pub(super) is_said: bool,
}

impl<'a> Paths<'a> {
    /// Walks the heap once.
    pub fn new(heap: &'a Heap, names: &'a Names) -> Paths<'a> {
        Paths {
            heap,
            names,
            reach: Reach::new(heap, names),
            main: words::main_object(heap),
        }
    }

    /// The way to `id`; `None` if no root of the dump leads there.
    pub fn to(&self, id: ObjectId) -> Option<PathTo> {
        let mut chain = vec![id];
        let anchor = loop {
            if let Some(anchor) = self.anchor(&chain)? {
                break anchor;
            }
            chain.push(self.above(chain[chain.len() - 1])?);
        };
        let root = self.root(chain[chain.len() - 1]);
        let below = match anchor.is_said {
            true => words::without_top(self.heap, &chain),
            false => &chain,
        };
        let mut steps = words::steps_down(self.heap, self.names, below);
        // Of what is asked for, even what is left out elsewhere is shown.
        if steps.last().is_none_or(|(last, _)| *last != id) {
            let step = Step {
                edge: None,
                object: words::object(self.heap, self.names, id),
            };
            steps.push((id, step));
        }
        Some(PathTo {
            name: anchor.name,
            root,
            steps,
        })
    }

    /// The ways to all of `ids` as one tree.
    pub fn tree(&self, ids: impl IntoIterator<Item = ObjectId>) -> PathTree {
        PathTree::new(self, ids)
    }

    /// What refers to `id` on its way, if that is an object.
    pub(super) fn above(&self, id: ObjectId) -> Option<ObjectId> {
        match self.reach.parent(id) {
            Parent::Object(parent) => Some(parent),
            Parent::Root(_) | Parent::Finalizers | Parent::Unreached => None,
        }
    }

    /// Whether a path ends with the last of `chain`, which is ordered upward:
    /// `None` if nothing leads there, `Some(None)` if the path goes on.
    pub(super) fn anchor(&self, chain: &[ObjectId]) -> Option<Option<Anchor>> {
        let (heap, names) = (self.heap, self.names);
        let (&id, below) = chain.split_last()?;
        let held = words::held_above(heap, below);
        // A class's own name is no answer to what holds it.
        if !words::is_module(heap, id)
            && let Some(name) = names.of_value(heap.address(id))
        {
            return Some(Some(Anchor {
                name: HolderName::Named(name.to_owned()),
                is_said: false,
            }));
        }
        if held.is_some()
            && let Some(name) = words::of_module(heap, names, id, held)
        {
            return Some(Some(Anchor {
                name,
                is_said: true,
            }));
        }
        if let Some(held) = held
            && self.main == Some(id)
        {
            return Some(Some(Anchor {
                name: words::of_main(heap, names, id, held),
                is_said: true,
            }));
        }
        if words::is_thread(heap, id) && held.is_some() {
            return Some(Some(Anchor {
                name: HolderName::Thread(words::local_of_thread(heap, names, id)),
                is_said: true,
            }));
        }
        match self.reach.parent(id) {
            Parent::Object(_) => Some(None),
            Parent::Root(index) => Some(Some(Anchor {
                name: HolderName::Root(words::root_in_words(&heap.roots()[index].name).to_owned()),
                is_said: false,
            })),
            Parent::Finalizers => Some(Some(Anchor {
                name: HolderName::Root(FINALIZERS.to_owned()),
                is_said: false,
            })),
            Parent::Unreached => None,
        }
    }

    /// Whether an object below `id` may be told to be held by it, by name.
    pub(super) fn may_name(&self, id: ObjectId) -> bool {
        words::is_module(self.heap, id) || words::is_thread(self.heap, id) || self.main == Some(id)
    }

    fn root(&self, mut id: ObjectId) -> Option<String> {
        loop {
            match self.reach.parent(id) {
                Parent::Object(parent) => id = parent,
                Parent::Root(index) => return Some(self.heap.roots()[index].name.to_string()),
                Parent::Finalizers | Parent::Unreached => return None,
            }
        }
    }
}
