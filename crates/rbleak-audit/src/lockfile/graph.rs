//! Which gem brought which.

use super::{Dependency, Lockfile};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// The shortest way from the Gemfile to every gem, and who asks for it.
#[derive(Debug)]
pub struct Graph<'a> {
    /// Gem → the gem that brought it; `None`: the Gemfile itself.
    brought_by: FxHashMap<&'a str, Option<&'a str>>,
    lockfile: &'a Lockfile,
}

impl<'a> Graph<'a> {
    /// Walks the lockfile once, breadth first, in the order of its lines.
    pub fn new(lockfile: &'a Lockfile) -> Graph<'a> {
        let mut asks: FxHashMap<&str, Vec<&'a Dependency>> = FxHashMap::default();
        for gem in &lockfile.gems {
            asks.entry(&gem.name).or_default().extend(&gem.dependencies);
        }
        let mut brought_by = FxHashMap::default();
        let mut queue = VecDeque::new();
        for dependency in &lockfile.dependencies {
            let name = dependency.name.as_str();
            if asks.contains_key(name) && brought_by.insert(name, None).is_none() {
                queue.push_back(name);
            }
        }
        while let Some(name) = queue.pop_front() {
            for dependency in asks.get(name).into_iter().flatten() {
                let next = dependency.name.as_str();
                if asks.contains_key(next) && !brought_by.contains_key(next) {
                    brought_by.insert(next, Some(name));
                    queue.push_back(next);
                }
            }
        }
        Graph {
            brought_by,
            lockfile,
        }
    }

    /// From a gem of the Gemfile to `name`, both included. Empty where the
    /// Gemfile does not lead to it.
    pub fn way_to(&self, name: &'a str) -> Vec<&'a str> {
        let mut way = Vec::new();
        let mut at = Some(name);
        while let Some(name) = at {
            let Some(before) = self.brought_by.get(name) else {
                return Vec::new();
            };
            way.push(name);
            at = *before;
        }
        way.reverse();
        way
    }

    /// Whether the Gemfile asks for `name` itself.
    pub fn is_direct(&self, name: &str) -> bool {
        matches!(self.brought_by.get(name), Some(None))
    }

    /// Who asks for `name`, and for which versions: the asking gem (`None` for
    /// the Gemfile) and what it asks, in the order of the lines.
    pub fn asked_by(&self, name: &str) -> Vec<(Option<&'a str>, &'a Dependency)> {
        let of_gems = self.lockfile.gems.iter().flat_map(|gem| {
            gem.dependencies
                .iter()
                .map(|dependency| (Some(gem.name.as_str()), dependency))
        });
        self.lockfile
            .dependencies
            .iter()
            .map(|dependency| (None, dependency))
            .chain(of_gems)
            .filter(|(_, dependency)| dependency.name == name)
            .collect()
    }
}
