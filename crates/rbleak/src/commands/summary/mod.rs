//! `rbleak summary`: what a heap is made of, in tables that add up to it.

mod args;
mod tables;

pub(crate) use args::SummaryArgs;

use super::diff::{percent, report_issues};
use super::one::{One, rows_at_most};
use crate::exit::ExitStatus;
use crate::inputs::{self, Which};
use crate::shell;
use anyhow::{Result, bail};
use args::SummaryTable;
use rbleak_heap::graph::Count;
use rbleak_heap::summary::{Content, ModuleKind, Slots, Strings, Summary};
use rbleak_heap::{Detail, GroupBy, Heap, Names, ObjectType, ReadOptions};
use rbleak_report::{Block, Document, Fact, Note, Value, json};
use rbleak_units::{Address, Bytes, Objects, grouped};
use std::collections::BTreeMap;

/// Runs the command.
pub(crate) fn run(args: &SummaryArgs) -> Result<ExitStatus> {
    let input = inputs::dump(&args.dump, Which::Last)?;
    let args = &SummaryArgs {
        dump: input.path,
        ..args.clone()
    };
    let one = One {
        dump: &args.dump,
        names: args.names.as_deref(),
        output: args.output.file.as_deref(),
    };
    one.check()?;
    if args.show_values && one.is_stdin() {
        bail!("--show-values reads the dump a second time, which - (stdin) cannot be: give a file");
    }
    let names = one.read_names()?;
    let options = ReadOptions::default().references(false);
    let (heap, content) = if one.is_stdin() {
        Content::read(std::io::stdin(), "standard input", &options)?
    } else {
        Content::open(&args.dump, &options)?
    };
    report_issues(&heap);
    let summary = Summary::new(&heap);
    let slots = summary.slots(&content);
    let strings = summary.strings(content);
    let values = match args.show_values {
        true => values(args, &heap, &strings, &options)?,
        false => BTreeMap::new(),
    };
    let teller = Teller {
        args,
        names: &names,
        heap: &heap,
        summary,
        strings,
        values,
    };
    let mut document = teller.document(&slots);
    super::partial::mark(&mut document, std::slice::from_ref(&heap));
    shell::show(&document, args.output.format, args.output.file.as_deref())?;
    Ok(ExitStatus::Clean)
}

/// The values of the duplicates that are listed.
fn values(
    args: &SummaryArgs,
    heap: &Heap,
    strings: &Strings,
    options: &ReadOptions,
) -> Result<BTreeMap<Address, Detail>> {
    let listed = strings.duplicates.iter().take(rows_at_most(args.limit));
    let first = |duplicate| Some(heap.address(*strings.members(duplicate).first()?));
    let addresses: Vec<Address> = listed.filter_map(first).collect();
    Ok(Detail::find(&args.dump, options, &addresses)?)
}

struct Teller<'a> {
    args: &'a SummaryArgs,
    names: &'a Names,
    heap: &'a Heap,
    summary: Summary<'a>,
    strings: Strings,
    values: BTreeMap<Address, Detail>,
}

