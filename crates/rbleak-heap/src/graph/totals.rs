//! What classes, sites and gems retain.
//!
//! Subtrees nest: a Hash in a Hash is retained by both. A group's total takes
//! the topmost of its objects only, so that no byte counts twice and no total
//! exceeds the heap. Totals of different groups overlap: an Array and the
//! Strings that it alone holds are in both.

use super::dominators::{Count, Dominators};
use crate::group::{GroupBy, Key};
use crate::ids::{ObjectId, SiteId};
use crate::object_type::ObjectType;
use rbleak_units::Bytes;
use rustc_hash::FxHashMap;

/// What the objects of a group keep alive together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total<'h> {
    /// What they have in common.
    pub key: Key<'h>,
    /// The objects and what they take by themselves.
    pub own: Count,
    /// What they retain.
    pub retained: Bytes,
}

/// Roots, and what belongs to the measuring, are in no group.
const NO_GROUP: u32 = u32::MAX;

impl<'a> Dominators<'a> {
    /// All that is reached, the measuring excepted, in groups: objects of no
    /// known site among them. The largest first.
    pub fn totals(&self, by: GroupBy) -> Vec<Total<'a>> {
        let (mut totals, group_of) = self.groups(by);
        // How many objects of each group are on the way from the root.
        let mut above = vec![0_u32; totals.len()];
        let mut todo = vec![(0_u32, false)];
        while let Some((rank, is_done)) = todo.pop() {
            let group = group_of[rank as usize];
            if is_done {
                above[group as usize] -= 1;
                continue;
            }
            if group != NO_GROUP {
                let group = group as usize;
                if above[group] == 0 {
                    totals[group].retained += Bytes(self.retained[rank as usize]);
                }
                if !self.child_ranks(rank).is_empty() {
                    above[group] += 1;
                    todo.push((rank, true));
                }
            }
            todo.extend(self.child_ranks(rank).iter().map(|&child| (child, false)));
        }
        totals.sort_by(|a, b| {
            (b.retained, b.own.bytes, b.own.objects)
                .cmp(&(a.retained, a.own.bytes, a.own.objects))
                .then_with(|| a.key.cmp(&b.key))
        });
        totals
    }

    /// The groups, and of each rank the group it is in.
    fn groups(&self, by: GroupBy) -> (Vec<Total<'a>>, Vec<u32>) {
        let heap = self.heap();
        let mut totals: Vec<Total<'a>> = Vec::new();
        let mut of_key: FxHashMap<Key<'a>, u32> = FxHashMap::default();
        // Keys are texts; most objects have that of an earlier one, which is
        // told by where its texts lie.
        let mut seen: FxHashMap<Handle, u32> = FxHashMap::default();
        let group_of = (0..self.tree.reached() as u32)
            .map(|rank| {
                let Some(id) = self.object_of_rank(rank) else {
                    return NO_GROUP;
                };
                if self.is_tool(id) {
                    return NO_GROUP;
                }
                let group = *seen.entry(Handle::new(self, id, by)).or_insert_with(|| {
                    let key = Key::new(heap, id, by);
                    *of_key.entry(key).or_insert_with(|| {
                        totals.push(Total {
                            key,
                            own: Count::default(),
                            retained: Bytes(0),
                        });
                        totals.len() as u32 - 1
                    })
                });
                totals[group as usize].own.add(self.own_size(id));
                group
            })
            .collect();
        (totals, group_of)
    }
}

/// What tells two keys of one heap apart at a glance.
#[derive(PartialEq, Eq, Hash)]
struct Handle {
    site: Option<SiteId>,
    class: *const u8,
    object_type: Option<ObjectType>,
}

impl Handle {
    fn new(dominators: &Dominators<'_>, id: ObjectId, by: GroupBy) -> Handle {
        let heap = dominators.heap();
        let is_by_class = matches!(by, GroupBy::Site | GroupBy::Class);
        Handle {
            site: (by != GroupBy::Class).then(|| heap.site(id)).flatten(),
            class: if is_by_class {
                heap.class_name(id).as_ptr()
            } else {
                std::ptr::null()
            },
            object_type: is_by_class.then(|| heap.object_type(id)),
        }
    }
}
