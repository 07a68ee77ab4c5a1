//! Dominators of any graph: what all ways from the root to a node pass.
//!
//! Semi-NCA (Georgiadis, *Linear-Time Algorithms for Dominators and Related
//! Problems*, Princeton 2005, section 2.3): the semidominators of Lengauer and
//! Tarjan (*A Fast Algorithm for Finding Dominators in a Flowgraph*, TOPLAS 1,
//! 1979), then for each node the nearest dominator of its parent that is not
//! below its semidominator. That second step climbs; on a list whose values are
//! also held by something else it climbs the whole list for each value. Jump
//! pointers (Myers, *An Applicative Random-Access Stack*, 1983) bound each climb
//! by a logarithm, so that no heap is quadratic.
//!
//! Nothing here recurses, and nothing but the order of the depth-first search
//! is kept, in arrays of u32.

use super::csr::Csr;

const NONE: u32 = u32::MAX;

/// The dominator tree of what a root reaches.
///
/// Nodes are ranked in depth-first order, so that a dominator comes before
/// what it dominates: each sweep over the ranks is a walk over the tree.
#[derive(Clone, Debug)]
pub struct DominatorTree {
    /// Of each node, its rank; `NONE` where it is not reached.
    ranks: Vec<u32>,
    /// Of each rank, the node.
    nodes: Vec<u32>,
    /// Of each rank, the rank of its immediate dominator; the root's is 0.
    dominators: Vec<u32>,
}

impl DominatorTree {
    /// The dominators of all that `root` reaches.
    ///
    /// # Panics
    ///
    /// If `root` is no node of `graph`.
    pub fn new(graph: &Csr, root: u32) -> DominatorTree {
        let Search {
            ranks,
            nodes,
            parents,
        } = search(graph, root);
        let predecessors = Predecessors::new(graph, &ranks, &nodes);
        let semidominators = semidominators(&parents, predecessors);
        DominatorTree {
            dominators: nearest_common(parents, &semidominators),
            ranks,
            nodes,
        }
    }

    /// How many nodes are reached, the root included.
    pub fn reached(&self) -> usize {
        self.nodes.len()
    }

    /// Whether a node is reached.
    pub fn is_reached(&self, node: u32) -> bool {
        self.ranks[node as usize] != NONE
    }

    /// The immediate dominator; `None` for the root and for what is not
    /// reached.
    pub fn immediate_dominator(&self, node: u32) -> Option<u32> {
        match self.ranks[node as usize] {
            0 | NONE => None,
            rank => Some(self.node(self.dominator_rank(rank))),
        }
    }

    /// What each node keeps: its own weight and that of all it dominates, in
    /// the order of [`DominatorTree::nodes`]. Saturates.
    pub fn retained(&self, weight: impl Fn(u32) -> u64) -> Vec<u64> {
        let mut sums: Vec<u64> = self.nodes.iter().map(|&node| weight(node)).collect();
        for rank in (1..sums.len()).rev() {
            let above = self.dominators[rank] as usize;
            sums[above] = sums[above].saturating_add(sums[rank]);
        }
        sums
    }

    /// Every reached node, each after its dominators; the root first.
    pub fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    #[inline]
    pub(super) fn rank(&self, node: u32) -> Option<u32> {
        let rank = self.ranks[node as usize];
        (rank != NONE).then_some(rank)
    }

    #[inline]
    pub(super) fn node(&self, rank: u32) -> u32 {
        self.nodes[rank as usize]
    }

    #[inline]
    pub(super) fn dominator_rank(&self, rank: u32) -> u32 {
        self.dominators[rank as usize]
    }

    /// The tree downward, in ranks: of each its children, ascending.
    pub(super) fn children(&self) -> (Vec<u32>, Vec<u32>) {
        let counts = self.dominators.iter().skip(1).copied();
        let mut next = starts(self.nodes.len(), counts);
        let mut children = vec![0; self.nodes.len().saturating_sub(1)];
        for (rank, &above) in self.dominators.iter().enumerate().skip(1) {
            put(&mut next, above, &mut children, rank as u32);
        }
        (rewind(next), children)
    }
}

/// Where each row starts, `counted` naming the row of each entry; one entry
/// more than there are rows.
fn starts(rows: usize, counted: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut starts = vec![0_u32; rows + 1];
    for row in counted {
        starts[row as usize + 1] += 1;
    }
    for row in 0..rows {
        starts[row + 1] += starts[row];
    }
    starts
}

#[inline]
fn put(next: &mut [u32], row: u32, entries: &mut [u32], entry: u32) {
    let at = &mut next[row as usize];
    entries[*at as usize] = entry;
    *at += 1;
}

/// Undoes what [`put`] advanced: a row now starts where the one before ends.
fn rewind(mut next: Vec<u32>) -> Vec<u32> {
    next.rotate_right(1);
    next[0] = 0;
    next
}

struct Search {
    ranks: Vec<u32>,
    nodes: Vec<u32>,
    /// Of each rank, the rank of its parent in the search; the root's is 0.
    parents: Vec<u32>,
}

