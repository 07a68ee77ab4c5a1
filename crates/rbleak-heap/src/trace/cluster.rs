//! Paths that say the same, or nearly, as one cluster.
//!
//! A path is the holder's name and, from there down to the old object on which
//! new ones hang, the named references and the classes. Lengths of containers
//! and identities of objects are no part of it, so that the Arrays of ten
//! thousand sessions are one. What is equal is one cluster; then similar ones
//! are merged.
//!
//! Similarity is that of memlab: paths are compared part by part from the top,
//! references and classes alike, the first part ten times as heavy as one behind
//! the last, and two paths whose weighted share of equal parts is [`SIMILAR`] or
//! more are one. The nearer to the name two paths part, the less likely are they
//! one leak. What a Rubyist would mend at two places is kept apart, unlike there:
//! paths with different names, with different objects right below the name, or
//! that go on by different variables.
//!
//! A path is compared with the largest clusters of its name, [`MAX_COMPARED`]
//! at most, and joins the first that is similar: time grows with the number of
//! paths, and the result depends on nothing but sizes and names.

use super::{HolderName, Step};
use crate::ObjectId;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// The share of a path that must be equal: memlab's figure. Of two or three
/// steps below the name the class of one but the first may then differ, and no
/// more.
pub const SIMILAR: f64 = 0.8;
/// The weight behind the last part; the first has 1, all lie on a line.
const LAST_WEIGHT: f64 = 0.1;
/// With how many clusters of the same name a path is compared.
const MAX_COMPARED: usize = 64;

/// What paths of one cluster have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Signature {
    pub(super) name: HolderName,
    /// The old object right below a name that stands for many: a class, a
    /// thread, a root. Two of them are two variables.
    pub(super) below: Option<ObjectId>,
    /// Without lengths.
    pub(super) steps: Vec<Step>,
}

/// New objects, and what they hang on.
#[derive(Clone, Debug, Default)]
pub(super) struct Cluster {
    /// The new objects.
    pub(super) ids: Vec<ObjectId>,
    /// Their shallow size.
    pub(super) bytes: u64,
    /// The old objects on which they hang.
    pub(super) accumulators: Vec<ObjectId>,
    /// The way up from the one with the largest part, and how large that is.
    pub(super) way: Vec<ObjectId>,
    pub(super) largest: u64,
    /// How many different paths were merged.
    pub(super) paths: u64,
}

impl Cluster {
    pub(super) fn add(&mut self, other: Cluster) {
        if self.way.is_empty() || other.largest > self.largest {
            self.way = other.way;
            self.largest = other.largest;
        }
        self.ids.extend(other.ids);
        self.bytes += other.bytes;
        self.accumulators.extend(other.accumulators);
    }
}

/// Merges clusters whose paths are similar, into the larger one.
pub(super) fn merge_similar(clusters: FxHashMap<Signature, Cluster>) -> Vec<(Signature, Cluster)> {
    let mut waiting: Vec<(Signature, Cluster)> = clusters.into_iter().collect();
    waiting.sort_by(|(a, x), (b, y)| {
        let size = |cluster: &Cluster| Reverse((cluster.bytes, cluster.ids.len()));
        (size(x), a).cmp(&(size(y), b))
    });
    let mut merged: Vec<(Signature, Cluster)> = Vec::with_capacity(waiting.len());
    let mut of_name: FxHashMap<HolderName, Vec<usize>> = FxHashMap::default();
    for (signature, mut cluster) in waiting {
        cluster.paths = 1;
        let known = of_name.entry(signature.name.clone()).or_default();
        let alike = known.iter().take(MAX_COMPARED).copied().find(|&at| {
            let (other, _) = &merged[at];
            other.below == signature.below && similarity(&other.steps, &signature.steps) >= SIMILAR
        });
        match alike {
            Some(at) => {
                let into = &mut merged[at].1;
                into.paths += 1;
                into.add(cluster);
            }
            None => {
                known.push(merged.len());
                merged.push((signature, cluster));
            }
        }
    }
    merged
}

