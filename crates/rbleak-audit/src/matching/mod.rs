//! Which advisories apply to a lockfile and its Ruby, which do not and why,
//! and what there is to do.

mod conditions;
mod remedy;

pub use remedy::Remedy;

use crate::advisory::Advisory;
use crate::database::Database;
use crate::ignore::{Ignore, Ignores};
use crate::lockfile::{Dependency, Graph, LockedGem, Lockfile, Source, SourceKind};
use crate::ruby::RubyVersion;
use crate::version::GemVersion;
use conditions::{Here, Holds};
use std::cell::OnceCell;
use std::collections::HashSet;

/// What is audited, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The bundle.
    pub lockfile: &'a Lockfile,
    /// The Ruby, and its line in the lockfile where it is from there.
    pub ruby: Option<(&'a RubyVersion, Option<u32>)>,
    /// What is known.
    pub database: &'a Database,
    /// What is to be passed over.
    pub ignores: &'a Ignores,
    /// To tell which of the ignores have expired.
    pub today: jiff::civil::Date,
}

/// The answer.
#[derive(Debug)]
pub struct Audit<'a> {
    /// What leaks: gems in the order of their names, Ruby last.
    pub found: Vec<AdvisoryMatch<'a>>,
    /// What would leak if something else held, too, or is ignored.
    pub passed_over: Vec<AdvisoryMatch<'a>>,
    /// Gems whose code is not that of the version.
    pub unknown: Vec<Unknown<'a>>,
    /// Different gems in the lockfile.
    pub gems: usize,
    /// Ignores that passed nothing over.
    pub unused: Vec<&'a Ignore>,
    /// Ignores that no longer pass anything over, and would.
    pub expired: Vec<&'a Ignore>,
}

/// One gem in one version, or the Ruby, with all that is known of it.
#[derive(Debug)]
pub struct AdvisoryMatch<'a> {
    /// What it is.
    pub what: Matched<'a>,
    /// Its leaks that count, the certain ones first.
    pub leaks: Vec<Leak<'a>>,
    /// Leaks of this version that do not apply here.
    pub excluded: Vec<Excluded<'a>>,
    /// Leaks that `.rbleak.yml` passes over.
    pub ignored: Vec<(Leak<'a>, &'a Ignore)>,
    /// The version without any of `leaks`.
    pub remedy: Remedy,
    /// Those who ask for this gem in a way that rules the remedy out: the gem,
    /// or `None` for the Gemfile, and what it asks.
    pub blockers: Vec<(Option<&'a str>, &'a Dependency)>,
}

/// What an advisory matched.
#[derive(Debug)]
pub enum Matched<'a> {
    /// A gem of the lockfile.
    Gem {
        /// The same gem and version, once for each platform.
        entries: Vec<&'a LockedGem>,
        /// From a gem of the Gemfile to this one, both included; empty where
        /// the lockfile does not say, or nothing of it leaks.
        way: Vec<&'a str>,
    },
    /// The Ruby that runs it.
    Ruby {
        /// Which.
        ruby: &'a RubyVersion,
        /// Its line in the lockfile.
        line: Option<u32>,
    },
}

impl Matched<'_> {
    /// The gem's name or the engine's.
    pub fn name(&self) -> &str {
        match self {
            Matched::Gem { entries, .. } => &entries[0].name,
            Matched::Ruby { ruby, .. } => &ruby.engine,
        }
    }

    /// Its version as it is written.
    pub fn version(&self) -> &str {
        match self {
            Matched::Gem { entries, .. } => entries[0].version.as_str(),
            Matched::Ruby { ruby, .. } => ruby.own_version().map_or("", GemVersion::as_str),
        }
    }

    /// Its first line in the lockfile.
    pub fn line(&self) -> Option<u32> {
        match self {
            Matched::Gem { entries, .. } => Some(entries[0].line),
            Matched::Ruby { line, .. } => *line,
        }
    }

    /// Whether it is the Ruby.
    pub fn is_ruby(&self) -> bool {
        matches!(self, Matched::Ruby { .. })
    }
}

/// A leak that applies.
#[derive(Debug)]
pub struct Leak<'a> {
    /// Which.
    pub advisory: &'a Advisory,
    /// Conditions of which a lockfile does not tell whether they hold.
    pub provided: Vec<String>,
}

/// A leak of this version that does not apply here.
#[derive(Debug)]
pub struct Excluded<'a> {
    /// Which.
    pub advisory: &'a Advisory,
    /// Why not: `curb is not in the lockfile`.
    pub because: String,
}

/// A gem that is known to leak in some versions, from a place where the
/// version does not tell what the code is.
#[derive(Debug)]
pub struct Unknown<'a> {
    /// The gem.
    pub gem: &'a LockedGem,
    /// The repository or folder.
    pub source: &'a Source,
    /// What would leak if it were the release of that version.
    pub would_leak: Vec<&'a Advisory>,
}

