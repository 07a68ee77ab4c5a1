//! The tree of dominators as far as it was opened.
//!
//! Children are asked for when their object is opened, and shown by the
//! hundred: an Array may keep a million.

use super::model::Model;
use rbleak_heap::ObjectId;
use std::collections::HashMap;

/// Children shown at once.
pub(crate) const STEP: usize = 200;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeRow {
    /// 0 on top.
    pub(crate) depth: usize,
    /// What the children hang on; none on top.
    pub(crate) above: Option<ObjectId>,
    pub(crate) what: What,
}

/// What stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Object {
        id: ObjectId,
        is_open: bool,
    },
    /// So many more children, of so many that are shown.
    More {
        hidden: usize,
        shown: usize,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) rows: Vec<TreeRow>,
    /// Of what is open.
    children: HashMap<Option<ObjectId>, Vec<ObjectId>>,
}

impl Tree {
    /// The objects on top.
    pub(crate) fn new(top: Vec<ObjectId>) -> Tree {
        let mut tree = Tree::default();
        tree.children.insert(None, top);
        tree.rows = tree.next(None, 0, 0);
        tree
    }

    /// The object in a line.
    pub(crate) fn object(&self, at: usize) -> Option<ObjectId> {
        match self.rows.get(at)?.what {
            What::Object { id, .. } => Some(id),
            What::More { .. } => None,
        }
    }

    /// Opens a line; the line to go to.
    pub(crate) fn open(&mut self, at: usize, model: &Model<'_>) -> usize {
        let Some(&row) = self.rows.get(at) else {
            return at;
        };
        match row.what {
            What::More { shown, .. } => {
                let more = self.next(row.above, row.depth, shown);
                self.rows.splice(at..=at, more);
                at
            }
            What::Object { is_open: true, .. } => at + 1,
            What::Object { id, .. } => {
                let children = model.children(id);
                if children.is_empty() {
                    return at;
                }
                self.children.insert(Some(id), children);
                self.rows[at].what = What::Object { id, is_open: true };
                let rows = self.next(Some(id), row.depth + 1, 0);
                self.rows.splice(at + 1..at + 1, rows);
                at
            }
        }
    }

    /// Closes a line, or goes to the one that it hangs on.
    pub(crate) fn close(&mut self, at: usize) -> usize {
        let Some(&row) = self.rows.get(at) else {
            return at;
        };
        if let What::Object { id, is_open: true } = row.what {
            let below = self.rows[at + 1..].iter();
            let below = below.take_while(|below| below.depth > row.depth).count();
            for gone in self.rows.drain(at + 1..=at + below) {
                if let What::Object { id, is_open: true } = gone.what {
                    self.children.remove(&Some(id));
                }
            }
            self.children.remove(&Some(id));
            self.rows[at].what = What::Object { id, is_open: false };
            return at;
        }
        let above = self.rows[..at].iter();
        above
            .rev()
            .position(|above| above.depth < row.depth)
            .map_or(at, |back| at - 1 - back)
    }

    /// The lines of the next children.
    fn next(&self, above: Option<ObjectId>, depth: usize, shown: usize) -> Vec<TreeRow> {
        let children = self.children.get(&above).map_or(&[][..], Vec::as_slice);
        let end = children.len().min(shown + STEP);
        let row = |what| TreeRow { depth, above, what };
        let objects = children[shown.min(end)..end].iter();
        let mut rows: Vec<_> = objects
            .map(|&id| row(What::Object { id, is_open: false }))
            .collect();
        if end < children.len() {
            rows.push(row(What::More {
                hidden: children.len() - end,
                shown: end,
            }));
        }
        rows
    }
}
