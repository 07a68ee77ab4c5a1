//! `rbleak diff`: what is in B and C and not in A.

mod args;

pub(crate) use args::DiffArgs;

use crate::cli::Format;
use crate::exit::ExitStatus;
use crate::files::write_atomically;
use crate::findings::{Words, finding, grower_finding, known_table};
use crate::held::{Evidence, held, read_names};
use crate::shell;
use crate::sources::Sources;
use crate::{inputs, memory};
use anyhow::{Context, Result, anyhow, bail};
use args::{DiffFormat, GroupArg, IdentityArg};
use rbleak_capture::RecordedRun;
use rbleak_heap::diff::{AddressOnly, GrowthRow, IdentityUsed, Severity};
use rbleak_heap::{
    Analysis, Diff, Filter, Group, GroupBy, Heap, Identity, IssueKind, Key, Names, ReadOptions,
    copy_lines, diff, heapy_rows,
};
use rbleak_report::{Align, Block, Column, Document, Fact, Note, Row, Table, Value, json};
use rbleak_units::{Address, Bytes, Objects, SignedBytes};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Runs the command.
pub(crate) fn run(args: &DiffArgs) -> Result<ExitStatus> {
    let dumps = inputs::dumps(&args.dumps)?;
    let args = &DiffArgs {
        dumps: inputs::paths(&dumps),
        names: args.names.clone().or_else(|| dumps.last()?.names.clone()),
        ..args.clone()
    };
    check(args)?;
    let filter = Filter {
        only: args
            .only
            .as_deref()
            .map(|text| {
                regex::Regex::new(text)
                    .map_err(|error| anyhow!("--only '{text}' is no regular expression: {error}"))
            })
            .transpose()?,
        app_only: args.app,
        but: args.dumps.last().and_then(|dump| agent_directory(dump)),
    };
    let heaps = read_all(args)?;
    for heap in &heaps {
        report_issues(heap);
    }
    if args.strict
        && let Some(heap) = heaps.iter().find(|heap| !heap.issues().is_empty())
    {
        bail!(
            "{} is not as it should be, and --strict was given",
            heap.source()
        );
    }
    let identity = match args.identity {
        IdentityArg::Strict => Identity::Auto,
        IdentityArg::Address => Identity::Address,
    };
    let found = diff(&heaps, identity)?;
    if args.format == DiffFormat::Heapy {
        return heapy(args, &heaps, &found, &filter);
    }
    for problem in found.problems() {
        match problem.severity() {
            Severity::Error => bail!("{problem}"),
            Severity::Warning => shell::warn(&problem.to_string()),
        }
    }
    let mut told = tell(args, &found, &filter);
    super::partial::mark(&mut told.document, &heaps);
    if let Some(file) = &args.output_diff {
        write_lines(args, &found, &filter, file)?;
    }
    // Growth by kind has no objects to follow.
    if args.holders && told.is_growth && !found.compacted() {
        drop(found);
        let holders = holders(args, heaps, &filter)?;
        told.is_growth = !holders.is_all_known;
        holders
            .blocks
            .into_iter()
            .for_each(|block| told.document.push(block));
    }
    shell::show(&told.document, format_of(args), args.output.as_deref())?;
    Ok(if told.is_growth {
        ExitStatus::Found
    } else {
        ExitStatus::Clean
    })
}

fn format_of(args: &DiffArgs) -> Format {
    match args.format {
        DiffFormat::Json => Format::Json,
        DiffFormat::Text | DiffFormat::Heapy => Format::Text,
    }
}

/// Who holds what is new.
struct Holders {
    blocks: Vec<Block>,
    /// Whether it is known to fill and stop, all of it.
    is_all_known: bool,
}