fn search(graph: &Csr, root: u32) -> Search {
    let mut found = Search {
        ranks: vec![NONE; graph.len()],
        nodes: vec![root],
        parents: vec![0],
    };
    found.ranks[root as usize] = 0;
    // The rank of a node on the way, and its successors still to be looked at.
    let mut way = vec![(0_u32, graph.successors(root).iter())];
    while let Some((above, successors)) = way.last_mut() {
        let above = *above;
        match successors.find(|&&node| found.ranks[node as usize] == NONE) {
            None => {
                way.pop();
            }
            Some(&node) => {
                let rank = found.nodes.len() as u32;
                found.ranks[node as usize] = rank;
                found.nodes.push(node);
                found.parents.push(above);
                let successors = graph.successors(node);
                if !successors.is_empty() {
                    way.push((rank, successors.iter()));
                }
            }
        }
    }
    found
}

/// Edges into each rank. Of those that come from a smaller rank only the
/// smallest matters: it is its own semidominator when it is asked for.
struct Predecessors {
    smallest: Vec<u32>,
    starts: Vec<u32>,
    later: Vec<u32>,
}

impl Predecessors {
    fn new(graph: &Csr, ranks: &[u32], nodes: &[u32]) -> Predecessors {
        let mut smallest = vec![NONE; nodes.len()];
        let mut counts = vec![0_u32; nodes.len() + 1];
        for (rank, &node) in nodes.iter().enumerate() {
            let rank = rank as u32;
            for &successor in graph.successors(node) {
                // Successors of what is reached are reached.
                let into = ranks[successor as usize];
                if rank > into {
                    counts[into as usize + 1] += 1;
                } else if rank < smallest[into as usize] {
                    smallest[into as usize] = rank;
                }
            }
        }
        for row in 0..nodes.len() {
            counts[row + 1] += counts[row];
        }
        let mut next = counts;
        let mut later = vec![0; next.last().copied().unwrap_or(0) as usize];
        if !later.is_empty() {
            for (rank, &node) in nodes.iter().enumerate() {
                let rank = rank as u32;
                for &successor in graph.successors(node) {
                    let into = ranks[successor as usize];
                    if rank > into {
                        put(&mut next, into, &mut later, rank);
                    }
                }
            }
        }
        Predecessors {
            smallest,
            starts: rewind(next),
            later,
        }
    }

    fn later(&self, rank: u32) -> &[u32] {
        let rank = rank as usize;
        &self.later[self.starts[rank] as usize..self.starts[rank + 1] as usize]
    }
}

/// Of each rank its semidominator, the root's being 0.
fn semidominators(parents: &[u32], predecessors: Predecessors) -> Vec<u32> {
    let count = parents.len() as u32;
    let mut forest = Forest {
        ancestors: parents.to_vec(),
        labels: (0..count).collect(),
        semi: (0..count).collect(),
        way: Vec::new(),
    };
    for rank in (1..count).rev() {
        let mut semi = predecessors.smallest[rank as usize];
        for &later in predecessors.later(rank) {
            let label = forest.evaluate(later, rank + 1);
            semi = semi.min(forest.semi[label as usize]);
        }
        forest.semi[rank as usize] = semi;
    }
    forest.semi
}

/// Lengauer and Tarjan's forest, with path compression. That all ranks from
/// some rank on are linked stands in for linking them one by one.
struct Forest {
    ancestors: Vec<u32>,
    labels: Vec<u32>,
    semi: Vec<u32>,
    way: Vec<u32>,
}

impl Forest {
    /// The node of the smallest semidominator from `rank` up to where the
    /// ranks linked so far (`first` and later) end.
    fn evaluate(&mut self, mut rank: u32, first: u32) -> u32 {
        while self.ancestors[rank as usize] >= first {
            self.way.push(rank);
            rank = self.ancestors[rank as usize];
        }
        let top = self.ancestors[rank as usize];
        let mut best = self.labels[rank as usize];
        while let Some(rank) = self.way.pop() {
            let rank = rank as usize;
            self.ancestors[rank] = top;
            let label = self.labels[rank];
            if self.semi[best as usize] < self.semi[label as usize] {
                self.labels[rank] = best;
            } else {
                best = label;
            }
        }
        best
    }
}

/// Turns parents into immediate dominators: from a parent up the tree built so
/// far, to the first that is not below the semidominator.
fn nearest_common(mut parents: Vec<u32>, semidominators: &[u32]) -> Vec<u32> {
    let mut jumps = vec![0_u32; parents.len()];
    let mut depths = vec![0_u32; parents.len()];
    for rank in 1..parents.len() {
        let semi = semidominators[rank];
        let mut above = parents[rank];
        while above > semi {
            // Ranks fall on the way up: a jump that stays below is safe.
            let jump = jumps[above as usize];
            above = if jump > semi {
                jump
            } else {
                parents[above as usize]
            };
        }
        parents[rank] = above;
        let above = above as usize;
        let jump = jumps[above] as usize;
        let further = jumps[jump] as usize;
        // Two jumps of one length become one of twice that length and one.
        jumps[rank] = if depths[above] - depths[jump] == depths[jump] - depths[further] {
            further as u32
        } else {
            above as u32
        };
        depths[rank] = depths[above] + 1;
    }
    parents
}
