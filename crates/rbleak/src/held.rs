//! Who holds what grew between dumps, and whether it went on growing.
//!
//! The same for the dumps of a hunt and for any series of dumps; it knows
//! neither rounds nor words.

use crate::memory;
use crate::run::RunDirectory;
use crate::shell;
use anyhow::{Context, Result};
use rbleak_capture::RecordedRun;
use rbleak_heap::trace::{Grower, Holder, TraceInput, growers, holders, tool_objects};
use rbleak_heap::{
    Analysis, Diff, Heap, Identity, Memory, Names, ObjectId, ObjectType, ReadError, ReadOptions,
    diff,
};
use rbleak_units::Bytes;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// Dumps of one process, oldest first, and the names of the last.
pub(crate) struct Evidence {
    pub(crate) heaps: Vec<Heap>,
    pub(crate) names: Names,
    /// What rates are per, counted at each dump: requests since the first
    /// sample, or the dumps themselves.
    pub(crate) counts: Vec<u64>,
    /// Where the agent's own code lay.
    pub(crate) agent_directory: PathBuf,
}

/// What holds what grew.
#[derive(Default)]
pub(crate) struct Held {
    /// Holders whose growth went on from dump to dump, the largest first.
    pub(crate) growing: Vec<Ranked>,
    /// Holders that had grown and stopped, or whose content was replaced.
    pub(crate) levelled: Vec<Ranked>,
    /// Growth that is known to stop, and has, or may yet: a row of the table of
    /// `rbleak_heap::trace::BENIGN` each.
    pub(crate) known: Vec<Ranked>,
    /// Objects that got longer from dump to dump, the fastest first; looked
    /// for only where no new objects explain the growth.
    pub(crate) growers: Vec<Grower>,
    /// How much was counted between the first dump and the last.
    pub(crate) span: u64,
    /// Holders too small to matter.
    pub(crate) noise: usize,
    /// Whether any of them is of no kind that is known to stop.
    pub(crate) is_noise_unknown: bool,
    /// New objects that are rbleak's own.
    pub(crate) own_objects: u64,
    /// Slots that were given to another object between two dumps.
    pub(crate) reused_slots: u64,
    /// Remarks on the dumps.
    pub(crate) warnings: Vec<String>,
}

/// A holder and its rates.
pub(crate) struct Ranked {
    pub(crate) holder: Holder,
    pub(crate) trend: Trend,
    pub(crate) objects_per: f64,
    pub(crate) bytes_per: f64,
    /// Of the bytes of all new objects.
    pub(crate) share: f64,
    /// Whether what they hang on is a Hash, as caches are.
    pub(crate) is_hash: bool,
    pub(crate) sites: Vec<RankedSite>,
}

/// Where some of a holder's objects are born.
pub(crate) struct RankedSite {
    /// Path, line and method; `None` for objects without a site.
    pub(crate) place: Option<Place>,
    pub(crate) class: String,
    pub(crate) objects_per: f64,
    /// On average.
    pub(crate) bytes_each: f64,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) method: Option<String>,
    pub(crate) in_app: bool,
}

/// The later of two intervals must bring this share of what the earlier
/// brought, and the other way round: a leak brings the same each time, a cache
/// that fills or is replaced does not.
const STEADY: f64 = 0.3;
/// A holder that keeps less than this of all new bytes, and of all new
/// objects, is noise.
const MIN_SHARE: f64 = 0.01;
const MAX_GROWERS: usize = 10;
/// Bytes by which an old object must have grown to be named.
const MIN_GROWTH: u64 = 512;
/// So many new objects for each entry: no cache of that many entries.
const OBJECTS_PER_ENTRY: u64 = 50;

impl Held {
    /// Whether something is named that grew from dump to dump. Nothing being
    /// named at all is no answer either way.
    pub(crate) fn confirms_growth(&self) -> bool {
        let stopped = !self.levelled.is_empty() || !self.known.is_empty();
        !self.growing.is_empty() || !self.growers.is_empty() || !stopped
    }
}