/// Who holds what is new, as a hunt says it; rates are per dump.
fn holders(args: &DiffArgs, heaps: Vec<Heap>, filter: &Filter) -> Result<Holders> {
    let names = match &args.names {
        Some(path) => read_names(path)?,
        None => Names::default(),
    };
    let counts = (0..heaps.len() as u64).collect();
    let held = held(
        &Evidence {
            heaps,
            names,
            counts,
            // A path below which nothing lies.
            agent_directory: filter.but.clone().unwrap_or_else(|| "/dev/null".into()),
        },
        true,
    )?;
    held.warnings
        .iter()
        .for_each(|warning| shell::warn(warning));
    let here = std::env::current_dir().context("this folder is gone")?;
    let words = Words {
        sources: &Sources::of_directory(&here),
        per: "dump",
    };
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let growers = held
        .growers
        .iter()
        .map(|grower| grower_finding(&words, grower, held.span));
    let growing = held.growing.iter().map(|ranked| finding(&words, ranked));
    let levelled = held.levelled.iter().map(|ranked| {
        let mut finding = finding(&words, ranked);
        finding.summary.push_str(" · ");
        finding.summary.push_str(ranked.trend.words());
        finding
    });
    let all = growing.chain(levelled).chain(growers);
    let mut blocks = vec![Block::Findings(all.take(limit).collect())];
    blocks.extend(known_table(&words, &held.known).map(Block::Table));
    Ok(Holders {
        blocks,
        is_all_known: held.is_all_known(),
    })
}

/// Where rbleak's agent lay, if the dump is one of a run: what was allocated
/// there is no finding.
pub(super) fn agent_directory(dump: &Path) -> Option<PathBuf> {
    let folder = RecordedRun::manifest_beside(dump)?.app.agent_directory;
    // None came into a process of which there are snapshots.
    (!folder.as_os_str().is_empty()).then_some(folder)
}

/// Refuses what would lose data or cannot work, before anything is read.
fn check(args: &DiffArgs) -> Result<()> {
    let is_stdin = |path: &Path| path == Path::new("-");
    if let [only] = args.dumps.as_slice() {
        bail!(
            "one dump is nothing to compare: give another beside {}, or a run's folder with several",
            only.display()
        );
    }
    if args.dumps.iter().filter(|path| is_stdin(path)).count() > 1 {
        bail!("- (stdin) can be one of the dumps only: give files for the others");
    }
    for (flag, output) in [
        ("--output-diff", &args.output_diff),
        ("--output", &args.output),
    ] {
        let inputs = args.dumps.iter().map(PathBuf::as_path);
        inputs::spare(inputs, flag, output.as_deref())?;
    }
    if args.output_diff.is_some() && args.dumps.last().is_some_and(|path| is_stdin(path)) {
        bail!(
            "--output-diff reads the last dump a second time, which stdin cannot be: give a file"
        );
    }
    if args.format == DiffFormat::Heapy && args.dumps.len() > 3 {
        bail!(
            "heapy's format knows two or three dumps, not {}",
            args.dumps.len()
        );
    }
    Ok(())
}

/// Reads all dumps. Plain files one after the other, each on all processors;
/// what has to be decompressed at once, since only that keeps the processors
/// busy.
fn read_all(args: &DiffArgs) -> Result<Vec<Heap>> {
    let options = ReadOptions::default().references(args.holders);
    let analysis = match args.holders {
        true => Analysis::Holders,
        false => Analysis::Diff,
    };
    let wanted = memory::all(&args.dumps, args.holders);
    let memory = memory::allow(args.memory, analysis, &wanted)?;
    let read = |path: &PathBuf, options: &ReadOptions| -> Result<Heap> {
        inputs::read(path, options, &memory).map_err(|error| memory::told(args.memory, error))
    };
    if !args.dumps.iter().any(|path| is_compressed(path)) {
        if args.dumps.iter().any(|path| path == Path::new("-")) {
            return args.dumps.iter().map(|path| read(path, &options)).collect();
        }
        return Heap::open_series(&args.dumps, &options, &memory)
            .map_err(|error| memory::told(args.memory, error));
    }
    let options = options.threads(1);
    // One more than there are processors: three dumps on two of them are then
    // done in one and a half times the time of one, not in twice.
    let at_once = std::thread::available_parallelism().map_or(1, usize::from) + 1;
    let mut heaps = Vec::with_capacity(args.dumps.len());
    for some in args.dumps.chunks(at_once) {
        let results = std::thread::scope(|scope| {
            let threads: Vec<_> = some
                .iter()
                .map(|path| scope.spawn(|| read(path, &options)))
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect::<Vec<_>>()
        });
        for result in results {
            heaps.push(result?);
        }
    }
    Ok(heaps)
}

/// Whether a file begins as gzip (RFC 1952) or Zstandard (RFC 8878) does.
fn is_compressed(path: &Path) -> bool {
    // What is read from a pipe is gone.
    if !path.is_file() {
        return false;
    }
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut magic));
    read.is_ok() && (magic.starts_with(&[0x1f, 0x8b]) || magic == [0x28, 0xb5, 0x2f, 0xfd])
}