impl Teller<'_> {
    fn document(&self, slots: &[Slots]) -> Document {
        let mut document = Document::new("rbleak/summary/v1");
        document.push(Block::Facts(self.facts(slots)));
        for &table in SummaryTable::ALL {
            if !self.args.table.is_empty() && !self.args.table.contains(&table) {
                continue;
            }
            let table = match table {
                SummaryTable::Types => Some(self.types()),
                SummaryTable::Classes => Some(self.by("classes", "by class", GroupBy::Class)),
                SummaryTable::Instances => Some(self.instances()),
                SummaryTable::Sites => self.traced("sites", "by class and line", GroupBy::Site),
                SummaryTable::Files => self.traced("files", "by file", GroupBy::File),
                SummaryTable::Gems => self.traced("gems", "by gem", GroupBy::Gem),
                SummaryTable::Ages => self.heap.is_traced().then(|| self.ages()),
                SummaryTable::Slots => Some(self.slots(slots)),
                SummaryTable::Duplicates => Some(self.duplicates()),
                SummaryTable::Strings => self.largest("strings", ObjectType::String, "bytes"),
                SummaryTable::Arrays => self.largest("arrays", ObjectType::Array, "elements"),
                SummaryTable::Hashes => self.largest("hashes", ObjectType::Hash, "entries"),
                SummaryTable::Threads => self.threads(),
                SummaryTable::Imemo => {
                    self.kinds("imemo", "records of the VM (IMEMO)", self.summary.imemo())
                }
                SummaryTable::Structs => {
                    self.kinds("structs", "objects of C (DATA)", self.summary.structs())
                }
                SummaryTable::Modules => Some(self.modules()),
            };
            if let Some(table) = table.filter(|table| !table.rows.is_empty()) {
                document.push(Block::Table(table));
            }
        }
        for note in self.notes(slots) {
            document.note(note);
        }
        document
    }

    fn facts(&self, slots: &[Slots]) -> Vec<Fact> {
        let total = self.summary.total();
        let mut facts = vec![
            Fact::new(
                "dump",
                format!("{} · {}", self.heap.source(), self.heap.ruby()),
                json!({ "name": self.heap.source(), "ruby": self.heap.ruby().to_string() }),
            ),
            Fact::new("total", words(total), count_data(total)),
        ];
        let traced = self.heap.ids();
        let traced = traced.filter(|&id| self.heap.is_live(id) && self.heap.site(id).is_some());
        let traced = traced.count() as u64;
        if self.heap.is_traced() {
            facts.push(Fact::new(
                "traced",
                format!(
                    "{} objects have a line: {}",
                    Objects(traced),
                    percent(traced as f64 / (total.objects.0 as f64).max(1.0))
                ),
                json!({ "objects": traced }),
            ));
        }
        facts.push(self.strings_fact());
        let free: u64 = slots.iter().map(|slots| slots.free.0).sum();
        let dead: u64 = slots.iter().map(|slots| slots.dead.0).sum();
        if free + dead > 0 {
            facts.push(Fact::new(
                "slots",
                format!("{} free, {} dead", grouped(free), grouped(dead)),
                json!({ "free": free, "dead": dead }),
            ));
        }
        let shapes = self.heap.shapes().all();
        if !shapes.is_empty() {
            let bytes: Bytes = shapes.iter().map(|shape| shape.memsize).sum();
            facts.push(Fact::new(
                "shapes",
                format!(
                    "{}, {bytes}, not in the total",
                    grouped(shapes.len() as u64)
                ),
                json!({ "shapes": shapes.len(), "bytes": bytes.0 }),
            ));
        }
        facts
    }

    fn strings_fact(&self) -> Fact {
        let strings = &self.strings;
        Fact::new(
            "strings",
            format!(
                "{}; of {} the value is known, {} values differ, {} copies waste {}",
                words(strings.all),
                strings.with_value.objects,
                grouped(strings.distinct),
                strings.wasted.objects,
                strings.wasted.bytes
            ),
            json!({
                "objects": strings.all.objects.0,
                "bytes": strings.all.bytes.0,
                "with_value_objects": strings.with_value.objects.0,
                "with_value_bytes": strings.with_value.bytes.0,
                "distinct_values": strings.distinct,
                "wasted_objects": strings.wasted.objects.0,
                "wasted_bytes": strings.wasted.bytes.0,
            }),
        )
    }

    /// What the dump does not hold.
    fn notes(&self, slots: &[Slots]) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut say = |text: String| notes.push(Note::plain(text));
        if !self.heap.is_traced() {
            say("not traced: this dump has no lines, files, gems or ages; call ObjectSpace.trace_object_allocations_start before what is to be seen".to_owned());
        }
        if self.heap.is_partial() {
            say("part of a heap: this dump has no roots, as those taken with since:".to_owned());
        }
        if slots.iter().all(|slots| slots.free.0 == 0) {
            say(
                "free slots are not listed: take the dump with full: true (Ruby 2.5 and later)"
                    .to_owned(),
            );
        }
        let without = self.strings.all.objects.0 - self.strings.with_value.objects.0;
        if without > 0 {
            say(format!(
                "{} Strings have no value in the dump, so that equal ones are not told: not ASCII, binary, or sharing another's bytes",
                grouped(without)
            ));
        }
        if !self.args.show_values && !self.strings.duplicates.is_empty() {
            say("values are not shown: --show-values shows them".to_owned());
        }
        let tracer = Some("ObjectTracing/allocation_info_tracer");
        let structs = self.summary.structs();
        if let Some(part) = structs.iter().find(|part| part.key == tracer) {
            say(format!(
                "{} of the total are the allocation tracer's own table",
                part.count.bytes
            ));
        }
        let modules = self.summary.modules();
        let has = |kind| modules.iter().any(|part| part.key == kind);
        if has(ModuleKind::Class) && !has(ModuleKind::SingletonClass) && !self.heap.is_partial() {
            say("singleton classes cannot be told from anonymous ones in this dump".to_owned());
        }
        notes
    }
}

fn words(count: Count) -> String {
    let word = if count.objects.0 == 1 {
        "object"
    } else {
        "objects"
    };
    format!("{} {word}, {}", count.objects, count.bytes)
}

fn count_data(count: Count) -> Value {
    json!({ "objects": count.objects.0, "bytes": count.bytes.0 })
}
