//! Dominators of plain graphs, against petgraph and against brute force.
#![allow(clippy::unwrap_used)]

use petgraph::algo::dominators::simple_fast;
use petgraph::graph::{DiGraph, NodeIndex};
use proptest::prelude::*;
use rbleak_heap::graph::{Csr, DominatorTree};
use std::time::{Duration, Instant};

fn csr(nodes: u32, edges: &[(u32, u32)]) -> Csr {
    let mut edges = edges.to_vec();
    edges.sort_by_key(|edge| edge.0);
    let mut starts = vec![0; nodes as usize + 1];
    for &(from, _) in &edges {
        starts[from as usize + 1] += 1;
    }
    for node in 0..nodes as usize {
        starts[node + 1] += starts[node];
    }
    Csr::new(starts, edges.iter().map(|edge| edge.1).collect()).unwrap()
}

/// What a root reaches when one node is taken away.
fn reached(graph: &Csr, without: Option<u32>) -> Vec<bool> {
    let mut seen = vec![false; graph.len()];
    let mut todo: Vec<u32> = if without == Some(0) { vec![] } else { vec![0] };
    while let Some(node) = todo.pop() {
        if !std::mem::replace(&mut seen[node as usize], true) {
            let next = graph.successors(node).iter().copied();
            todo.extend(next.filter(|&next| Some(next) != without));
        }
    }
    seen
}

fn check(nodes: u32, edges: &[(u32, u32)]) {
    let graph = csr(nodes, edges);
    let tree = DominatorTree::new(&graph, 0);

    let mut theirs = DiGraph::<(), ()>::new();
    for _ in 0..nodes {
        theirs.add_node(());
    }
    theirs.extend_with_edges(edges.iter().copied());
    let theirs = simple_fast(&theirs, NodeIndex::new(0));
    for node in 0..nodes {
        let expected = theirs.immediate_dominator(NodeIndex::new(node as usize));
        let expected = expected.map(|above| above.index() as u32);
        assert_eq!(
            tree.immediate_dominator(node),
            expected,
            "{node} of {edges:?}"
        );
    }

    let weight = |node: u32| u64::from(node) * 7 + 1;
    let retained = tree.retained(weight);
    let all = reached(&graph, None);
    for (rank, &node) in tree.nodes().iter().enumerate() {
        let left = reached(&graph, Some(node));
        let freed: u64 = (0..nodes)
            .filter(|&n| all[n as usize] && !left[n as usize])
            .map(weight)
            .sum();
        assert_eq!(retained[rank], freed, "{node} of {edges:?}");
    }
    for node in 0..nodes {
        assert_eq!(tree.is_reached(node), all[node as usize]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Loops, repetitions and unreachable parts included.
    #[test]
    fn random_graphs(
        (nodes, edges) in (1_u32..40).prop_flat_map(|nodes| {
            let edge = (0..nodes, 0..nodes);
            (Just(nodes), prop::collection::vec(edge, 0..120))
        })
    ) {
        check(nodes, &edges);
    }
}

#[test]
fn the_graphs_of_the_papers() {
    // Lengauer and Tarjan, figure 1: R A B C D E F G H I J K L.
    let edges = "RA RB RC AD BA BD BE CF CG DL EH FI GI GJ HE HK IK JI KI KR LH";
    let number = |c: u8| "RABCDEFGHIJKL".bytes().position(|b| b == c).unwrap() as u32;
    let edges: Vec<_> = edges
        .split(' ')
        .map(|edge| (number(edge.as_bytes()[0]), number(edge.as_bytes()[1])))
        .collect();
    check(13, &edges);
    // Irreducible: two ways into a loop.
    check(4, &[(0, 1), (0, 2), (1, 2), (2, 1), (2, 3), (1, 3)]);
    check(1, &[(0, 0)]);
    check(3, &[]);
}

const MANY: u32 = 5_000_000;

/// Generous: what is quadratic takes hours.
fn quickly<T>(what: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = what();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(60), "took {took:?}");
    value
}

#[test]
fn a_list_of_five_million_neither_overflows_nor_takes_long() {
    let starts = (0..MANY).chain([MANY - 1]).collect();
    let graph = Csr::new(starts, (1..MANY).collect()).unwrap();
    let tree = quickly(|| DominatorTree::new(&graph, 0));
    assert_eq!(tree.immediate_dominator(MANY - 1), Some(MANY - 2));
    assert_eq!(tree.retained(|_| 1)[0], u64::from(MANY));
}

#[test]
fn an_array_of_five_million() {
    let starts = std::iter::once(0)
        .chain((0..MANY).map(|_| MANY - 1))
        .collect();
    let graph = Csr::new(starts, (1..MANY).collect()).unwrap();
    let tree = quickly(|| DominatorTree::new(&graph, 0));
    assert_eq!(tree.immediate_dominator(MANY - 1), Some(0));
    assert_eq!(tree.reached(), MANY as usize);
}

#[test]
fn five_million_edges_to_one_object() {
    let graph = Csr::new(vec![0, 1, MANY, MANY], {
        let mut targets = vec![2; MANY as usize];
        targets[0] = 1;
        targets
    })
    .unwrap();
    let tree = quickly(|| DominatorTree::new(&graph, 0));
    assert_eq!(tree.immediate_dominator(2), Some(1));
}

#[test]
fn a_doubly_linked_list_whose_ends_are_held() {
    // 0 is the list; each node knows its neighbours.
    let nodes = 1_000_000_u32;
    let mut edges = vec![(0, 1), (0, nodes - 1)];
    for node in 1..nodes - 1 {
        edges.push((node, node + 1));
        edges.push((node + 1, node));
    }
    let graph = csr(nodes, &edges);
    let tree = quickly(|| DominatorTree::new(&graph, 0));
    // From both ends each node is reached without its neighbours.
    assert!((1..nodes).all(|node| tree.immediate_dominator(node) == Some(0)));
}

/// A list whose values are in an array, too: semi-NCA as published climbs the
/// whole list for each value.
#[test]
fn a_list_whose_values_something_else_holds_is_not_quadratic() {
    let list = 500_000_u32;
    let array = 2 * list + 1;
    let mut edges = vec![(0, 1), (0, array)];
    for node in 1..=list {
        if node < list {
            edges.push((node, node + 1));
        }
        edges.push((node, list + node));
        edges.push((array, list + node));
    }
    let graph = csr(array + 1, &edges);
    let tree = quickly(|| DominatorTree::new(&graph, 0));
    for node in 1..=list {
        assert_eq!(tree.immediate_dominator(list + node), Some(0));
        assert_eq!(tree.immediate_dominator(node), Some(node - 1));
    }
}