/// Audits a lockfile and its Ruby.
pub fn audit<'a>(question: &Question<'a>) -> Audit<'a> {
    let mut gems: Vec<&LockedGem> = question.lockfile.gems.iter().collect();
    gems.sort_by(|a, b| (&a.name, &a.version, a.line).cmp(&(&b.name, &b.version, b.line)));
    let mut audit = Audit {
        found: Vec::new(),
        passed_over: Vec::new(),
        unknown: Vec::new(),
        gems: gems.chunk_by(|a, b| a.name == b.name).count(),
        unused: Vec::new(),
        expired: Vec::new(),
    };
    // Most lockfiles lead nowhere, and need no way.
    let graph = OnceCell::new();
    let graph = || graph.get_or_init(|| Graph::new(question.lockfile));
    let mut seen = HashSet::new();
    for entries in gems.chunk_by(|a, b| a.name == b.name && a.version == b.version) {
        let advisories = question.database.about_gem(&entries[0].name);
        if advisories.is_empty() {
            continue;
        }
        let (servers, others): (Vec<&LockedGem>, Vec<&LockedGem>) = entries
            .iter()
            .partition(|gem| question.lockfile.source_of(gem).kind == SourceKind::Gem);
        audit.unknown.extend(others.into_iter().map(|gem| {
            Unknown {
                gem,
                source: question.lockfile.source_of(gem),
                would_leak: advisories
                    .iter()
                    .filter(|a| a.affects(&gem.version))
                    .collect(),
            }
        }));
        if servers.is_empty() {
            continue;
        }
        let here: Vec<Here<'_>> = servers
            .iter()
            .map(|gem| Here::of_gem(question, gem))
            .collect();
        let name = servers[0].name.as_str();
        let what = Matched::Gem {
            entries: servers,
            way: Vec::new(),
        };
        let mut found = sort_out(question, advisories, what, &here, &mut seen);
        if found.leaks.is_empty() {
            audit.put(found);
            continue;
        }
        if let Matched::Gem { way, .. } = &mut found.what {
            *way = graph().way_to(name);
        }
        found.blockers = match &found.remedy {
            Remedy::AtLeast(target) => graph()
                .asked_by(name)
                .into_iter()
                .filter(|(_, dependency)| !dependency.requirement.allows(target))
                .collect(),
            _ => Vec::new(),
        };
        // A gem that is locked for several platforms asks once for each.
        found
            .blockers
            .dedup_by(|a, b| a.0 == b.0 && a.1.requirement == b.1.requirement);
        audit.put(found);
    }
    if let Some((ruby, line)) = question.ruby {
        let advisories = question.database.about_ruby(&ruby.engine);
        let here = [Here::of_ruby(question)];
        let what = Matched::Ruby { ruby, line };
        audit.put(sort_out(question, advisories, what, &here, &mut seen));
    }
    for ignore in &question.ignores.all {
        match (
            seen.contains(ignore.id.as_str()),
            ignore.is_expired(question.today),
        ) {
            (false, _) => audit.unused.push(ignore),
            (true, true) => audit.expired.push(ignore),
            (true, false) => {}
        }
    }
    audit
}

impl<'a> Audit<'a> {
    fn put(&mut self, found: AdvisoryMatch<'a>) {
        if !found.leaks.is_empty() {
            self.found.push(found);
        } else if !found.excluded.is_empty() || !found.ignored.is_empty() {
            self.passed_over.push(found);
        }
    }
}

/// Sorts the advisories that are true of `version` by whether they apply.
/// `here` are the places it runs in, one at least: a leak applies if it does in
/// one of them.
fn sort_out<'a>(
    question: &Question<'a>,
    advisories: &'a [Advisory],
    what: Matched<'a>,
    here: &[Here<'a>],
    seen: &mut HashSet<&'a str>,
) -> AdvisoryMatch<'a> {
    let mut found = AdvisoryMatch {
        what,
        leaks: Vec::new(),
        excluded: Vec::new(),
        ignored: Vec::new(),
        remedy: Remedy::Unknown,
        blockers: Vec::new(),
    };
    let Ok(version) = found.what.version().parse::<GemVersion>() else {
        return found;
    };
    for advisory in advisories.iter().filter(|a| a.affects(&version)) {
        let verdicts = here.iter().map(|here| here.applies(advisory));
        let Some(best) = verdicts.min() else {
            continue;
        };
        let provided = match best {
            Holds::Yes => Vec::new(),
            Holds::Provided(conditions) => conditions,
            Holds::No(because) => {
                found.excluded.push(Excluded { advisory, because });
                continue;
            }
        };
        let leak = Leak { advisory, provided };
        seen.insert(&advisory.id);
        match question.ignores.of(&advisory.id, question.today) {
            Some(ignore) => found.ignored.push((leak, ignore)),
            None => found.leaks.push(leak),
        }
    }
    found.leaks.sort_by_key(|leak| {
        let measured = leak.advisory.measured.as_ref();
        let bytes = measured.map_or(0.0, |measured| measured.bytes_per_call);
        (
            !leak.provided.is_empty(),
            std::cmp::Reverse(leak.advisory.certainty),
            std::cmp::Reverse(bytes as u64),
            &leak.advisory.id,
        )
    });
    // A version that brings another leak is no remedy, unless that one does
    // not apply here either.
    let relevant: Vec<&Advisory> = advisories
        .iter()
        .filter(|a| {
            here.iter()
                .any(|here| !matches!(here.applies(a), Holds::No(_)))
        })
        .filter(|a| question.ignores.of(&a.id, question.today).is_none())
        .collect();
    found.remedy = Remedy::find(&version, &found.leaks, &relevant);
    found
}
