//! `rbleak show`: everything that a dump tells of one object.

mod args;

pub(crate) use args::ShowArgs;

use super::diff::{column, percent, report_issues};
use super::one::{One, place, rows_at_most, share};
use crate::exit::ExitStatus;
use crate::inputs::{self, Which};
use crate::memory;
use crate::shell;
use anyhow::{Result, bail};
use rbleak_heap::graph::{Dominator, Dominators, GraphInput, Layer, Places};
use rbleak_heap::trace::{PathTo, Paths, Step, root_in_words};
use rbleak_heap::{Analysis, Detail, Heap, Names, Neighbours, ObjectId, ObjectType, ReadOptions};
use rbleak_report::{Align, Block, Document, Fact, Note, Row, Table, json};
use rbleak_units::{Address, grouped};
use std::collections::BTreeMap;
use std::io::stdin;

/// Steps of a path that are told in its one line.
const MAX_STEPS: usize = 8;
/// What Ruby's heap pages are no larger than: farther away is another page.
const PAGE: u64 = 1 << 16;

/// Runs the command.
pub(crate) fn run(args: &ShowArgs) -> Result<ExitStatus> {
    let input = inputs::dump(&args.dump, Which::Last)?;
    let args = &ShowArgs {
        dump: input.path,
        ..args.clone()
    };
    let one = One {
        dump: &args.dump,
        names: args.reading.names.as_deref(),
        output: args.output.file.as_deref(),
    };
    one.check()?;
    let names = one.read_names()?;
    let options = ReadOptions::default();
    let known = Known::new(&args.object, &names)?;
    let (heap, streamed) = if one.is_stdin() {
        let addresses = known.addresses();
        Detail::read(stdin(), "standard input", &options, addresses)?
    } else {
        let wanted = [(args.dump.as_path(), true)];
        let memory = memory::allow(args.reading.memory, Analysis::Dominators, &wanted)?;
        let heap = Heap::open_within(&args.dump, &options, &memory)
            .map_err(|error| memory::told(args.reading.memory, error))?;
        (heap, BTreeMap::new())
    };
    report_issues(&heap);
    let id = known.find(&args.object, &heap)?;
    let address = heap.address(id);
    let mut found = streamed;
    if !one.is_stdin() {
        found = Detail::find(&args.dump, &options, &[address])?;
    }
    let is_tool_file = one.is_tool_file();
    let dominators = Dominators::new(GraphInput {
        heap: &heap,
        names: &names,
        is_tool_file: &is_tool_file,
    })?;
    let teller = Teller {
        args,
        dominators: &dominators,
        places: Places::new(&dominators),
        detail: found.remove(&address),
        id,
    };
    let path = Paths::new(&heap, &names).to(id);
    let mut document = teller.document(path.as_ref());
    super::partial::mark(&mut document, std::slice::from_ref(&heap));
    shell::show(&document, args.output.format, args.output.file.as_deref())?;
    Ok(ExitStatus::Clean)
}

/// What is known of the object before the dump is read.
enum Known {
    Address(Address),
    /// What the sidecar knows under the name, perhaps nothing.
    Named(Vec<Address>),
}

impl Known {
    fn new(object: &str, names: &Names) -> Result<Known> {
        // `Ad` and `FADED` are constants, `0xad` and `faded` addresses.
        let is_name = object.starts_with(|c: char| c.is_uppercase() || c == '$' || c == '@');
        match object.parse() {
            Ok(address) if !is_name => Ok(Known::Address(address)),
            Err(error) if object.starts_with("0x") => bail!("'{object}' is {error}"),
            _ => Ok(Known::Named(names.find(object))),
        }
    }

    fn addresses(&self) -> &[Address] {
        match self {
            Known::Address(address) => std::slice::from_ref(address),
            Known::Named(addresses) => addresses,
        }
    }

