//! A process and all that it started. A web server is seldom one process: the
//! memory of the workers counts, and one of them answers.

use std::fs;

use crate::stat::{self, Stat};
use crate::{Pid, ProcessError};

/// A process, its children, their children and so on: each parent before its
/// children, children by start. A child whose parent ended belongs to another
/// parent then and is not found. Zombies are left out, unless the root is one.
///
/// # Errors
/// When the root cannot be read. Others that end meanwhile are left out.
pub fn read(root: Pid) -> Result<Vec<Stat>, ProcessError> {
    let root = stat::read(root)?;
    let others = fs::read_dir("/proc")
        .map_err(|source| ProcessError::reading(root.pid, "stat", source))?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != root.pid)
        .filter_map(|pid| stat::read(pid).ok())
        .filter(|stat| !stat.is_zombie())
        .collect();
    Ok(descendants(root, others))
}

/// The tree below `root` among processes that were read one after another.
pub fn descendants(root: Stat, mut others: Vec<Stat>) -> Vec<Stat> {
    others.sort_by_key(|stat| (stat.start_time, stat.pid));
    let mut tree = Vec::new();
    let mut waiting = vec![root];
    while let Some(parent) = waiting.pop() {
        // A number that was given out again must not make a parent of what
        // is younger than its child.
        let (children, rest) = others.into_iter().partition(|stat: &Stat| {
            stat.parent == parent.pid && stat.start_time >= parent.start_time
        });
        others = rest;
        // The list is a stack: the oldest child goes on top.
        waiting.extend::<Vec<Stat>>(children.into_iter().rev().collect());
        tree.push(parent);
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, start_time: u64) -> Stat {
        Stat {
            pid: Pid(pid),
            name: "ruby".to_owned(),
            state: 'S',
            parent: Pid(parent),
            start_time,
        }
    }

    fn pids(tree: &[Stat]) -> Vec<u32> {
        tree.iter().map(|stat| stat.pid.0).collect()
    }

    #[test]
    fn parents_come_first_and_children_by_start() {
        let others = vec![
            process(5, 10, 30),
            process(12, 11, 25),
            process(11, 10, 20),
            process(99, 1, 5),
        ];
        let tree = descendants(process(10, 1, 10), others);
        assert_eq!(pids(&tree), [10, 11, 12, 5]);
    }

    #[test]
    fn a_reused_number_makes_no_parent() {
        let tree = descendants(process(10, 1, 100), vec![process(11, 10, 50)]);
        assert_eq!(pids(&tree), [10]);
    }

    #[test]
    fn a_circle_comes_to_an_end() {
        let others = vec![process(11, 12, 10), process(12, 11, 10)];
        assert_eq!(pids(&descendants(process(10, 1, 1), others)), [10]);
    }
}
