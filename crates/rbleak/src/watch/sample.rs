//! Asks the operating system: who belongs to the tree, and what each holds.
//! What is cheap is asked every time, what is dear within a [`Budget`].

use super::budget::Budget;
use super::rows::{SETTLES, Title};
use rbleak_process::cgroup::{GroupMemory, MemoryGroup};
use rbleak_process::kinds::{self, Kinds};
use rbleak_process::ruby_pages::Layout;
use rbleak_process::smaps_rollup::{self, MemoryRollup};
use rbleak_process::stat::Stat;
use rbleak_process::{Pid, cmdline, maps, ruby, smaps, status, tree};
use rbleak_units::Bytes;
use std::collections::HashSet;
use std::time::Instant;

/// Of the time, for walks through all pages: the kernel holds up the process's
/// own mappings meanwhile.
const WALKS: f64 = 0.002;
/// Of the time, for looking through all processes of the machine.
const SCANS: f64 = 0.002;
/// A worker that ended is replaced within so many seconds, or is not.
const REPLACED: f64 = 10.0;
/// Control groups are read once in so many seconds.
const GROUP_EVERY: f64 = 1.0;
/// One of so many walks tells kinds of memory apart.
const KINDS_ONE_OF: u64 = 5;

/// What one process held at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) pid: Pid,
    pub(crate) parent: Pid,
    pub(crate) title: Title,
    /// Seconds since it was started.
    pub(crate) age: f64,
    pub(crate) rss: Bytes,
    /// Anonymous memory, with what of it lies in swap space.
    pub(crate) anonymous: Option<Bytes>,
    /// What a walk through its pages found, where there was one.
    pub(crate) walked: Option<MemoryRollup>,
    pub(crate) kinds: Option<Kinds>,
}

/// The tree at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) processes: Vec<Seen>,
    /// Those that have ended since the moment before.
    pub(crate) ended: Vec<Pid>,
    /// The control group, where it was read.
    pub(crate) group: Option<GroupMemory>,
}

/// A process of the tree.
struct Member {
    stat: Stat,
    title: Title,
    /// The Ruby's layout, once it was looked for.
    layout: Option<Option<Layout>>,
    walks: u64,
    walked_at: f64,
    /// Others' processes cannot be walked through.
    may_walk: bool,
}

/// Follows a process and all below it.
pub(crate) struct Sampler {
    members: Vec<Member>,
    root: Pid,
    group: Option<MemoryGroup>,
    group_at: f64,
    scans: Budget,
    walks: Budget,
    /// When one ended last.
    ended_at: f64,
}

impl Sampler {
    /// From a process on that was just looked at.
    pub(crate) fn new(root: &Stat, group: Option<MemoryGroup>) -> Sampler {
        Sampler {
            members: vec![Member::new(root.clone())],
            root: root.pid,
            group,
            group_at: f64::NEG_INFINITY,
            scans: Budget::new(SCANS),
            walks: Budget::new(WALKS),
            ended_at: f64::NEG_INFINITY,
        }
    }

    /// Whether all of the tree has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the process that the tree began with lives.
    pub(crate) fn has_root(&self) -> bool {
        self.members
            .iter()
            .any(|member| member.stat.pid == self.root)
    }

    /// Looks at everybody, `now` seconds after the watch began and `uptime`
    /// after the machine did. `last` walks through everybody once more.
    pub(crate) fn look(&mut self, now: f64, uptime: f64, last: bool) -> Moment {
        let mut moment = Moment::default();
        if self.scans.allows(now) || now - self.ended_at < REPLACED {
            let before = Instant::now();
            moment.ended = self.scan();
            self.scans.spend(before.elapsed().as_secs_f64());
        }
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let mut living = Vec::new();
        for member in self.members.drain(..) {
            let pid = member.stat.pid;
            let read = status::read(pid).ok();
            // A zombie has a status and no memory.
            let Some((status, rss)) = read.and_then(|s| s.rss.map(|rss| (s, rss))) else {
                moment.ended.push(pid);
                continue;
            };
            let swap = status.swap.unwrap_or_default();
            moment.processes.push(Seen {
                pid,
                parent: member.stat.parent,
                title: member.title.clone(),
                age: (uptime - member.stat.start_time as f64 / ticks).max(0.0),
                rss,
                anonymous: status.anonymous.map(|anonymous| anonymous + swap),
                walked: None,
                kinds: None,
            });
            living.push(member);
        }
        self.members = living;
        if !moment.ended.is_empty() {
            self.ended_at = now;
        }
        self.walk(now, last, &mut moment.processes);
        if now - self.group_at >= GROUP_EVERY || last {
            self.group_at = now;
            moment.group = self.group.as_ref().map(MemoryGroup::read);
        }
        moment
    }