/// Of how many skipped lines number and reason are shown.
const SHOWN_ISSUES: usize = 5;

/// Says on stderr what was wrong with a dump that could be read all the same.
pub(super) fn report_issues(heap: &Heap) {
    let issues = heap.issues();
    let of = |kind: IssueKind| {
        issues
            .details()
            .iter()
            .filter(move |issue| issue.kind == kind)
    };
    if let Some(first) = of(IssueKind::Repaired).next() {
        shell::warn(&format!(
            "{}: {} lines that are no valid JSON were repaired, the first is line {}: {}",
            heap.source(),
            issues.repaired(),
            first.line,
            first.reason
        ));
    }
    if issues.skipped() > 0 {
        let mut text = format!(
            "{}: {} lines were left out:",
            heap.source(),
            issues.skipped()
        );
        for issue in of(IssueKind::Skipped).take(SHOWN_ISSUES) {
            let _ = write!(text, " line {}: {};", issue.line, issue.reason);
        }
        if issues.skipped() > SHOWN_ISSUES as u64 {
            text.push_str(" …");
        }
        shell::warn(text.trim_end_matches(';'));
    }
    if let Some(truncation) = issues.truncated() {
        shell::warn(&format!(
            "{}: {truncation}; what is missing cannot be counted",
            heap.source()
        ));
    }
}