/// The weighted share of parts that are equal, of two paths with one name,
/// which counts as their first part; 0 for what is never one.
fn similarity(a: &[Step], b: &[Step]) -> f64 {
    if a.first() != b.first() {
        return 0.0;
    }
    let steps = a.len().max(b.len());
    let parts = (1 + 2 * steps) as f64;
    let (mut equal, mut whole) = (1.0, 1.0);
    for at in 0..steps {
        let weight = |part: usize| 1.0 - (1.0 - LAST_WEIGHT) * part as f64 / parts;
        let (edge, object) = (weight(2 * at + 1), weight(2 * at + 2));
        whole += edge + object;
        let (Some(a), Some(b)) = (a.get(at), b.get(at)) else {
            continue;
        };
        match (&a.edge, &b.edge) {
            (Some(a), Some(b)) if a != b => return 0.0,
            (a, b) if a == b => equal += edge,
            _ => {}
        }
        if a.object == b.object {
            equal += object;
        }
    }
    equal / whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> Vec<Step> {
        let step = |part: &str| {
            let (edge, object) = match part.split_once(' ') {
                Some((edge, object)) => (Some(edge.to_owned()), object),
                None => (None, part),
            };
            Step {
                edge,
                object: object.to_owned(),
            }
        };
        text.split_whitespace()
            .map(|part| step(&part.replace(':', " ")))
            .collect()
    }

    fn cluster(id: usize, bytes: u64) -> Cluster {
        Cluster {
            ids: vec![ObjectId::from_index(id)],
            bytes,
            accumulators: vec![ObjectId::from_index(id)],
            way: vec![ObjectId::from_index(id)],
            largest: bytes,
            paths: 0,
        }
    }

    fn merged(paths: &[(&str, &str, u64)]) -> Vec<(String, u64, u64)> {
        let clusters = paths.iter().enumerate().map(|(id, (name, steps, bytes))| {
            let signature = Signature {
                name: HolderName::Named((*name).to_owned()),
                below: None,
                steps: path(steps),
            };
            (signature, cluster(id, *bytes))
        });
        merge_similar(clusters.collect())
            .into_iter()
            .map(|(signature, cluster)| (signature.name.to_string(), cluster.bytes, cluster.paths))
            .collect()
    }

    #[test]
    fn paths_that_part_late_are_one_and_those_that_part_early_are_two() {
        let hash_of = |class: &str| format!("Hash {class} @log:Array");
        let (users, posts) = (hash_of("User"), hash_of("Post"));
        let found = merged(&[("A", &users, 10), ("A", &posts, 5)]);
        assert_eq!(found, [("A".to_owned(), 15, 2)]);
        let found = merged(&[
            ("A", "Store @index:Hash", 10),
            ("A", "Store @queue:Array", 5),
        ]);
        assert_eq!(found.len(), 2);
        let found = merged(&[("A", "Hash Array", 10), ("A", "Hash Hash", 5)]);
        assert_eq!(found, [("A".to_owned(), 15, 2)]);
        let found = merged(&[("A", "Hash", 10), ("A", "Array", 5)]);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn paths_with_different_names_are_never_one() {
        let long = "Store @a:Hash Array Hash Array Hash Array";
        let found = merged(&[("A", long, 10), ("B", long, 5)]);
        assert_eq!(found, [("A".to_owned(), 10, 1), ("B".to_owned(), 5, 1)]);
    }

    #[test]
    fn a_hundred_thousand_paths_take_no_time() {
        let paths: Vec<(String, u64)> = (0..100_000)
            .map(|number| (format!("@a{number}:Hash @b{number}:Array"), number))
            .collect();
        let input: Vec<_> = paths
            .iter()
            .map(|(steps, bytes)| ("A", steps.as_str(), *bytes))
            .collect();
        let start = std::time::Instant::now();
        assert!(merged(&input).len() > MAX_COMPARED);
        // All pairs would be ten milliards.
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_order_does_not_matter(
            sizes in prop::collection::vec((0..4_usize, 0..6_usize, 1..9_u64), 1..30),
        ) {
            let names = ["A", "B", "C", "D"];
            let steps = ["Hash", "Hash Array", "Hash Hash", "X @a:Y @b:Z", "X @a:Y @b:W", "X @a:Y @c:Z"];
            // A signature is there once.
            let mut input: Vec<_> = sizes.iter().map(|&(n, s, bytes)| (names[n], steps[s], bytes)).collect();
            input.sort_by_key(|&(name, steps, _)| (name, steps));
            input.dedup_by_key(|&mut (name, steps, _)| (name, steps));
            let there = merged(&input);
            input.reverse();
            prop_assert_eq!(&there, &merged(&input));
            let sum = |found: &[(String, u64, u64)]| found.iter().map(|f| f.1).sum::<u64>();
            prop_assert_eq!(sum(&there), input.iter().map(|i| i.2).sum::<u64>());
            prop_assert_eq!(there.iter().map(|f| f.2).sum::<u64>(), input.len() as u64);
        }

        #[test]
        fn similarity_is_symmetric_and_whole_for_equals(a in 0..6_usize, b in 0..6_usize) {
            let steps = ["", "Hash", "Hash Array", "Hash Hash", "X @a:Y @b:Z", "X @a:Y @b:W"];
            let (a, b) = (path(steps[a]), path(steps[b]));
            prop_assert_eq!(similarity(&a, &b), similarity(&b, &a));
            prop_assert_eq!(similarity(&a, &b) == 1.0, a == b);
        }
    }
}
