//! `rbleak path`: why an object, or a kind of object, is still there.

mod args;

pub(crate) use args::PathArgs;

use crate::exit::ExitStatus;
use crate::inputs::{self, Which};
use crate::memory;
use crate::shell;
use anyhow::{Result, anyhow, bail};
use rbleak_heap::trace::{HashEntry, HolderName, PathRow, PathTo, PathTree, Paths, hash_entry};
use rbleak_heap::{Analysis, Detail, Heap, Names, ObjectId, ObjectType, ReadOptions};
use rbleak_report::{Block, Document, Finding, Note, Section, Value, json};
use rbleak_units::{Address, Bytes, Objects, grouped};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Names suggested at most for one that is not there.
const MAX_SUGGESTIONS: usize = 3;

/// Runs the command.
pub(crate) fn run(args: &PathArgs) -> Result<ExitStatus> {
    let input = inputs::dump(&args.dump, Which::Last)?;
    let args = &PathArgs {
        dump: input.path,
        ..args.clone()
    };
    check(args)?;
    let target = Target::parse(args)?;
    let memory = memory::allow(args.reading.memory, Analysis::Paths, &[(&args.dump, true)])?;
    let heap = inputs::read(&args.dump, &ReadOptions::default(), &memory)
        .map_err(|error| memory::told(args.reading.memory, error))?;
    let ids = target.find(&heap)?;
    let names = inputs::names(args.reading.names.as_deref(), input.names)?;
    let mut document = Document::new("rbleak/path/v1");
    let none = Names::default();
    let paths = Paths::new(&heap, names.as_ref().unwrap_or(&none));
    document.push(Block::Findings(vec![match (&target, ids.as_slice()) {
        (Target::Object(_), &[id]) => {
            let mut path = paths.to(id);
            if let (true, Some(path)) = (args.show_values, &mut path) {
                show_keys(&heap, names.as_ref().unwrap_or(&none), path, &args.dump)?;
            }
            one(&heap, id, path.as_ref(), args.limit)
        }
        _ => many(&target, &heap, &ids, &paths.tree(ids.iter().copied()), args),
    }]));
    for note in notes(names.as_ref()) {
        document.note(note);
    }
    super::partial::mark(&mut document, std::slice::from_ref(&heap));
    shell::show(&document, args.output.format, args.output.file.as_deref())?;
    Ok(ExitStatus::Clean)
}

/// Characters of a key that are shown at most.
const MAX_KEY: usize = 60;

/// Says what the keys of Hashes on a path are: a second look at the dump.
fn show_keys(heap: &Heap, names: &Names, path: &mut PathTo, dump: &Path) -> Result<()> {
    let keys: Vec<(usize, Address)> = path
        .steps
        .windows(2)
        .enumerate()
        .filter_map(|(at, pair)| match pair {
            [(hash, _), (held, step)] if step.edge.as_ref()?.starts_with('[') => {
                match hash_entry(heap, names, *hash, *held)? {
                    HashEntry::ValueOf(key) => Some((at + 1, heap.address(key))),
                    HashEntry::Key => None,
                }
            }
            _ => None,
        })
        .collect();
    let addresses: Vec<Address> = keys.iter().map(|(_, address)| *address).collect();
    let found = Detail::find(dump, &ReadOptions::default(), &addresses)?;
    for (at, address) in keys {
        let Some(value) = found.get(&address).and_then(|d| d.value.as_deref()) else {
            continue;
        };
        let mut text: String = value.chars().take(MAX_KEY).collect();
        if text.len() < value.len() {
            text.push('…');
        }
        let is_symbol = heap
            .find(address)
            .is_some_and(|id| heap.object_type(id) == ObjectType::Symbol);
        path.steps[at].1.edge = Some(match is_symbol {
            true => format!("[:{text}]"),
            false => format!("[{text:?}]"),
        });
    }
    Ok(())
}

/// Refuses what would lose data, or cannot work.
fn check(args: &PathArgs) -> Result<()> {
    if args.show_values && args.dump == Path::new("-") {
        bail!("--show-values reads the dump a second time, which stdin cannot be: give a file");
    }
    let inputs = [Some(&args.dump), args.reading.names.as_ref()];
    let inputs = inputs.into_iter().flatten().map(PathBuf::as_path);
    inputs::spare(inputs, "--output", args.output.file.as_deref())
}

