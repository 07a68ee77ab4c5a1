//! A directed graph in two arrays.

/// Compressed sparse rows: the successors of node `n` are
/// `targets[starts[n]..starts[n + 1]]`. Repetitions and loops are fine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    starts: Vec<u32>,
    targets: Vec<u32>,
}

/// The arrays are no graph, or the graph has more edges than 32 bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a graph of {nodes} nodes and {edges} edges cannot be held")]
pub struct CsrError {
    /// Nodes.
    pub nodes: usize,
    /// Edges.
    pub edges: usize,
}

impl Csr {
    /// Takes the arrays.
    ///
    /// # Errors
    ///
    /// If `starts` does not ascend from 0 to the number of `targets`, or a
    /// target is no node.
    pub fn new(starts: Vec<u32>, targets: Vec<u32>) -> Result<Csr, CsrError> {
        let nodes = starts.len().saturating_sub(1);
        let is_graph = starts.first() == Some(&0)
            && starts.last().map(|&end| end as usize) == Some(targets.len())
            && starts.is_sorted()
            && nodes < u32::MAX as usize
            && targets.iter().all(|&target| (target as usize) < nodes);
        if !is_graph {
            let edges = targets.len();
            return Err(CsrError { nodes, edges });
        }
        Ok(Csr { starts, targets })
    }

    /// How many nodes there are: they are numbered from 0.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a node leads to.
    #[inline]
    pub fn successors(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.targets[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

/// Rows appended one by one, so that the graph of a heap is written in one
/// pass and never copied.
pub(super) struct CsrBuilder {
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl CsrBuilder {
    pub(super) fn new(nodes: usize, edges: usize) -> CsrBuilder {
        let mut starts = Vec::with_capacity(nodes + 1);
        starts.push(0);
        CsrBuilder {
            starts,
            targets: Vec::with_capacity(edges),
        }
    }

    /// An edge from the node whose row is open.
    #[inline]
    pub(super) fn edge(&mut self, target: u32) {
        self.targets.push(target);
    }

    /// Closes the row of one node.
    #[inline]
    pub(super) fn end_row(&mut self) {
        // What does not fit shows as a count that does not match at the end.
        let end = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        self.starts.push(end);
    }

    pub(super) fn finish(self) -> Result<Csr, CsrError> {
        Csr::new(self.starts, self.targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_that_are_no_graph_are_refused() {
        for (starts, targets) in [
            (vec![], vec![]),
            (vec![1], vec![]),
            (vec![0, 2], vec![0]),
            (vec![0, 1, 0, 1], vec![0]),
            (vec![0, 1], vec![1]),
        ] {
            assert!(Csr::new(starts, targets).is_err());
        }
        let graph = Csr::new(vec![0, 2, 2], vec![1, 1]).unwrap();
        assert_eq!((graph.len(), graph.successors(0)), (2, &[1, 1][..]));
    }
}