impl Held {
    /// What goes on growing is known to stop, and may do so for now; nothing
    /// else grows.
    pub(crate) fn may_yet_stop(&self) -> bool {
        let goes_on = |ranked: &Ranked| ranked.trend == Trend::Growing;
        self.growing.is_empty() && self.growers.is_empty() && self.known.iter().any(goes_on)
    }

    /// Whether all growth there is is known to stop.
    pub(crate) fn is_all_known(&self) -> bool {
        let others = self.growing.len() + self.levelled.len() + self.growers.len();
        !self.known.is_empty() && others == 0 && !self.is_noise_unknown
    }
}

impl Evidence {
    /// Reads the dumps of a run; `None` where it has none, or where they take
    /// more memory than `allowed`, or than is free beside the app.
    pub(crate) fn of_run(run: &RunDirectory, allowed: Option<Bytes>) -> Result<Option<Evidence>> {
        let records = &run.manifest.dumps;
        if records.is_empty() {
            return Ok(None);
        }
        let dumps: Vec<_> = records
            .iter()
            .map(|dump| (run.join(&dump.file), dump.requests))
            .collect();
        let names = records.iter().rev().find_map(|dump| dump.names.as_ref());
        let names = names.map(|file| run.join(file));
        let agent_directory = &run.manifest.app.agent_directory;
        let memory = memory::beside(allowed, Analysis::Holders);
        let read = Evidence::read(&dumps, names.as_deref(), agent_directory, &memory);
        match read {
            Err(error) if matches!(error.downcast_ref(), Some(ReadError::TooLarge { .. })) => {
                shell::warn(&format!("who holds what grows is not told: {error}"));
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// Reads the dumps of a run that is kept; rates are per request where a
    /// hunt counted them, and else per dump.
    ///
    /// # Errors
    /// If a dump cannot be read, or takes more memory than is allowed or free.
    pub(crate) fn of_recorded(run: &RecordedRun, allowed: Option<Bytes>) -> Result<Evidence> {
        let is_hunt = run.manifest.capture.is_none();
        let records = run.dumps.iter().zip(&run.manifest.dumps).enumerate();
        let dumps: Vec<_> = records
            .map(|(at, (dump, record))| {
                let count = if is_hunt { record.requests } else { at as u64 };
                (dump.path.clone(), count)
            })
            .collect();
        let names = run.dumps.iter().rev().find_map(|dump| dump.names.as_ref());
        let agent_directory = &run.manifest.app.agent_directory;
        let memory = memory::beside(allowed, Analysis::Holders);
        let names = names.map(PathBuf::as_path);
        Evidence::read(&dumps, names, agent_directory, &memory)
    }

    /// Reads dumps and names from files.
    fn read(
        dumps: &[(PathBuf, u64)],
        names: Option<&Path>,
        agent_directory: &Path,
        memory: &Memory,
    ) -> Result<Evidence> {
        let options = ReadOptions::default();
        let heaps = dumps
            .iter()
            .map(|(path, _)| Ok(Heap::open_within(path, &options, memory)?))
            .collect::<Result<Vec<Heap>>>()?;
        let names = names.map(read_names).transpose()?.unwrap_or_default();
        Ok(Evidence {
            heaps,
            names,
            counts: dumps.iter().map(|(_, count)| *count).collect(),
            agent_directory: agent_directory.to_owned(),
        })
    }
}

/// Reads a sidecar of names, compressed or not.
pub(crate) fn read_names(path: &Path) -> Result<Names> {
    let read = || -> std::io::Result<Names> {
        let mut file = std::io::BufReader::new(std::fs::File::open(path)?);
        // The magic number of Zstandard, RFC 8878.
        if file.fill_buf()?.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Names::read(std::io::BufReader::new(zstd::Decoder::with_buffer(file)?))
        } else {
            Names::read(file)
        }
    };
    read().with_context(|| format!("cannot read the names in {}", path.display()))
}

/// The sidecar that lies beside a dump: `C.names.ndjson.zst` of
/// `C.ndjson.zst`.
pub(crate) fn names_beside(dump: &Path) -> Option<PathBuf> {
    let name = dump.file_name()?.to_str()?;
    let (stem, endings) = name.split_once('.')?;
    let path = dump.with_file_name(format!("{stem}.names.{endings}"));
    path.is_file().then_some(path)
}

/// Follows what is new since the first dump to what holds it. `growers` asks
/// for old objects that got longer, too.
pub(crate) fn held(evidence: &Evidence, want_growers: bool) -> Result<Held> {
    let mut held = Held::default();
    let found = diff(&evidence.heaps, Identity::Auto)?;
    held.reused_slots = found.reused_slots().0;
    if found.compacted() {
        held.warnings.push(
            "the heap was compacted between the dumps: objects moved, and survivors are counted too low"
                .to_owned(),
        );
    }
    let first_seen = first_seen(&found);
    let agent = evidence.agent_directory.clone();
    // Where none came in, all paths would begin with none.
    let is_there = !agent.as_os_str().is_empty();
    let is_tool_file = move |file: &str| is_there && Path::new(file).starts_with(&agent);
    let input = TraceInput {
        heaps: &evidence.heaps,
        first_seen: &first_seen,
        names: &evidence.names,
        is_tool_file: &is_tool_file,
    };
    if let [first, .., last] = evidence.counts[..] {
        held.span = last.saturating_sub(first);
    }
    held.own_objects = tool_objects(&input).0;
    let all = holders(&input);
    if want_growers {
        held.growers = growers_besides(&input, &all);
    }
    let Some(heap) = evidence.heaps.last() else {
        return Ok(held);
    };
    let bytes: u64 = all.iter().map(|h| h.bytes.0).sum();
    let objects: u64 = all.iter().map(|h| h.objects.0).sum();
    for Judged { holder, trend } in judged(all, &evidence.counts) {
        let share = ratio(holder.bytes.0, bytes);
        let small = share < MIN_SHARE && ratio(holder.objects.0, objects) < MIN_SHARE;
        if small || trend == Trend::Single {
            held.noise += 1;
            held.is_noise_unknown |= !is_excused(&holder, trend);
            continue;
        }
        let is_known = is_excused(&holder, trend);
        let ranked = rank(heap, holder, trend, share, &evidence.counts);
        match trend {
            _ if is_known => held.known.push(ranked),
            Trend::Growing => held.growing.push(ranked),
            _ => held.levelled.push(ranked),
        }
    }
    // A symbol that a list keeps is a name in Ruby's table, too.
    let follows = |ranked: &Ranked| ranked.holder.benign.is_some_and(|row| row.follows);
    held.growing.sort_by_key(follows);
    Ok(held)
}

struct Judged {
    holder: Holder,
    trend: Trend,
}

/// Holders and how they went, the largest first. What is of one kind of growth
/// that is known to stop is judged together: a table of symbols takes in what
/// is new at different places, and no place by itself tells whether it goes on.
/// What goes on by itself stays by itself.
fn judged(holders: Vec<Holder>, counts: &[u64]) -> Vec<Judged> {
    let mut judged = Vec::with_capacity(holders.len());
    let mut known: BTreeMap<&str, Vec<Holder>> = BTreeMap::new();
    for holder in holders {
        let trend = trend(&holder, counts);
        match holder.benign {
            Some(row) if trend != Trend::Growing || is_excused(&holder, trend) => {
                known.entry(row.id).or_default().push(holder);
            }
            _ => judged.push(Judged { holder, trend }),
        }
    }
    for holder in known.into_values().filter_map(Holder::joined) {
        let trend = trend(&holder, counts);
        judged.push(Judged { holder, trend });
    }
    // Stable: what is equally large stays in the order it came in.
    judged.sort_by_key(|judged| Reverse((judged.holder.bytes, judged.holder.objects)));
    judged
}

/// Whether a holder's growth is of a kind that is known to stop, and nothing
/// says that this does not: it has stopped, or may go on for now.
fn is_excused(holder: &Holder, trend: Trend) -> bool {
    holder.benign.is_some() && (trend != Trend::Growing || holder.is_within)
}

/// Old objects that got longer, but for those on which new ones hang: they are
/// holders.
fn growers_besides(input: &TraceInput<'_>, holders: &[Holder]) -> Vec<Grower> {
    let holding: HashSet<ObjectId> = holders
        .iter()
        .flat_map(|holder| holder.accumulators.iter().copied())
        .collect();
    let mut found = growers(input, MAX_GROWERS + holding.len());
    found.retain(|grower| !holding.contains(&grower.id));
    found.truncate(MAX_GROWERS);
    let most = found.first().map_or(0, |grower| grower.bytes);
    let least = (MIN_SHARE * most as f64).max(MIN_GROWTH as f64);
    found.retain(|grower| grower.bytes as f64 >= least);
    found
}

/// For each object of the last dump the dump in which it was seen first.
fn first_seen(found: &Diff<'_>) -> Vec<u8> {
    let newest = (found.heaps().len() - 1) as u8;
    let mut seen = vec![0; found.last().len()];
    for survivor in found.survivors() {
        seen[survivor.id.index()] = survivor.first_seen as u8;
    }
    for id in found.newest() {
        seen[id.index()] = newest;
    }
    seen
}

/// How what a holder keeps went from dump to dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trend {
    /// About as much each time.
    Growing,
    /// New objects in some intervals, and hardly any in others.
    LevelledOff,
    /// New objects in the place of others.
    Replaced,
    /// A handful of objects.
    Single,
}

impl Trend {
    /// As it stands in text, and with underscores in JSON.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Trend::Growing => "growing",
            Trend::LevelledOff => "levelled off",
            Trend::Replaced => "replaced",
            Trend::Single => "a handful",
        }
    }
}