/// What is asked for.
enum Target {
    Object(Address),
    Class(String),
    Site { file: String, line: u32 },
}

impl Target {
    fn parse(args: &PathArgs) -> Result<Target> {
        if let Some(name) = &args.class {
            return Ok(Target::Class(name.clone()));
        }
        if let Some(site) = &args.site {
            let parts = site
                .rsplit_once(':')
                .and_then(|(file, line)| Some((file, line.parse().ok()?)));
            let Some((file, line)) = parts.filter(|(file, _)| !file.is_empty()) else {
                bail!("--site {site}: expected FILE:LINE, such as app.rb:46");
            };
            return Ok(Target::Site {
                file: file.to_owned(),
                line,
            });
        }
        let text = args.object.as_deref().unwrap_or_default();
        text.parse()
            .map(Target::Object)
            .map_err(|error| anyhow!("'{text}' is {error}; for a class write --class {text}"))
    }

    /// The objects meant; an error where the dump has none.
    fn find(&self, heap: &Heap) -> Result<Vec<ObjectId>> {
        let source = heap.source();
        let live = || heap.ids().filter(|&id| heap.is_live(id));
        let ids: Vec<ObjectId> = match self {
            Target::Object(address) => heap
                .find(*address)
                .filter(|&id| heap.is_live(id))
                .into_iter()
                .collect(),
            Target::Class(name) => live().filter(|&id| heap.class_name(id) == name).collect(),
            Target::Site { file, line } => live()
                .filter(|&id| {
                    site_of(heap, id).is_some_and(|(f, l)| l == *line && is_end_of(file, f))
                })
                .collect(),
        };
        if !ids.is_empty() {
            return Ok(ids);
        }
        match self {
            Target::Object(address) => bail!("{source} has no object at {address}"),
            Target::Class(name) if heap.is_partial() => bail!(
                "{source} names no class {name}: a dump taken with since: lists new objects only, most classes not among them"
            ),
            Target::Class(name) => bail!(
                "{source} has no instance of a class {name}{}",
                suggestion(&near_classes(heap, name))
            ),
            Target::Site { file, line } if !heap.is_traced() => bail!(
                "{source} has no allocation sites: it was taken without ObjectSpace.trace_object_allocations_start, so that {file}:{line} cannot be looked up"
            ),
            Target::Site { file, line } => bail!(
                "{source} has no object allocated at {file}:{line}{}",
                suggestion(&near_sites(heap, file, *line))
            ),
        }
    }
}

fn site_of(heap: &Heap, id: ObjectId) -> Option<(&str, u32)> {
    let info = heap.site_info(heap.site(id)?);
    Some((info.file, info.line))
}

/// Whether `end` is `file` or its last parts.
fn is_end_of(end: &str, file: &str) -> bool {
    file.strip_suffix(end)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/') || end.starts_with('/'))
}

fn suggestion(near: &[String]) -> String {
    match near {
        [] => String::new(),
        [only] => format!("; did you mean {only}?"),
        [first @ .., last] => format!("; did you mean {} or {last}?", first.join(", ")),
    }
}

/// Classes with instances whose name is a slip away, or contains the name.
fn near_classes(heap: &Heap, name: &str) -> Vec<String> {
    let wanted = name.to_lowercase();
    let known: BTreeSet<&str> = heap
        .ids()
        .filter(|&id| heap.is_live(id))
        .map(|id| heap.class_name(id))
        .collect();
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|known| {
            let lower = known.to_lowercase();
            let last = lower.rsplit("::").next().unwrap_or(&lower);
            let slips = edits(&lower, &wanted).min(edits(last, &wanted));
            if slips <= wanted.chars().count() / 3 {
                Some((slips, known))
            } else {
                lower.contains(&wanted).then_some((usize::MAX, known))
            }
        })
        .collect();
    near.sort();
    near.truncate(MAX_SUGGESTIONS);
    near.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Lines of the same file at which most objects were allocated, or, where no
/// such file is known, those of files of the same name.
fn near_sites(heap: &Heap, file: &str, line: u32) -> Vec<String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let mut counts: BTreeMap<(bool, &str, u32), u64> = BTreeMap::new();
    for id in heap.ids().filter(|&id| heap.is_live(id)) {
        if let Some((known, at)) = site_of(heap, id)
            && is_end_of(name, known)
        {
            let is_other = !is_end_of(file, known);
            *counts.entry((is_other, known, at)).or_default() += 1;
        }
    }
    let mut near: Vec<_> = counts.into_iter().collect();
    near.sort_by_key(|&((is_other, known, at), count)| {
        (
            is_other,
            at.abs_diff(line),
            std::cmp::Reverse(count),
            known,
            at,
        )
    });
    near.truncate(MAX_SUGGESTIONS);
    near.into_iter()
        .map(|((_, known, at), _)| format!("{known}:{at}"))
        .collect()
}