/// heapy's lines: of its own notion of identity, or of ours.
fn heapy(args: &DiffArgs, heaps: &[Heap], found: &Diff<'_>, filter: &Filter) -> Result<ExitStatus> {
    let mut text = String::new();
    let mut any = false;
    if args.identity == IdentityArg::Address {
        let [before, after, rest @ ..] = heaps else {
            bail!("heapy's format needs two dumps or three");
        };
        for row in heapy_rows(before, after, rest.first()) {
            any = true;
            let _ = writeln!(text, "{row}");
        }
    } else {
        let word = if heaps.len() > 2 {
            "Retained"
        } else {
            "Allocated"
        };
        let groups = found.groups(GroupBy::Site, filter);
        let total: u64 = groups.iter().map(|group| group.bytes.0).sum();
        for group in groups {
            any = true;
            let line = if group.key.line == 0 {
                String::new()
            } else {
                group.key.line.to_string()
            };
            let _ = writeln!(
                text,
                "{word} {} {} objects of size {}/{total} (in bytes) at: {}:{line}",
                group.key.object_type.map_or("", |t| t.as_str()),
                group.objects.0,
                group.bytes.0,
                group.key.file.unwrap_or(""),
            );
        }
    }
    if let Some(file) = &args.output_diff {
        write_lines(args, found, filter, file)?;
        let _ = write!(text, "\nWriting heap dump diff to {}\n", file.display());
    }
    match &args.output {
        Some(file) => write_atomically(file, |out| out.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", file.display()))?,
        None => shell::print(&text)?,
    }
    Ok(if any {
        ExitStatus::Found
    } else {
        ExitStatus::Clean
    })
}

/// Writes the lines of the survivors, as they stand in the last dump.
fn write_lines(args: &DiffArgs, found: &Diff<'_>, filter: &Filter, file: &Path) -> Result<()> {
    let last = found.last();
    let wanted: HashSet<Address> = found
        .survivors()
        .iter()
        .filter(|survivor| filter.takes(last, survivor.id))
        .map(|survivor| last.address(survivor.id))
        .collect();
    let Some(input) = args.dumps.last() else {
        return Ok(());
    };
    write_atomically(file, |out| -> Result<()> {
        copy_lines(input, |address| wanted.contains(&address), out)?;
        Ok(())
    })
    .with_context(|| format!("cannot write {}", file.display()))
}

struct Told {
    document: Document,
    is_growth: bool,
}

fn tell(args: &DiffArgs, found: &Diff<'_>, filter: &Filter) -> Told {
    let by = match args.by {
        GroupArg::Site => GroupBy::Site,
        GroupArg::Class => GroupBy::Class,
        GroupArg::File => GroupBy::File,
        GroupArg::Gem => GroupBy::Gem,
        GroupArg::Method => GroupBy::Method,
    };
    let mut document = Document::new("rbleak/diff/v1");
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    if found.compacted() {
        let rows = found.growth(by, filter);
        document.push(Block::Facts(vec![
            dumps_fact(found),
            Fact::new(
                "identity",
                "none: objects moved, so that growth is told by what dumps have of each kind",
                json!("none"),
            ),
        ]));
        let is_growth = !rows.is_empty();
        push_rows(
            &mut document,
            growth_table(found, &rows, by, limit),
            is_growth,
        );
        return Told {
            document,
            is_growth,
        };
    }
    let groups = found.groups(by, filter);
    let is_growth = !groups.is_empty();
    document.push(Block::Facts(facts(found, &groups)));
    push_rows(
        &mut document,
        group_table(found, &groups, by, limit),
        is_growth,
    );
    let but = only_but(filter);
    let own = found
        .survivors()
        .iter()
        .filter(|survivor| !but.takes(found.last(), survivor.id))
        .count();
    if own > 0 {
        document.note(Note::plain(format!(
            "left out: {own} objects of rbleak's own agent, which took these dumps"
        )));
    }
    if found.untraced_survivors().0 > 0 && found.identity() == IdentityUsed::Traced {
        document.note(Note::plain(format!(
            "{} of these objects have no allocation site: they were allocated while tracing was off",
            found.untraced_survivors()
        )));
    }
    Told {
        document,
        is_growth,
    }
}

/// The same filter with nothing but what it leaves out.
fn only_but(filter: &Filter) -> Filter {
    Filter {
        but: filter.but.clone(),
        ..Filter::default()
    }
}

fn push_rows(document: &mut Document, table: Table, is_growth: bool) {
    if is_growth {
        document.push(Block::Table(table));
    } else {
        document.note(Note::plain("no growth"));
    }
}

fn dumps_fact(found: &Diff<'_>) -> Fact {
    let names: Vec<&str> = found.heaps().iter().map(|heap| heap.source()).collect();
    let (objects, bytes) = found.last().live_totals();
    Fact::new(
        "dumps",
        format!(
            "{} · the last has {objects} objects, {bytes}",
            names.join(" → ")
        ),
        json!({ "names": names, "last_objects": objects.0, "last_bytes": bytes.0 }),
    )
}

fn facts(found: &Diff<'_>, groups: &[Group<'_>]) -> Vec<Fact> {
    let (identity, word) = match found.identity() {
        IdentityUsed::Traced => (
            "address, type, class, allocation site and generation",
            "traced",
        ),
        IdentityUsed::Untraced => (
            "address, type and class only: without allocation tracing a reused slot can pass for a survivor (weaker)",
            "untraced",
        ),
        IdentityUsed::Address => (
            "the address alone, as heapy takes it: reused slots pass for survivors",
            "address",
        ),
    };
    let objects = Objects(groups.iter().map(|group| group.objects.0).sum());
    let bytes: Bytes = groups.iter().map(|group| group.bytes).sum();
    let share: f64 = groups.iter().map(|group| group.share).sum();
    let what = if found.heaps().len() > 2 {
        "retained"
    } else {
        "allocated"
    };
    let mut facts = vec![
        dumps_fact(found),
        Fact::new("identity", identity, json!(word)),
        Fact::new(
            what,
            format!("{objects} objects, {bytes}: {} of the heap", percent(share)),
            json!({ "objects": objects.0, "bytes": bytes.0, "share": share }),
        ),
    ];
    if found.identity() != IdentityUsed::Address {
        let AddressOnly {
            objects: by_address,
            bytes: address_bytes,
            wrong,
            ..
        } = found.address_only();
        let mut text = format!(
            "{} slots hold another object than before",
            found.reused_slots()
        );
        if wrong.0 > 0 {
            let _ = write!(
                text,
                ": by address alone {by_address} objects, {address_bytes}, would pass for {what}"
            );
        }
        facts.push(Fact::new(
            "reused",
            text,
            json!({
                "slots": found.reused_slots().0,
                "by_address_objects": by_address.0,
                "by_address_bytes": address_bytes.0,
                "by_address_wrong_objects": wrong.0,
            }),
        ));
    }
    facts
}

