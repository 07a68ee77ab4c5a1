//! `--find`: a process by its name, for where its number is not known before:
//! beside a container that may start later, or again.

use crate::watch::name_of;
use anyhow::{Context, Result};
use rbleak_process::stat::Stat;
use rbleak_process::{Pid, tree};
use std::collections::HashMap;

/// What goes by the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The oldest.
    pub(crate) pid: Pid,
    /// How many others there are.
    pub(crate) others: usize,
}

/// The oldest process of that name that is not below another one.
///
/// # Errors
/// Where processes cannot be listed.
pub(crate) fn find(name: &str) -> Result<Option<Found>> {
    let all = tree::all().context("cannot list processes")?;
    Ok(among(&all, |stat| {
        stat.pid != Pid::own() && !stat.is_zombie() && name_of(stat) == name
    }))
}

fn among(all: &[Stat], is_meant: impl Fn(&Stat) -> bool) -> Option<Found> {
    let meant: HashMap<Pid, &Stat> = all
        .iter()
        .filter(|stat| is_meant(stat))
        .map(|stat| (stat.pid, stat))
        .collect();
    let parents: HashMap<Pid, Pid> = all.iter().map(|stat| (stat.pid, stat.parent)).collect();
    let is_below = |stat: &Stat| {
        let mut above = stat.parent;
        // No longer than there are processes: the list is no snapshot.
        for _ in 0..all.len() {
            if meant.contains_key(&above) {
                return true;
            }
            match parents.get(&above) {
                Some(next) => above = *next,
                None => break,
            }
        }
        false
    };
    let mut tops: Vec<&Stat> = meant
        .values()
        .copied()
        .filter(|stat| !is_below(stat))
        .collect();
    tops.sort_by_key(|stat| (stat.start_time, stat.pid));
    let first = tops.first()?;
    Some(Found {
        pid: first.pid,
        others: tops.len() - 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32, start_time: u64) -> Stat {
        Stat {
            pid: Pid(pid),
            parent: Pid(parent),
            group: Pid(pid),
            start_time,
            name: String::new(),
            state: 'S',
        }
    }

    #[test]
    fn the_top_of_the_oldest_tree_is_meant() {
        let all = [
            stat(1, 0, 0),
            stat(50, 1, 100),
            stat(51, 50, 101),
            stat(60, 1, 90),
            stat(61, 60, 95),
        ];
        let meant = |pids: &'static [u32]| among(&all, move |stat| pids.contains(&stat.pid.0));
        let found = |pid, others| {
            Some(Found {
                pid: Pid(pid),
                others,
            })
        };
        assert_eq!(meant(&[50, 51]), found(50, 0));
        assert_eq!(meant(&[50, 51, 60, 61]), found(60, 1));
        assert_eq!(meant(&[51]), found(51, 0));
        assert_eq!(meant(&[]), None);
        // A table that goes in circles ends, too.
        let circle = [stat(2, 3, 0), stat(3, 2, 0)];
        assert_eq!(among(&circle, |stat| stat.pid.0 == 2), None);
    }
}