/// Insertions, deletions and replacements that make one of the other.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// The finding for one object.
fn one(heap: &Heap, id: ObjectId, path: Option<&PathTo>, limit: usize) -> Finding {
    let mut words = vec![
        heap.address(id).to_string(),
        heap.shallow_size(id).to_string(),
    ];
    let site = site_of(heap, id);
    words.extend(site.map(|(file, line)| format!("{file}:{line}")));
    words.extend(heap.generation(id).map(|g| format!("generation {}", g.0)));
    let lines = match path {
        Some(path) => {
            let steps = path.steps.iter();
            let steps = steps.map(|(_, step)| (step.edge.as_deref(), step.object.as_str()));
            drawn(&path.name, &steps.collect::<Vec<_>>(), limit)
        }
        None => vec![unreached(heap)],
    };
    let steps = path.map(|path| {
        let steps = path.steps.iter().map(|(id, step)| {
            json!({
                "edge": step.edge,
                "object": step.object,
                "address": heap.address(*id).to_string(),
                "class": heap.class_name(*id),
                "type": heap.object_type(*id).as_str(),
            })
        });
        steps.collect::<Vec<Value>>()
    });
    Finding {
        title: heap.class_name(id).to_owned(),
        summary: words.join(" · "),
        sections: vec![Section::new("held by", lines)],
        data: json!({
            "address": heap.address(id).to_string(),
            "class": heap.class_name(id),
            "type": heap.object_type(id).as_str(),
            "bytes": heap.shallow_size(id).0,
            "file": site.map(|(file, _)| file),
            "line": site.map(|(_, line)| line),
            "generation": heap.generation(id).map(|g| g.0),
            "is_reached": path.is_some(),
            "holder": path.map(|path| path.name.to_string()),
            "root": path.and_then(|path| path.root.as_deref()),
            "steps": steps,
        }),
    }
}

/// The finding for all objects of a class or a line.
fn many(
    target: &Target,
    heap: &Heap,
    ids: &[ObjectId],
    tree: &PathTree,
    args: &PathArgs,
) -> Finding {
    let bytes: Bytes = ids.iter().map(|&id| heap.shallow_size(id)).sum();
    let title = match target {
        Target::Class(name) => name.clone(),
        Target::Site { .. } | Target::Object(_) => ids
            .first()
            .and_then(|&id| site_of(heap, id))
            .map_or_else(String::new, |(file, line)| format!("{file}:{line}")),
    };
    let all = ids.len() as u64;
    let common = tree.most_common();
    let sharing = common.last().map_or(0, |row| row.here);
    let rows = if args.all { tree.rows() } else { common };
    let mut lines = match rows.split_first() {
        None => vec![unreached(heap)],
        Some(_) if args.all => forest(&rows, args.limit),
        Some((first, steps)) => {
            let steps = steps
                .iter()
                .map(|row| (row.edge.as_deref(), row.object.as_str()));
            let steps: Vec<_> = steps.collect();
            match &first.name {
                Some(name) => drawn(name, &steps, args.limit),
                None => Vec::new(),
            }
        }
    };
    if lines.is_empty() {
        lines.push(unreached(heap));
    }
    let mut sections = vec![Section::new("held by", lines)];
    if !rows.is_empty() && !args.all {
        let mut text = format!("{} of {}", grouped(sharing), grouped(all));
        if tree.paths() > 1 {
            text.push_str(&format!(
                "; {} more paths (--all)",
                grouped(tree.paths() as u64 - 1)
            ));
        }
        sections.push(Section::new("shared by", [text]));
    }
    if tree.unreached() > 0 && !rows.is_empty() {
        let text = format!("{}: {}", grouped(tree.unreached()), unreached(heap));
        sections.push(Section::new("not held", [text]));
    }
    let data: Vec<Value> = rows.iter().map(row_data).collect();
    Finding {
        summary: format!(
            "{} {}, {bytes}",
            Objects(all),
            if all == 1 { "object" } else { "objects" }
        ),
        sections,
        data: json!({
            "objects": all,
            "bytes": bytes.0,
            "unreached_objects": tree.unreached(),
            "paths": tree.paths(),
            "is_tree": args.all,
            "rows": data,
        }),
        title,
    }
}

