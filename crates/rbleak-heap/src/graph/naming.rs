//! Dominators in a Rubyist's words.

use super::dominators::{Dominator, Dominators};
use crate::trace::{Parent, Reach, Step, entries, root_in_words, words};
use crate::{ObjectId, ObjectType};
use std::cell::OnceCell;

/// Dominators looked at from an object up, before the one with a name.
const MAX_CLIMB: usize = 16;
/// References followed at most where dominators lead to no name.
const MAX_WAY: usize = 10_000;
/// References of a Hash that are searched for a key at most.
const MAX_ENTRIES: usize = 4096;
/// Steps told at either end of a long way.
const TOLD: usize = 16;

/// Where an object is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// What it can be found by: `Leaky::STORE`, `Leaky (class)`, a thread, or
    /// a root in words.
    pub name: String,
    /// From what the name stands for (included where that is more than the
    /// name says) down to the object.
    pub steps: Vec<Step>,
}

/// Names what is kept, with the sidecar where there is one.
pub struct Places<'d> {
    dominators: &'d Dominators<'d>,
    /// For what several things hold, so that dominators lead to no name.
    reach: OnceCell<Reach>,
    ends: OnceCell<Vec<u32>>,
}

impl<'d> Places<'d> {
    /// Names what is in a tree of dominators.
    pub fn new(dominators: &'d Dominators<'d>) -> Places<'d> {
        Places {
            dominators,
            reach: OnceCell::new(),
            ends: OnceCell::new(),
        }
    }

    /// One object in words: `Array (1 500)`, `Leaky (class)`.
    pub fn object(&self, id: ObjectId) -> String {
        let input = &self.dominators.input;
        let words = words::object(input.heap, input.names, id);
        match input.heap.object_type(id) {
            ObjectType::Class => format!("{words} (class)"),
            ObjectType::Module => format!("{words} (module)"),
            _ => words,
        }
    }

    /// The name by which Ruby code reaches an object, if the sidecar has one.
    pub fn name(&self, id: ObjectId) -> Option<&'d str> {
        let input = &self.dominators.input;
        match input.heap.object_type(id) {
            ObjectType::Class | ObjectType::Module => None,
            _ => input.names.of_value(input.heap.address(id)),
        }
    }

    /// The name of the reference from one object to another: `@token`.
    pub fn edge(&self, above: ObjectId, id: ObjectId) -> Option<String> {
        let input = &self.dominators.input;
        if words::is_proc(input.heap, above) {
            return Some("captures".to_owned());
        }
        words::edge(input.heap, input.names, above, id).or_else(|| {
            // Asked for each entry of a large Hash, that would be quadratic.
            let is_small = input.heap.references(above).len() <= MAX_ENTRIES;
            is_small.then(|| entries::label(input.heap, input.names, above, id))?
        })
    }

    /// Where a dominator is kept.
    pub fn place(&self, dominator: Dominator) -> Place {
        let Dominator::Object(id) = dominator else {
            return self.root(dominator, &[]);
        };
        let tree = self.dominators;
        let Some(rank) = tree.rank(id) else {
            return match tree.immediate_dominator(id) {
                Some(whole) => self.place(whole),
                None => Place {
                    name: "nothing".to_owned(),
                    steps: self.steps(&[id]),
                },
            };
        };
        let end = self.ends.get_or_init(|| self.find_ends())[rank as usize];
        let mut chain = vec![id];
        let mut at = rank;
        while at != end {
            // The middle of a long list says nothing: on to its end.
            at = if chain.len() < MAX_CLIMB {
                tree.tree.dominator_rank(at)
            } else {
                end
            };
            chain.extend(tree.object_of_rank(at));
        }
        self.shared(chain)
    }

    /// Of each rank the nearest dominator that has a name, or the last one that
    /// says anything. One sweep: from the end of a list of a million each climb
    /// would be a million steps.
    fn find_ends(&self) -> Vec<u32> {
        let tree = self.dominators;
        let mut ends: Vec<u32> = Vec::with_capacity(tree.tree.reached());
        let mut is_opened: Vec<bool> = Vec::with_capacity(tree.tree.reached());
        for rank in 0..tree.tree.reached() as u32 {
            let above = tree.tree.dominator_rank(rank) as usize;
            let named = tree.object_of_rank(rank).is_some_and(|id| self.is_end(id));
            let is_last = rank == 0 || named || is_opened[above];
            ends.push(if is_last { rank } else { ends[above] });
            is_opened.push(tree.is_opened(tree.dominator_of_rank(rank)));
        }
        ends
    }

    /// Goes on by a shortest way where dominators say no more.
    fn shared(&self, mut chain: Vec<ObjectId>) -> Place {
        let input = &self.dominators.input;
        let longest = chain.len() + MAX_WAY;
        loop {
            let last = chain[chain.len() - 1];
            if let Some(place) = self.end(&chain, last) {
                return place;
            }
            let reach = self
                .reach
                .get_or_init(|| Reach::new(input.heap, input.names));
            match reach.parent(last) {
                Parent::Object(up) if longest > chain.len() => chain.push(up),
                Parent::Root(index) => return self.root(Dominator::Root(index), &chain),
                Parent::Finalizers => {
                    return Place {
                        name: words::FINALIZERS.to_owned(),
                        steps: self.steps(&chain),
                    };
                }
                _ => return self.root(Dominator::Roots, &chain),
            }
        }
    }

    /// Whether an object says by itself where it is.
    fn is_end(&self, id: ObjectId) -> bool {
        let heap = self.dominators.heap();
        match heap.object_type(id) {
            ObjectType::Class | ObjectType::Module => true,
            ObjectType::Data if heap.struct_name(id) == Some("VM/thread") => true,
            _ => self.name(id).is_some(),
        }
    }

    /// The place, if the last of the chain has a name.
    fn end(&self, chain: &[ObjectId], last: ObjectId) -> Option<Place> {
        if let Some(name) = self.name(last) {
            let name = name.to_owned();
            return Some(Place {
                name,
                steps: self.steps(chain),
            });
        }
        self.is_end(last).then(|| Place {
            name: self.object(last),
            steps: self.steps(chain).split_off(1),
        })
    }

    fn root(&self, root: Dominator, chain: &[ObjectId]) -> Place {
        let name = match root {
            Dominator::Root(index) => {
                root_in_words(&self.dominators.heap().roots()[index].name).to_owned()
            }
            _ => "several roots".to_owned(),
        };
        let steps = self.steps(chain);
        Place { name, steps }
    }

    /// `chain` is ordered upward.
    fn steps(&self, chain: &[ObjectId]) -> Vec<Step> {
        let heap = self.dominators.heap();
        let mut steps = Vec::with_capacity(chain.len());
        let mut above: Option<ObjectId> = None;
        for (index, &id) in chain.iter().enumerate().rev() {
            if index >= TOLD && index + TOLD < chain.len() {
                if index == TOLD {
                    steps.push(Step {
                        edge: None,
                        object: "…".to_owned(),
                    });
                    above = None;
                }
                continue;
            }
            // What is meant is named even if it is internal.
            if above.is_some() && index > 0 && words::is_between(heap, id) {
                continue;
            }
            steps.push(Step {
                edge: above.and_then(|above| self.edge(above, id)),
                object: self.object(id),
            });
            above = Some(id);
        }
        steps
    }
}

impl std::fmt::Debug for Places<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").finish_non_exhaustive()
    }
}
