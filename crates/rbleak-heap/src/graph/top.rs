//! Where to look first: what stands on top of the tree, and where in it much
//! comes together.

use super::dominators::{Dominator, Dominators};
use crate::{ObjectId, ObjectType};
use std::cmp::Reverse;

/// A child that keeps more than this of what is above it leads further down;
/// Eclipse MAT's figure, as is the next.
const KEEPS: f64 = 0.7;
/// What keeps more than this of the heap is suspicious.
const SUSPICIOUS: f64 = 0.1;
/// So many objects of one class on end are a list: its head is the point.
const LIST: usize = 16;

impl Dominators<'_> {
    /// Whether a dominator says nothing by itself, so that what is below it is
    /// looked at in its place: roots, the classes that all constants hang on, the
    /// machinery of threads, and a large module where nothing stands out.
    pub fn is_opened(&self, dominator: Dominator) -> bool {
        let Dominator::Object(id) = dominator else {
            return true;
        };
        let heap = self.heap();
        match heap.object_type(id) {
            ObjectType::Class | ObjectType::Module => {
                matches!(heap.name(id), Some("Object" | "BasicObject" | "Kernel"))
                    || self.is_suspicious(id) && self.accumulation_point(id) == Some(id)
            }
            ObjectType::Data => {
                matches!(
                    heap.struct_name(id),
                    Some("VM/thread" | "ractor" | "VM/ractor" | "fiber" | "VM/fiber")
                ) && self.is_suspicious(id)
            }
            _ => false,
        }
    }

    /// The objects on top, those that [`Dominators::is_opened`] opened up: what
    /// they retain does not overlap. The largest first.
    pub fn top(&self) -> Vec<ObjectId> {
        let mut found = Vec::new();
        let mut todo = vec![Dominator::Roots];
        while let Some(opened) = todo.pop() {
            for child in self.children(opened) {
                match child {
                    Dominator::Object(id) if !self.is_opened(child) => found.push(id),
                    _ => todo.push(child),
                }
            }
        }
        let heap = self.heap();
        found.sort_by_cached_key(|&id| (Reverse(self.retained_size(id)), heap.address(id)));
        found
    }

    /// What an object dominates directly, the largest first.
    pub fn largest_children(&self, id: ObjectId) -> Vec<ObjectId> {
        let mut children: Vec<_> = self
            .children(Dominator::Object(id))
            .filter_map(|child| match child {
                Dominator::Object(id) => Some(id),
                _ => None,
            })
            .collect();
        let heap = self.heap();
        children.sort_by_cached_key(|&id| (Reverse(self.retained_size(id)), heap.address(id)));
        children
    }

    /// Where much comes together: from the object down as long as one child
    /// keeps more than 0.7 of what the object keeps. `None` where what is kept
    /// is a single object (such as one long String), or nothing.
    ///
    /// The head where the way ends in a list.
    pub fn accumulation_point(&self, id: ObjectId) -> Option<ObjectId> {
        let mut way = vec![self.rank(id)?];
        let least = self.retained_size(id).as_f64() * KEEPS;
        let keeps = |rank: u32| self.retained[rank as usize] as f64;
        while let Some(&rank) = way.last() {
            match self.largest_child(rank) {
                Some(child) if keeps(child) > least => way.push(child),
                _ => break,
            }
        }
        let heap = self.heap();
        let name = |rank: &u32| self.object_of_rank(*rank).map(|id| heap.class_name(id));
        let last = way.last().and_then(name);
        let alike = way.iter().rev().take_while(|rank| name(rank) == last);
        let at = match alike.count() {
            list if list >= LIST => way.len() - list,
            _ => way.len() - 1,
        };
        let point = self.object_of_rank(way[at])?;
        let below = self.retained_size(point).0 - self.own_size(point).0;
        (below as f64 > self.retained_size(point).as_f64() * (1.0 - KEEPS)).then_some(point)
    }

    fn is_suspicious(&self, id: ObjectId) -> bool {
        let whole = self.retained_by(Dominator::Roots).as_f64();
        self.retained_size(id).as_f64() > whole * SUSPICIOUS
    }
}