fn row_data(row: &PathRow) -> Value {
    json!({
        "depth": row.depth,
        "edge": row.edge,
        "object": row.object,
        "objects": row.objects,
        "objects_here": row.here,
    })
}

/// A path as it is drawn: the name, and under it each step further in.
fn drawn(name: &HolderName, steps: &[(Option<&str>, &str)], limit: usize) -> Vec<String> {
    let mut lines = vec![name.to_string()];
    let cut = limit > 0 && steps.len() > limit;
    // Both ends say something; the middle of a long list does not.
    let (head, tail) = match cut {
        true => (limit.div_ceil(2), limit / 2),
        false => (steps.len(), 0),
    };
    let line =
        |(depth, (edge, object)): (usize, &(Option<&str>, &str))| branch(depth, *edge, object);
    lines.extend(steps[..head].iter().enumerate().map(line));
    if cut {
        let hidden = steps.len() - head - tail;
        lines.push(format!(
            "{}… {} more (--limit)",
            indent(head),
            grouped(hidden as u64)
        ));
        let rest = steps[steps.len() - tail..].iter().enumerate();
        lines.extend(rest.map(|(at, step)| line((head + at, step))));
    }
    lines
}

/// A tree as it is drawn, how many objects lie below each line at its end.
fn forest(rows: &[PathRow], limit: usize) -> Vec<String> {
    let shown = if limit == 0 {
        rows.len()
    } else {
        limit.min(rows.len())
    };
    let mut lines: Vec<String> = rows[..shown]
        .iter()
        .map(|row| {
            let text = match row.depth {
                0 => row.object.clone(),
                depth => branch(depth - 1, row.edge.as_deref(), &row.object),
            };
            format!("{text}  [{}]", grouped(row.objects))
        })
        .collect();
    if shown < rows.len() {
        lines.push(format!(
            "… {} more lines (--limit)",
            grouped((rows.len() - shown) as u64)
        ));
    }
    lines
}

fn branch(depth: usize, edge: Option<&str>, object: &str) -> String {
    let edge = edge.map(|edge| format!("{edge} → ")).unwrap_or_default();
    format!("{}└ {edge}{object}", indent(depth))
}

/// Further in than this nobody can read, and a list of a million would take
/// its square in blanks.
const MAX_INDENT: usize = 60;

fn indent(depth: usize) -> String {
    "  ".repeat(depth.min(MAX_INDENT))
}

/// What it means that no root leads to an object.
fn unreached(heap: &Heap) -> String {
    if heap.is_partial() {
        return "not known: a dump taken with since: has no roots".to_owned();
    }
    "nothing in this dump: garbage when it was taken, or held by what dumps do not tell".to_owned()
}

fn notes(names: Option<&Names>) -> Vec<Note> {
    let mut notes = Vec::new();
    if names.is_none() {
        notes.push(Note::plain(
            "no names beside this dump: constants, variables of classes and blocks are told by their class only (--names FILE)",
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_found_by_the_end_of_its_path_at_a_border() {
        assert!(is_end_of("app.rb", "/srv/app.rb"));
        assert!(is_end_of("app.rb", "app.rb"));
        assert!(is_end_of("/srv/app.rb", "/srv/app.rb"));
        assert!(!is_end_of("app.rb", "/srv/myapp.rb"));
        assert!(!is_end_of("lib/app.rb", "/srv/app.rb"));
    }

    #[test]
    fn edits_are_counted_as_levenshtein_does() {
        for (a, b, distance) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("same", "same", 0),
        ] {
            assert_eq!((edits(a, b), edits(b, a)), (distance, distance));
        }
    }

    #[test]
    fn a_long_path_keeps_both_its_ends() {
        let steps: Vec<(Option<&str>, &str)> = vec![(Some("@next"), "Node"); 9];
        let lines = drawn(&HolderName::Named("LIST".into()), &steps, 4);
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0], "LIST");
        assert_eq!(lines[3], "    … 5 more (--limit)");
        assert_eq!(lines[5], "      └ @next → Node");
        assert_eq!(
            drawn(&HolderName::Named("LIST".into()), &steps, 0).len(),
            10
        );
    }
}
