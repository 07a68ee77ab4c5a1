//! `rbleak retained`: what each object, class, line or gem keeps alive.

mod args;

pub(crate) use args::RetainedArgs;

use super::diff::{
    agent_directory, column, key_cells, key_columns, key_data, percent, report_issues,
};
use crate::exit::ExitStatus;
use crate::inputs::{self, Which};
use crate::memory;
use crate::shell;
use anyhow::{Result, bail};
use args::RetainedBy;
use rbleak_heap::diff::{IdentityUsed, Severity};
use rbleak_heap::graph::{
    Count, Credit, Dominator, Dominators, GraphInput, Layer, Place, Places, Unreached,
};
use rbleak_heap::trace::Step;
use rbleak_heap::{Analysis, GroupBy, Heap, Identity, ObjectId, ObjectType, ReadOptions, diff};
use rbleak_report::{Align, Block, Document, Fact, Note, Row, Table, Value, json};
use rbleak_units::Bytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Steps of a way shown at most.
const MAX_STEPS: usize = 5;
/// Points that are named; the rest is too small for a row.
const MAX_NAMED: usize = 2000;
/// What is left out of a tree, in percent, unless said otherwise.
const TREE_MIN: f64 = 1.0;

/// Runs the command.
pub(crate) fn run(args: &RetainedArgs) -> Result<ExitStatus> {
    let input = inputs::dump(&args.dump, Which::Last)?;
    let base = args.base.as_deref();
    let base = base.map(|base| inputs::dump(base, Which::First));
    let args = &RetainedArgs {
        dump: input.path,
        base: base.transpose()?.map(|base| base.path),
        ..args.clone()
    };
    check(args)?;
    let heaps = read(args)?;
    let [.., heap] = heaps.as_slice() else {
        bail!("no dump was read");
    };
    heaps.iter().for_each(report_issues);
    usable(args, heap)?;
    let names = inputs::names(args.reading.names.as_deref(), input.names)?.unwrap_or_default();
    let agent = agent_directory(&args.dump);
    let is_tool_file = |file: &str| {
        agent
            .as_ref()
            .is_some_and(|agent| Path::new(file).starts_with(agent))
    };
    let dominators = Dominators::new(GraphInput {
        heap,
        names: &names,
        is_tool_file: &is_tool_file,
    })?;
    let teller = Teller {
        args,
        dominators: &dominators,
        places: Places::new(&dominators),
    };
    let mut document = teller.document(&News::new(&heaps)?);
    super::partial::mark(&mut document, &heaps);
    shell::show(&document, args.output.format, args.output.file.as_deref())?;
    Ok(ExitStatus::Clean)
}

/// Refuses what would lose data or cannot work, before anything is read.
fn check(args: &RetainedArgs) -> Result<()> {
    let stdin = Path::new("-");
    if args.dump == stdin && args.base.as_deref() == Some(stdin) {
        bail!("- (stdin) can be one of the dumps only: give a file for the other");
    }
    if let Some(min) = args.min
        && !(0.0..=100.0).contains(&min)
    {
        bail!("--min {min} is no percentage: give a number from 0 to 100");
    }
    let inputs = [
        Some(&args.dump),
        args.base.as_ref(),
        args.reading.names.as_ref(),
    ];
    let inputs = inputs.into_iter().flatten().map(PathBuf::as_path);
    inputs::spare(inputs, "--output", args.output.file.as_deref())
}

/// The base, if there is one, and the dump. Of the base nobody asks who refers
/// to whom.
fn read(args: &RetainedArgs) -> Result<Vec<Heap>> {
    let options = ReadOptions::default();
    let base = args.base.iter().map(|base| (base.as_path(), false));
    let wanted: Vec<_> = base.chain([(args.dump.as_path(), true)]).collect();
    let memory = memory::allow(args.reading.memory, Analysis::Dominators, &wanted)?;
    let read = |path: &Path, options: &ReadOptions| -> Result<Heap> {
        inputs::read(path, options, &memory)
            .map_err(|error| memory::told(args.reading.memory, error))
    };
    let mut heaps = Vec::new();
    if let Some(base) = &args.base {
        heaps.push(read(base, &options.references(false))?);
    }
    heaps.push(read(&args.dump, &options)?);
    Ok(heaps)
}