    /// The object, or why there is none.
    fn find(&self, object: &str, heap: &Heap) -> Result<ObjectId> {
        let source = heap.source();
        if let Known::Address(address) = self {
            return match heap.find(*address) {
                Some(id) if heap.is_live(id) => Ok(id),
                Some(id) => bail!("{}", no_object(heap, id)),
                None => bail!(
                    "{source} has no object at {address}: {}",
                    near(heap, *address)
                ),
            };
        }
        let live = self.addresses().iter().filter_map(|&at| heap.find(at));
        let mut found: Vec<ObjectId> = live.filter(|&id| heap.is_live(id)).collect();
        if found.is_empty() {
            found = heap
                .ids()
                .filter(|&id| heap.name(id) == Some(object))
                .collect();
        }
        match found[..] {
            [id] => Ok(id),
            [] => bail!(
                "{source} has no object that is called {object}: give an address (0x…), the name of a class or module, or a name of the sidecar that rbleak hunt writes beside its last dump"
            ),
            [..] => {
                let all = found.iter().take(5);
                let all: Vec<String> = all.map(|&id| heap.address(id).to_string()).collect();
                bail!(
                    "{source} has {} objects that are called {object}: give an address, such as {}",
                    found.len(),
                    all.join(", ")
                )
            }
        }
    }
}

/// Why a slot that the dump lists holds no object.
fn no_object(heap: &Heap, id: ObjectId) -> String {
    let what = match heap.object_type(id) {
        ObjectType::None => "a free slot: what was there is gone",
        ObjectType::Moved => "what compaction left behind: the object moved elsewhere",
        _ => "a dead object that waits for its finalizer",
    };
    format!("{} is {what}, in {}", heap.address(id), heap.source())
}

/// What lies around an address that the dump does not list.
fn near(heap: &Heap, address: Address) -> String {
    let mut below: Option<ObjectId> = None;
    let mut above: Option<ObjectId> = None;
    for id in heap.ids() {
        let at = heap.address(id);
        if at < address && below.is_none_or(|known| heap.address(known) < at) {
            below = Some(id);
        }
        if at > address && above.is_none_or(|known| heap.address(known) > at) {
            above = Some(id);
        }
    }
    let page = |at: Address| at.0 / PAGE;
    let neighbour = |id: Option<ObjectId>| {
        let id = id?;
        let at = heap.address(id);
        (page(at) == page(address)).then(|| format!("{at} ({})", heap.class_name(id)))
    };
    let around: Vec<String> = [below, above].into_iter().filter_map(neighbour).collect();
    if around.is_empty() {
        return "it lies in none of the heap's pages".to_owned();
    }
    let lists_free = heap
        .ids()
        .any(|id| heap.object_type(id) == ObjectType::None);
    let why = match lists_free {
        true => "it lies within a slot",
        false => {
            "it lies within a slot, or its slot was free and the dump was taken without full: true"
        }
    };
    format!("{why}; next to it in the page lie {}", around.join(" and "))
}

struct Teller<'a> {
    args: &'a ShowArgs,
    dominators: &'a Dominators<'a>,
    places: Places<'a>,
    detail: Option<Detail>,
    id: ObjectId,
}