fn group_table(found: &Diff<'_>, groups: &[Group<'_>], by: GroupBy, limit: usize) -> Table {
    let dumps = found.heaps().len();
    let first_seen: std::collections::HashMap<_, _> = found
        .survivors()
        .iter()
        .map(|survivor| (survivor.id, survivor.first_seen))
        .collect();
    let mut columns = vec![
        column("bytes", Align::Right),
        column("objects", Align::Right),
        column("share", Align::Right),
    ];
    // With four dumps or more there is a trend to be seen.
    let is_series = dumps > 3;
    if is_series {
        columns.push(column("new in each dump", Align::Right));
    }
    columns.extend(key_columns(by));
    let rows = groups
        .iter()
        .take(limit)
        .map(|group| {
            let mut born = vec![0u64; dumps];
            for id in &group.ids {
                if let Some(&index) = first_seen.get(id) {
                    born[index] += 1;
                }
            }
            let mut cells = vec![
                group.bytes.to_string(),
                group.objects.to_string(),
                percent(group.share),
            ];
            if is_series {
                let seen: Vec<String> = born[1..dumps - 1].iter().map(u64::to_string).collect();
                cells.push(seen.join(" · "));
            }
            cells.extend(key_cells(&group.key, by));
            let mut data = key_data(&group.key);
            data["objects"] = json!(group.objects.0);
            data["bytes"] = json!(group.bytes.0);
            data["share"] = json!(group.share);
            data["born_objects_by_dump"] = json!(born);
            Row { cells, data }
        })
        .collect();
    Table {
        key: "rows".to_owned(),
        title: None,
        columns,
        rows,
        left_out: groups.len().saturating_sub(limit),
    }
}

fn growth_table(found: &Diff<'_>, rows: &[GrowthRow<'_>], by: GroupBy, limit: usize) -> Table {
    let (_, whole) = found.last().live_totals();
    let mut columns = vec![
        column("growth", Align::Right),
        column("objects in each dump", Align::Right),
        column("share", Align::Right),
    ];
    columns.extend(key_columns(by));
    let left_out = rows.len().saturating_sub(limit);
    let rows = rows
        .iter()
        .take(limit)
        .map(|row| {
            let SignedBytes(growth) = row.growth();
            let share = growth as f64 / whole.as_f64().max(1.0);
            let counts: Vec<String> = row.objects.iter().map(Objects::to_string).collect();
            let mut cells = vec![row.growth().to_string(), counts.join(" · "), percent(share)];
            cells.extend(key_cells(&row.key, by));
            let mut data = key_data(&row.key);
            data["growth_bytes"] = json!(growth);
            data["objects_by_dump"] = json!(row.objects.iter().map(|o| o.0).collect::<Vec<_>>());
            data["bytes_by_dump"] = json!(row.bytes.iter().map(|b| b.0).collect::<Vec<_>>());
            Row { cells, data }
        })
        .collect();
    Table {
        key: "growth".to_owned(),
        title: Some("growth by kind, since objects moved".to_owned()),
        columns,
        rows,
        left_out,
    }
}

pub(super) fn column(heading: &str, align: Align) -> Column {
    Column {
        heading: heading.to_owned(),
        align,
    }
}

pub(super) fn key_columns(by: GroupBy) -> Vec<Column> {
    let names: &[&str] = match by {
        GroupBy::Site => &["class", "allocated at"],
        GroupBy::Class => &["class"],
        GroupBy::File => &["file"],
        GroupBy::Gem => &["gem"],
        GroupBy::Method => &["method", "file"],
    };
    names.iter().map(|name| column(name, Align::Left)).collect()
}

pub(super) fn key_cells(key: &Key<'_>, by: GroupBy) -> Vec<String> {
    const UNKNOWN: &str = "(not known)";
    let text = |value: Option<&str>| value.unwrap_or(UNKNOWN).to_owned();
    let place = match (key.file, key.line) {
        (Some(file), 0) => file.to_owned(),
        (Some(file), line) => format!("{file}:{line}"),
        (None, _) => UNKNOWN.to_owned(),
    };
    match by {
        GroupBy::Site => vec![text(key.class), place],
        GroupBy::Class => vec![text(key.class)],
        GroupBy::File => vec![text(key.file)],
        GroupBy::Gem => vec![
            key.origin
                .map_or(UNKNOWN.to_owned(), |origin| origin.label()),
        ],
        GroupBy::Method => vec![text(key.method), text(key.file)],
    }
}

pub(super) fn key_data(key: &Key<'_>) -> Value {
    json!({
        "class": key.class,
        "type": key.object_type.map(|t| t.as_str()),
        "file": key.file,
        "line": (key.line > 0).then_some(key.line),
        "method": key.method,
        "origin": key.origin.map(|origin| origin.label()),
    })
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