fn usable(args: &RetainedArgs, heap: &Heap) -> Result<()> {
    if heap.is_partial() {
        bail!(
            "{} lists no roots, so that nothing can be said to keep anything: take a whole dump, without since:",
            heap.source()
        );
    }
    if matches!(args.by, RetainedBy::Site | RetainedBy::Gem) && !heap.is_traced() {
        bail!(
            "{} has no allocation sites, which --by site and --by gem need: call ObjectSpace.trace_object_allocations_start before what is to be seen",
            heap.source()
        );
    }
    Ok(())
}

/// What is new since the base.
#[derive(Default)]
struct News {
    /// Of each object of the last heap whether it is new; `None` without a
    /// base, or where that cannot be told.
    is_new: Option<Vec<bool>>,
    notes: Vec<Note>,
}

impl News {
    fn new(heaps: &[Heap]) -> Result<News> {
        let mut news = News::default();
        let [_, heap] = heaps else {
            return Ok(news);
        };
        let found = diff(heaps, Identity::Auto)?;
        for problem in found.problems() {
            match problem.severity() {
                Severity::Error => bail!("{problem}"),
                Severity::Warning => shell::warn(&problem.to_string()),
            }
        }
        if found.compacted() {
            news.notes.push(Note::warning(
                "what is new cannot be told: objects moved between the dumps",
            ));
            return Ok(news);
        }
        if found.identity() == IdentityUsed::Untraced {
            news.notes.push(Note::plain(
                "without allocation tracing an object in a reused slot can pass for the old one: more may be new",
            ));
        }
        let mut new = vec![false; heap.len()];
        for survivor in found.survivors() {
            new[survivor.id.index()] = true;
        }
        news.is_new = Some(new);
        Ok(news)
    }
}

struct Teller<'a> {
    args: &'a RetainedArgs,
    dominators: &'a Dominators<'a>,
    places: Places<'a>,
}