/// Whether growth went on from dump to dump.
fn trend(holder: &Holder, counts: &[u64]) -> Trend {
    let rates: Vec<f64> = holder
        .born
        .iter()
        .zip(counts)
        .skip(1)
        .zip(counts)
        .map(|((born, now), before)| born.0 as f64 / now.saturating_sub(*before).max(1) as f64)
        .collect();
    let most = rates.iter().copied().fold(0.0, f64::max);
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    if holder.objects.0 < 10 {
        Trend::Single
    } else if is_replaced(holder) {
        Trend::Replaced
    } else if least < STEADY * most {
        Trend::LevelledOff
    } else {
        Trend::Growing
    }
}

/// A bounded cache at its bound takes in as much as it lets go: entries are
/// new, their number is not. A list held by one entry is told apart by its
/// many objects for each entry.
fn is_replaced(holder: &Holder) -> bool {
    let lengths: Option<Vec<u64>> = holder.lengths.iter().copied().collect();
    let Some(lengths) = lengths.filter(|lengths| lengths.len() > 2) else {
        return false;
    };
    let (before, after) = (lengths[lengths.len() - 2], lengths[lengths.len() - 1]);
    after <= before && holder.objects.0 < after.saturating_mul(OBJECTS_PER_ENTRY)
}

fn rank(heap: &Heap, holder: Holder, trend: Trend, share: f64, counts: &[u64]) -> Ranked {
    let span = match counts {
        [first, .., last] => last.saturating_sub(*first).max(1) as f64,
        _ => 1.0,
    };
    let sites = holder
        .sites
        .iter()
        .map(|site| RankedSite {
            place: site.site.map(|id| {
                let info = heap.site_info(id);
                Place {
                    file: info.file.to_owned(),
                    line: info.line,
                    method: info.method.map(str::to_owned),
                    in_app: rbleak_heap::origin(info.file) == rbleak_heap::Origin::App,
                }
            }),
            class: site.class.clone(),
            objects_per: site.objects.0 as f64 / span,
            bytes_each: ratio(site.bytes.0, site.objects.0),
            objects: site.objects.0,
            bytes: site.bytes.0,
        })
        .collect();
    Ranked {
        trend,
        objects_per: holder.objects.0 as f64 / span,
        bytes_per: holder.bytes.0 as f64 / span,
        share,
        is_hash: holder
            .accumulator
            .is_some_and(|id| heap.object_type(id) == ObjectType::Hash),
        sites,
        holder,
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
