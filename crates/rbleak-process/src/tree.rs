//! A process and all that it started. A web server is seldom one process: the
//! memory of the workers counts, and one of them answers.

use std::collections::HashSet;
use std::{fs, io};

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
    let others = all()
        .map_err(|source| ProcessError::reading(root.pid, "stat", source))?
        .into_iter()
        .filter(|stat| stat.pid != root.pid && !stat.is_zombie())
        .collect();
    Ok(descendants(root, others))
}

/// All processes that can be seen, zombies too, in no order. Those that end
/// meanwhile are left out.
///
/// # Errors
/// When there is no `/proc` to list.
pub fn all() -> io::Result<Vec<Stat>> {
    let pids =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(|pid| stat::read(pid).ok()).collect())
}

/// What belongs to a process that leads a group: the living among `all` that
/// are in the group, or below somebody in it. It takes both to find them: the
/// leader may have ended, and a process may have left the group. By start.
pub fn of_group(leader: Pid, all: &[Stat]) -> Vec<Stat> {
    let mut members: HashSet<Pid> = all
        .iter()
        .filter(|stat| stat.pid == leader || stat.group == leader)
        .map(|stat| stat.pid)
        .collect();
    loop {
        let before = members.len();
        for stat in all {
            if members.contains(&stat.parent) {
                members.insert(stat.pid);
            }
        }
        if members.len() == before {
            break;
        }
    }
    let mut living: Vec<Stat> = all
        .iter()
        .filter(|stat| members.contains(&stat.pid) && !stat.is_zombie())
        .cloned()
        .collect();
    living.sort_by_key(|stat| (stat.start_time, stat.pid));
    living
}

/// Whether `ancestor` is above `pid` among `all`.
pub fn descends(pid: Pid, ancestor: Pid, all: &[Stat]) -> bool {
    let parent = |pid| all.iter().find(|stat| stat.pid == pid).map(|s| s.parent);
    let mut current = parent(pid);
    // No longer than the list: numbers given out again could make a circle.
    for _ in all {
        match current {
            Some(above) if above == ancestor => return true,
            Some(above) => current = parent(above),
            None => return false,
        }
    }
    false
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
            group: Pid(pid),
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
    fn a_group_and_what_left_it_belong_together() {
        let member = |pid, parent, start_time| Stat {
            group: Pid(10),
            ..process(pid, parent, start_time)
        };
        let mut all = vec![
            member(10, 1, 10),
            // Its parent has ended.
            member(13, 1, 12),
            // Left the group.
            process(12, 11, 14),
            member(11, 10, 11),
            process(14, 1, 15),
        ];
        assert_eq!(pids(&of_group(Pid(10), &all)), [10, 11, 13, 12]);
        assert!(descends(Pid(12), Pid(10), &all));
        assert!(!descends(Pid(14), Pid(10), &all) && !descends(Pid(10), Pid(10), &all));

        // The leader has ended, and is waited for or not.
        all[0].state = 'Z';
        assert_eq!(pids(&of_group(Pid(10), &all)), [11, 13, 12]);
        all.remove(0);
        assert_eq!(pids(&of_group(Pid(10), &all)), [11, 13, 12]);
    }

    #[test]
    fn who_descends_is_found_out_in_a_circle_too() {
        let all = [process(11, 12, 10), process(12, 11, 10)];
        assert!(!descends(Pid(11), Pid(10), &all));
    }

    #[test]
    fn a_circle_comes_to_an_end() {
        let others = vec![process(11, 12, 10), process(12, 11, 10)];
        assert_eq!(pids(&descendants(process(10, 1, 1), others)), [10]);
    }
}