impl Teller<'_> {
    fn document(&self, news: &News) -> Document {
        let unreached = self.dominators.unreached();
        let mut document = Document::new("rbleak/retained/v1");
        document.push(Block::Facts(self.facts(&unreached)));
        if let Some(new) = &news.is_new {
            document.push(Block::Table(self.suspects(new)));
        }
        document.push(Block::Table(match self.args.by {
            _ if self.args.tree => self.tree(),
            RetainedBy::Object => self.objects(),
            RetainedBy::Class => self.totals(GroupBy::Class),
            RetainedBy::Site => self.totals(GroupBy::Site),
            RetainedBy::Gem => self.totals(GroupBy::Gem),
        }));
        if unreached.is_torn() {
            document.note(Note::warning(format!(
                "{} of all references lead nowhere: other threads ran while Ruby wrote this dump, and its parts do not fit together; take it while no other thread runs, or with Ruby 3.4 or later",
                percent(unreached.dangling_share)
            )));
        }
        news.notes
            .iter()
            .cloned()
            .for_each(|note| document.note(note));
        document
    }

    fn facts(&self, unreached: &Unreached) -> Vec<Fact> {
        let heap = self.dominators.heap();
        let tool = self.dominators.tool_count();
        let (objects, bytes) = heap.live_totals();
        let mut facts = vec![
            Fact::new(
                "dump",
                format!("{} · {objects} objects, {bytes}", heap.source()),
                json!({ "name": heap.source(), "objects": objects.0, "bytes": bytes.0 }),
            ),
            self.reached(tool, bytes),
            unreached_fact(unreached),
        ];
        if tool.objects.0 > 0 {
            facts.push(Fact::new(
                "left_out",
                format!(
                    "{} objects, {} of the allocation tracer and of rbleak's agent",
                    tool.objects, tool.bytes
                ),
                count_data(tool),
            ));
        }
        facts
    }

    fn reached(&self, tool: Count, all: Bytes) -> Fact {
        let whole = self.whole();
        let share = share(whole + tool.bytes, all);
        let mut text = percent(share);
        let mut data = json!({ "bytes": whole.0, "share": share });
        for (layer, count) in self.dominators.counts() {
            let (key, words) = match layer {
                Layer::Threads => ("by_threads_only", "by stacks of threads only"),
                Layer::Caches => ("by_caches_only", "by inline caches only"),
                Layer::MachineStack => ("by_machine_stack_only", "by the C stack only"),
                Layer::Program | Layer::Measuring | Layer::Unreached => continue,
            };
            text.push_str(&format!(" · {words} {}", count.bytes));
            data[key] = count_data(count);
        }
        Fact::new("reached", text, data)
    }

    fn whole(&self) -> Bytes {
        self.dominators.retained_by(Dominator::Roots)
    }

    fn limit(&self) -> usize {
        match self.args.limit {
            0 => usize::MAX,
            limit => limit,
        }
    }

    /// What has to be kept to be listed.
    fn least(&self) -> Bytes {
        let default = if self.args.tree { TREE_MIN } else { 0.0 };
        let part = self.args.min.unwrap_or(default) / 100.0;
        Bytes((self.whole().as_f64() * part) as u64)
    }

    fn objects(&self) -> Table {
        let least = self.least();
        let mut top = self.dominators.top();
        top.retain(|&id| self.dominators.retained_size(id) >= least);
        let mut columns = size_columns();
        columns.push(column("object", Align::Left));
        columns.push(column("comes together in", Align::Left));
        let rows = top.iter().take(self.limit()).map(|&id| {
            let place = self.places.place(Dominator::Object(id));
            let point = self.dominators.accumulation_point(id);
            let mut cells = self.sizes(id);
            cells.push(words(&place, MAX_STEPS));
            cells.push(match point {
                Some(point) if self.is_module(point) => String::new(),
                Some(point) if point == id => "itself".to_owned(),
                Some(point) => self.below(id, point),
                None => String::new(),
            });
            let mut data = self.data(id);
            data["holder"] = json!(place.name);
            data["steps"] = steps_data(&place.steps);
            data["accumulation_point"] = json!(point.map(|point| self.data(point)));
            Row { cells, data }
        });
        Table {
            key: "rows".to_owned(),
            title: Some("what keeps most".to_owned()),
            columns,
            rows: rows.collect(),
            left_out: top.len().saturating_sub(self.limit()),
        }
    }

    /// Whether it is a class or module. That much comes together in one only
    /// says that nothing in it stands out.
    fn is_module(&self, id: ObjectId) -> bool {
        matches!(
            self.dominators.heap().object_type(id),
            ObjectType::Class | ObjectType::Module
        )
    }

    /// What an accumulation point is called: by its name, or by what holds it.
    fn below(&self, id: ObjectId, point: ObjectId) -> String {
        let place = self.places.place(Dominator::Object(point));
        let above = self.places.place(Dominator::Object(id));
        // What the column before says already needs no second saying.
        if place.name == above.name {
            let said = above.steps.len().min(place.steps.len());
            if place.steps[..said] == above.steps[..said] {
                let steps = place.steps[said..].iter().map(step_words);
                return last(steps.collect(), MAX_STEPS);
            }
        }
        words(&place, MAX_STEPS)
    }

    fn tree(&self) -> Table {
        let least = self.least();
        let mut columns = size_columns();
        columns.push(column("object", Align::Left));
        let mut table = Table {
            key: "tree".to_owned(),
            title: Some("what keeps what".to_owned()),
            columns,
            rows: Vec::new(),
            left_out: 0,
        };
        // Lists are as deep as they are long: no recursion.
        let mut todo: Vec<(ObjectId, u32, Option<ObjectId>)> = Vec::new();
        let mut point = None;
        let tops = self.dominators.top();
        let large = |id: &ObjectId| self.dominators.retained_size(*id) >= least;
        for top in tops.into_iter().filter(large) {
            todo.push((top, 1, None));
            while let Some((id, depth, above)) = todo.pop() {
                if above.is_none() {
                    point = self.dominators.accumulation_point(id);
                }
                if depth < self.args.depth {
                    let children = self.dominators.largest_children(id);
                    let children = children.into_iter().take_while(large).collect::<Vec<_>>();
                    todo.extend(children.into_iter().rev().map(|c| (c, depth + 1, Some(id))));
                }
                if table.rows.len() == self.limit() {
                    table.left_out += 1;
                    continue;
                }
                let is_point = point == Some(id) && !self.is_module(id);
                table.rows.push(self.tree_row(id, depth, above, is_point));
            }
        }
        table
    }

    fn tree_row(&self, id: ObjectId, depth: u32, above: Option<ObjectId>, is_point: bool) -> Row {
        let edge = above.and_then(|above| self.places.edge(above, id));
        let object = match above {
            None => words(&self.places.place(Dominator::Object(id)), MAX_STEPS),
            Some(_) => {
                let name = self.places.name(id).map(str::to_owned);
                let object = self.places.object(id);
                let parts = [name.or_else(|| edge.clone()), Some(object)];
                parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
        };
        let mut cells = self.sizes(id);
        let indent = "  ".repeat(depth as usize - 1);
        let mark = if is_point {
            "  ← comes together here"
        } else {
            ""
        };
        cells.push(format!("{indent}{object}{mark}"));
        let mut data = self.data(id);
        data["depth"] = json!(depth);
        data["edge"] = json!(edge);
        data["is_accumulation_point"] = json!(is_point);
        Row { cells, data }
    }

    fn totals(&self, by: GroupBy) -> Table {
        let least = self.least();
        let mut totals = self.dominators.totals(by);
        totals.retain(|total| total.retained >= least);
        let mut columns = size_columns();
        columns.push(column("objects", Align::Right));
        columns.extend(key_columns(by));
        let rows = totals.iter().take(self.limit()).map(|total| {
            let share = share(total.retained, self.whole());
            let mut cells = vec![
                total.retained.to_string(),
                percent(share),
                total.own.bytes.to_string(),
                total.own.objects.to_string(),
            ];
            cells.extend(key_cells(&total.key, by));
            let mut data = key_data(&total.key);
            data["retained_bytes"] = json!(total.retained.0);
            data["share"] = json!(share);
            data["own_bytes"] = json!(total.own.bytes.0);
            data["objects"] = json!(total.own.objects.0);
            Row { cells, data }
        });
        Table {
            key: "rows".to_owned(),
            title: Some("what keeps most (groups overlap)".to_owned()),
            columns,
            rows: rows.collect(),
            left_out: totals.len().saturating_sub(self.limit()),
        }
    }

    /// What is new, by what keeps it: points with the same way in one row.
    fn suspects(&self, new: &[bool]) -> Table {
        let suspects = self.dominators.suspects(|id| new[id.index()]);
        let all: Bytes = suspects.iter().map(|suspect| suspect.new.bytes).sum();
        let mut rows: BTreeMap<(Place, Credit), (Count, u64, u64)> = BTreeMap::new();
        for suspect in suspects.iter().take(MAX_NAMED) {
            let place = self.places.place(suspect.point);
            let (count, entries, points) = rows.entry((place, suspect.credit)).or_default();
            count.objects.0 += suspect.new.objects.0;
            count.bytes += suspect.new.bytes;
            *entries += suspect.entries;
            *points += 1;
        }
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by_key(|(_, (count, ..))| std::cmp::Reverse((count.bytes, count.objects)));
        let named = rows.len();
        let left_out =
            suspects.len().saturating_sub(MAX_NAMED) + named.saturating_sub(self.limit());
        let rows = rows.into_iter().take(self.limit());
        let rows = rows.map(|((place, credit), (count, entries, points))| {
            let mut object = words(&place, MAX_STEPS);
            if points > 1 {
                object = format!("{object} (in {points} objects)");
            }
            if credit == Credit::Way {
                object.push_str(" (not alone)");
            }
            Row {
                cells: vec![
                    count.bytes.to_string(),
                    percent(share(count.bytes, all)),
                    count.objects.to_string(),
                    entries.to_string(),
                    object,
                ],
                data: json!({
                    "new_bytes": count.bytes.0,
                    "new_objects": count.objects.0,
                    "new_entries": entries,
                    "share": share(count.bytes, all),
                    "points": points,
                    "is_alone": credit == Credit::Dominator,
                    "holder": place.name,
                    "steps": steps_data(&place.steps),
                }),
            }
        });
        Table {
            key: "suspects".to_owned(),
            title: Some("what keeps what is new".to_owned()),
            columns: vec![
                column("new", Align::Right),
                column("share", Align::Right),
                column("objects", Align::Right),
                column("entries", Align::Right),
                column("kept by", Align::Left),
            ],
            rows: rows.collect(),
            left_out,
        }
    }

    fn sizes(&self, id: ObjectId) -> Vec<String> {
        let retained = self.dominators.retained_size(id);
        vec![
            retained.to_string(),
            percent(share(retained, self.whole())),
            self.dominators.own_size(id).to_string(),
        ]
    }

    fn data(&self, id: ObjectId) -> Value {
        let heap = self.dominators.heap();
        let retained = self.dominators.retained_size(id);
        let site = heap.site(id).map(|site| heap.site_info(site));
        json!({
            "address": heap.address(id).to_string(),
            "type": heap.object_type(id).as_str(),
            "class": heap.class_name(id),
            "name": self.places.name(id),
            "object": self.places.object(id),
            "retained_bytes": retained.0,
            "own_bytes": self.dominators.own_size(id).0,
            "share": share(retained, self.whole()),
            "file": site.map(|site| site.file),
            "line": site.map(|site| site.line),
        })
    }
}