impl Teller<'_> {
    fn document(&self, path: Option<&PathTo>) -> Document {
        let mut document = Document::new("rbleak/show/v1");
        let references = self.dominators.references_of(self.id);
        let referrers = self.dominators.referrers_of(self.id);
        document.push(Block::Facts(self.facts(path, &referrers)));
        for table in [self.references(&references), self.referrers(&referrers)] {
            if !table.rows.is_empty() {
                document.push(Block::Table(table));
            }
        }
        let heap = self.dominators.heap();
        if heap.is_partial() {
            document.note(Note::plain(
                "this dump has no roots, as those taken with since: nothing in it is said to be kept by anything",
            ));
        }
        if self.detail.is_none() && self.args.dump.as_os_str() == "-" {
            document.note(Note::plain(
                "flags and the like are not known: standard input is read once, and what the name stands for was not known before",
            ));
        }
        document
    }

    fn facts(&self, path: Option<&PathTo>, referrers: &Neighbours) -> Vec<Fact> {
        let heap = self.dominators.heap();
        let id = self.id;
        let address = heap.address(id);
        let object_type = heap.object_type(id);
        let object = self.places.object(id);
        let mut facts = vec![Fact::new(
            "object",
            format!("{address} · {object} · {object_type}"),
            json!({
                "address": address.to_string(),
                "object": object,
                "type": object_type.as_str(),
                "class": heap.class_name(id),
                "class_address": heap.class_id(id).map(|class| heap.address(class).to_string()),
                "instances": referrers.instances,
            }),
        )];
        let mut fact = |key: &str, text: String, data| facts.push(Fact::new(key, text, data));
        if let Some(name) = self.places.name(id).or(heap.name(id)) {
            fact("name", name.to_owned(), json!(name));
        }
        if referrers.instances > 0 {
            let text = grouped(referrers.instances);
            fact("instances", text, json!(referrers.instances));
        }
        let (own, retained) = (
            self.dominators.own_size(id),
            self.dominators.retained_size(id),
        );
        let part = share(retained, self.dominators.retained_by(Dominator::Roots));
        fact(
            "size",
            format!(
                "{own} by itself · {retained} retained, {} of the heap",
                percent(part)
            ),
            json!({
                "own_bytes": own.0,
                "shallow_bytes": heap.shallow_size(id).0,
                "retained_bytes": retained.0,
                "share": part,
            }),
        );
        let dominator = self.dominators.immediate_dominator(id);
        if let Some(dominator) = dominator {
            let (text, at) = self.dominator(dominator);
            fact(
                "dominated_by",
                text.clone(),
                json!({ "object": text, "address": at }),
            );
        }
        fact("held_by", self.path(path), path_data(heap, path));
        let site = heap.site(id).map(|site| heap.site_info(site));
        let generation = heap.generation(id).map(|generation| generation.0);
        let mut born: Vec<String> = site.map(|site| site.to_string()).into_iter().collect();
        born.extend(site.and_then(|site| site.method).map(str::to_owned));
        born.extend(generation.map(|generation| format!("generation {generation}")));
        if born.is_empty() {
            born.push("(not traced)".to_owned());
        }
        fact(
            "allocated",
            born.join(" · "),
            json!({
                "file": site.map(|site| site.file),
                "line": site.map(|site| site.line),
                "method": site.and_then(|site| site.method),
                "generation": generation,
            }),
        );
        if let Some(detail) = &self.detail {
            let fields = detail.fields.iter();
            let words: Vec<String> = fields
                .map(|(key, value)| format!("{key} {value}"))
                .collect();
            let fields: BTreeMap<_, _> = detail.fields.iter().cloned().collect();
            if !words.is_empty() {
                fact("fields", words.join(" · "), json!(fields));
            }
            fact("flags", detail.flags.join(" · "), json!(detail.flags));
            self.value(detail, &mut facts);
        }
        facts
    }

    fn value(&self, detail: &Detail, facts: &mut Vec<Fact>) {
        let Some(value) = &detail.value else {
            return;
        };
        if !self.args.show_values {
            let text = "in the dump, not shown: --show-values shows it";
            facts.push(Fact::new("value", text, json!(null)));
            return;
        }
        let mut text = format!("{value:?}");
        if detail.is_cut {
            text.push('…');
        }
        let data = json!({ "text": value, "is_cut": detail.is_cut });
        facts.push(Fact::new("value", text, data));
    }

    fn dominator(&self, dominator: Dominator) -> (String, Option<String>) {
        let heap = self.dominators.heap();
        match dominator {
            Dominator::Roots => (
                "several roots: nothing less than all of them".to_owned(),
                None,
            ),
            Dominator::Root(index) => (root_in_words(&heap.roots()[index].name).to_owned(), None),
            Dominator::Object(id) => {
                let at = heap.address(id).to_string();
                let name = self
                    .places
                    .name(id)
                    .map_or(String::new(), |name| format!(" · {name}"));
                (format!("{at} · {}{name}", self.places.object(id)), Some(at))
            }
        }
    }

    /// The path in one line.
    fn path(&self, path: Option<&PathTo>) -> String {
        let Some(path) = path else {
            return match self.dominators.layer(self.id) {
                _ if self.dominators.heap().is_partial() => "(this dump has no roots)".to_owned(),
                Layer::Unreached => "nothing: garbage when the dump was taken".to_owned(),
                _ => "what measures only: the allocation tracer or rbleak's agent".to_owned(),
            };
        };
        let steps: Vec<String> = path.steps.iter().map(|(_, step)| words(step)).collect();
        let cut = steps.len().saturating_sub(MAX_STEPS);
        let mut parts = vec![path.name.to_string()];
        parts.extend((cut > 0).then(|| "…".to_owned()));
        parts.extend(steps.into_iter().skip(cut));
        parts.join(" → ")
    }

    fn references(&self, references: &Neighbours) -> Table {
        let heap = self.dominators.heap();
        let mut table = self.table("references", "refers to", references.references.len());
        if let Some(class) = heap.class_id(self.id) {
            table
                .rows
                .push(self.row(class, Some("class".to_owned()), 1));
        }
        for &superclass in &references.superclasses {
            let edge = Some("superclass".to_owned());
            table.rows.push(self.row(superclass, edge, 1));
        }
        let shown = rows_at_most(self.args.limit);
        for &(id, times) in references.references.iter().take(shown) {
            let edge = self.places.edge(self.id, id);
            table.rows.push(self.row(id, edge, times));
        }
        table
    }

    fn referrers(&self, referrers: &Neighbours) -> Table {
        let heap = self.dominators.heap();
        let all = referrers.references.len() + referrers.superclasses.len();
        let mut table = self.table("referrers", "referred to by", all);
        for &index in &referrers.roots {
            let name = &heap.roots()[index].name;
            table.rows.push(Row {
                cells: ["", "", "root", root_in_words(name), "", ""]
                    .map(str::to_owned)
                    .into(),
                data: json!({ "root": name }),
            });
        }
        let shown = rows_at_most(self.args.limit);
        for &(id, times) in referrers.references.iter().take(shown) {
            let edge = self.places.edge(id, self.id);
            table.rows.push(self.row(id, edge, times));
        }
        let left = shown.saturating_sub(referrers.references.len());
        for &id in referrers.superclasses.iter().take(left) {
            table
                .rows
                .push(self.row(id, Some("superclass".to_owned()), 1));
        }
        table
    }

    fn table(&self, key: &str, title: &str, rows: usize) -> Table {
        let mut columns: Vec<_> = ["retained", "own"]
            .map(|heading| column(heading, Align::Right))
            .into();
        columns.extend(
            ["by", "object", "address", "allocated at"].map(|heading| column(heading, Align::Left)),
        );
        Table {
            key: key.to_owned(),
            title: Some(title.to_owned()),
            columns,
            rows: Vec::new(),
            left_out: rows.saturating_sub(rows_at_most(self.args.limit)),
        }
    }

    fn row(&self, id: ObjectId, edge: Option<String>, times: u32) -> Row {
        let heap = self.dominators.heap();
        let (own, retained) = (
            self.dominators.own_size(id),
            self.dominators.retained_size(id),
        );
        let address = heap.address(id).to_string();
        let object = self.places.object(id);
        let mut by = edge.clone().unwrap_or_default();
        if times > 1 {
            by = format!("{by} × {}", grouped(u64::from(times)));
        }
        Row {
            cells: vec![
                retained.to_string(),
                own.to_string(),
                by.trim().to_owned(),
                object.clone(),
                address.clone(),
                place(heap, id).unwrap_or_default(),
            ],
            data: json!({
                "address": address,
                "object": object,
                "class": heap.class_name(id),
                "type": heap.object_type(id).as_str(),
                "edge": edge,
                "times": times,
                "own_bytes": own.0,
                "retained_bytes": retained.0,
            }),
        }
    }
}

fn words(step: &Step) -> String {
    match &step.edge {
        Some(edge) => format!("{edge} {}", step.object),
        None => step.object.clone(),
    }
}

fn path_data(heap: &Heap, path: Option<&PathTo>) -> rbleak_report::Value {
    let Some(path) = path else {
        return json!(null);
    };
    let steps = path.steps.iter().map(|(id, step)| {
        json!({
            "edge": step.edge,
            "object": step.object,
            "address": heap.address(*id).to_string(),
        })
    });
    let steps: Vec<_> = steps.collect();
    json!({ "name": path.name.to_string(), "root": path.root, "steps": steps })
}