    /// Finds who belongs to the tree now; who no longer lives.
    fn scan(&mut self) -> Vec<Pid> {
        let all = tree::all().unwrap_or_default();
        let is_same = |member: &Member, stat: &Stat| {
            stat.pid == member.stat.pid && stat.start_time == member.stat.start_time
        };
        let mut ended = Vec::new();
        self.members.retain_mut(|member| {
            let found = all.iter().find(|stat| is_same(member, stat));
            match found.filter(|stat| !stat.is_zombie()) {
                Some(stat) => member.name(&stat.name),
                None => ended.push(member.stat.pid),
            }
            found.is_some_and(|stat| !stat.is_zombie())
        });
        let mut known: HashSet<Pid> = self.members.iter().map(|m| m.stat.pid).collect();
        // Parents are older than their children, but the table is in no order.
        loop {
            let born: Vec<&Stat> = all
                .iter()
                .filter(|stat| known.contains(&stat.parent) && !known.contains(&stat.pid))
                // Whoever watches its own shell does not watch itself.
                .filter(|stat| !stat.is_zombie() && stat.pid != Pid::own())
                .collect();
            if born.is_empty() {
                break;
            }
            for stat in born {
                known.insert(stat.pid);
                self.members.push(Member::new(stat.clone()));
            }
        }
        ended
    }

    /// Walks through the pages of those whose turn it is.
    fn walk(&mut self, now: f64, last: bool, seen: &mut [Seen]) {
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.sort_by(|&a, &b| {
            let at = |index: usize| self.members[index].walked_at;
            at(a).total_cmp(&at(b))
        });
        for index in order {
            let member = &mut self.members[index];
            let is_first = member.walks == 0;
            let is_turn = is_first || last || (member.walked_at < now && self.walks.allows(now));
            if !member.may_walk || !is_turn {
                continue;
            }
            let place = &mut seen[index];
            // It has no row yet.
            if place.age < SETTLES && !place.title.is_numbered {
                continue;
            }
            let before = Instant::now();
            let is_full = last || member.walks.is_multiple_of(KINDS_ONE_OF);
            match member.read(is_full) {
                Some((walked, kinds)) => (place.walked, place.kinds) = (Some(walked), kinds),
                None => member.may_walk = false,
            }
            member.walks += 1;
            member.walked_at = now;
            self.walks.spend(before.elapsed().as_secs_f64());
        }
    }
}

impl Member {
    fn new(stat: Stat) -> Member {
        let title = Title::of(&cmdline::read(stat.pid).unwrap_or_default(), &stat.name);
        Member {
            stat,
            title,
            layout: None,
            walks: 0,
            walked_at: f64::NEG_INFINITY,
            may_walk: true,
        }
    }

    /// Its title may have changed: after a fork, or an exec.
    fn name(&mut self, program: &str) {
        let words = cmdline::read(self.stat.pid).unwrap_or_default();
        let title = Title::of(&words, program);
        if title != self.title {
            self.title = title;
            self.layout = None;
        }
    }

    fn read(&mut self, is_full: bool) -> Option<(MemoryRollup, Option<Kinds>)> {
        let pid = self.stat.pid;
        if !is_full && let Ok(rollup) = smaps_rollup::read(pid) {
            return Some((rollup, None));
        }
        // Kernels before 4.14 have no rollup.
        let resident = smaps::read(pid).ok()?;
        let layout = *self.layout.get_or_insert_with(|| {
            let mappings = maps::read(pid).unwrap_or_default();
            Layout::of(&ruby::description(pid, &mappings)?)
        });
        let kinds = kinds::read(pid, &resident, layout);
        Some((smaps::rollup(&resident), Some(kinds)))
    }
}