/// What nothing reaches, and why.
fn unreached_fact(unreached: &Unreached) -> Fact {
    let Count { objects, bytes } = unreached.all;
    let mut text = format!("{objects} objects, {bytes}");
    let young = unreached.since_last_collection.objects;
    if objects.0 > 0 {
        text.push_str(": garbage when the dump was taken");
        if young.0 > 0 {
            text.push_str(&format!(
                ", {young} of it allocated after the last collection"
            ));
        }
    }
    let mut data = count_data(unreached.all);
    data["since_last_collection_objects"] = json!(young.0);
    data["head_objects"] = json!(unreached.heads.0);
    data["dangling_share"] = json!(unreached.dangling_share);
    Fact::new("unreached", text, data)
}

fn size_columns() -> Vec<rbleak_report::Column> {
    ["retained", "share", "own"]
        .map(|heading| column(heading, Align::Right))
        .into()
}

fn count_data(count: Count) -> Value {
    json!({ "objects": count.objects.0, "bytes": count.bytes.0 })
}

fn share(part: Bytes, whole: Bytes) -> f64 {
    part.as_f64() / whole.as_f64().max(1.0)
}

/// `Leaky::STORE Array (1 500)`, `Leaky (class) → @cache Hash (3)`.
pub(crate) fn words(place: &Place, most: usize) -> String {
    if place.steps.is_empty() {
        return place.name.clone();
    }
    let steps = last(place.steps.iter().map(step_words).collect(), most);
    format!("{} → {steps}", place.name)
}

fn step_words(step: &Step) -> String {
    match &step.edge {
        Some(edge) => format!("{edge} {}", step.object),
        None => step.object.clone(),
    }
}

/// The last `most` of the steps.
fn last(steps: Vec<String>, most: usize) -> String {
    let cut = steps.len().saturating_sub(most);
    let shown = steps[cut..].join(" → ");
    if cut > 0 {
        format!("… → {shown}")
    } else {
        shown
    }
}

fn steps_data(steps: &[Step]) -> Value {
    let steps = steps
        .iter()
        .map(|step| json!({ "edge": step.edge, "object": step.object }));
    Value::Array(steps.collect())
}
