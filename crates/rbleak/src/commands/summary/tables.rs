//! The tables of a summary: each adds up to the sum in its title.

use super::super::diff::{column, key_cells, key_columns, key_data, percent};
use super::super::one::{others, place, rows_at_most, share};
use super::{Teller, words};
use rbleak_heap::graph::Count;
use rbleak_heap::summary::{Age, Duplicate, ModuleKind, Part, Slots};
use rbleak_heap::{GroupBy, Key, ObjectId, ObjectType};
use rbleak_report::{Align, Column, Row, Table, Value, json};
use rbleak_units::{Bytes, Objects, grouped};

/// Characters of a bar that stands for all of the heap.
const BAR: f64 = 40.0;
/// Characters of a value that are shown.
const SHOWN: usize = 60;

impl Teller<'_> {
    fn table(&self, key: &str, title: &str, sum: Count, columns: Vec<Column>) -> Table {
        Table {
            key: key.to_owned(),
            title: Some(format!("{title}: {}", words(sum))),
            columns,
            rows: Vec::new(),
            left_out: 0,
        }
    }

    /// Bytes, share and objects, and behind them what parts have in common.
    fn parts<K>(
        &self,
        mut table: Table,
        sum: Count,
        parts: &[Part<K>],
        told: impl Fn(&K) -> (Vec<String>, Value),
    ) -> Table {
        let shown = parts.len().min(rows_at_most(self.args.limit));
        for Part { key, count } in &parts[..shown] {
            let (cells, mut data) = told(key);
            data["bytes"] = json!(count.bytes.0);
            data["objects"] = json!(count.objects.0);
            data["share"] = json!(share(count.bytes, sum.bytes));
            let mut all = sizes(*count, sum);
            all.extend(cells);
            table.rows.push(Row { cells: all, data });
        }
        let rest = sum_of(parts[shown..].iter().map(|part| part.count));
        if shown < parts.len() {
            let mut cells = sizes(rest, sum);
            cells.push(left_out(parts.len() - shown));
            cells.resize(table.columns.len(), String::new());
            table.rows.push(others(parts.len() - shown, rest, cells));
        }
        table
    }

    pub(super) fn types(&self) -> Table {
        let total = self.summary.total();
        let table = self.table("types", "by type", total, columns(&["type"]));
        self.parts(table, total, &self.summary.by_type(), |object_type| {
            let name = object_type.as_str();
            (vec![name.to_owned()], json!({ "type": name }))
        })
    }

    pub(super) fn by(&self, key: &str, title: &str, by: GroupBy) -> Table {
        self.keyed(key, title, by, self.summary.by(by))
    }

    pub(super) fn traced(&self, key: &str, title: &str, by: GroupBy) -> Option<Table> {
        self.heap.is_traced().then(|| self.by(key, title, by))
    }

    pub(super) fn instances(&self) -> Table {
        let mut parts = self.summary.by(GroupBy::Class);
        // Stable: what has as many objects stays in the order of bytes.
        parts.sort_by_key(|part| std::cmp::Reverse(part.count.objects));
        self.keyed("instances", "by number of objects", GroupBy::Class, parts)
    }

    fn keyed(&self, key: &str, title: &str, by: GroupBy, parts: Vec<Part<Key<'_>>>) -> Table {
        let total = self.summary.total();
        let mut columns = columns(&[]);
        columns.extend(key_columns(by));
        let table = self.table(key, title, total, columns);
        self.parts(table, total, &parts, |key| {
            (key_cells(key, by), key_data(key))
        })
    }

    pub(super) fn kinds(
        &self,
        key: &str,
        title: &str,
        parts: Vec<Part<Option<&str>>>,
    ) -> Option<Table> {
        let sum = sum_of(parts.iter().map(|part| part.count));
        let table = self.table(key, title, sum, columns(&["kind"]));
        Some(self.parts(table, sum, &parts, |kind| {
            let cells = vec![kind.unwrap_or("(not known)").to_owned()];
            (cells, json!({ "kind": kind }))
        }))
    }

    pub(super) fn modules(&self) -> Table {
        let parts = self.summary.modules();
        let sum = sum_of(parts.iter().map(|part| part.count));
        let table = self.table("modules", "classes and modules", sum, columns(&["kind"]));
        self.parts(table, sum, &parts, |kind| {
            let (word, key) = match kind {
                ModuleKind::Class => ("classes", "class"),
                ModuleKind::AnonymousClass => ("anonymous classes", "anonymous_class"),
                ModuleKind::SingletonClass => ("singleton classes", "singleton_class"),
                ModuleKind::Module => ("modules", "module"),
                ModuleKind::AnonymousModule => ("anonymous modules", "anonymous_module"),
                ModuleKind::Inclusion => ("inclusions of modules (internal)", "inclusion"),
            };
            (vec![word.to_owned()], json!({ "kind": key }))
        })
    }

    /// All rows: they are few.
    pub(super) fn ages(&self) -> Table {
        let total = self.summary.total();
        let mut columns = columns(&["collections ago", "generations"]);
        columns.push(column("", Align::Left));
        let title = "by age in garbage collections";
        let mut table = self.table("ages", title, total, columns);
        for age in self.summary.ages() {
            let Age {
                collections,
                generations,
                count,
            } = age;
            let share = share(count.bytes, total.bytes);
            let mut cells = sizes(count, total);
            cells.push(collections.map_or("(not traced)".to_owned(), span));
            cells.push(generations.map_or(String::new(), span));
            cells.push("█".repeat((share * BAR).round() as usize));
            let data = json!({
                "collections_from": collections.map(|(from, _)| from),
                "collections_to": collections.map(|(_, to)| to),
                "generations_from": generations.map(|(from, _)| from),
                "generations_to": generations.map(|(_, to)| to),
                "objects": count.objects.0,
                "bytes": count.bytes.0,
                "share": share,
            });
            table.rows.push(Row { cells, data });
        }
        table
    }

    pub(super) fn slots(&self, slots: &[Slots]) -> Table {
        let total = self.summary.total();
        let mut columns = columns(&[]);
        for heading in ["slot", "in slots", "outside", "free", "dead"] {
            columns.push(column(heading, Align::Right));
        }
        let mut table = self.table("slots", "by size of slot", total, columns);
        for slots in slots {
            let mut cells = sizes(slots.live, total);
            cells.push(slots.size.map_or("(not known)".to_owned(), |size| {
                Bytes(u64::from(size)).to_string()
            }));
            cells.push(slots.inside.to_string());
            cells.push(slots.outside().to_string());
            cells.push(slots.free.to_string());
            cells.push(slots.dead.to_string());
            let data = json!({
                "slot_bytes": slots.size,
                "objects": slots.live.objects.0,
                "bytes": slots.live.bytes.0,
                "bytes_in_slots": slots.inside.0,
                "bytes_outside": slots.outside().0,
                "free": slots.free.0,
                "dead": slots.dead.0,
            });
            table.rows.push(Row { cells, data });
        }
        table
    }

    pub(super) fn duplicates(&self) -> Table {
        let strings = &self.strings;
        let mut columns = vec![
            column("wasted", Align::Right),
            column("share", Align::Right),
            column("copies", Align::Right),
            column("length", Align::Right),
        ];
        columns.push(column("most allocated at", Align::Left));
        if self.args.show_values {
            columns.push(column("value", Align::Left));
        }
        let mut table = Table {
            key: "duplicates".to_owned(),
            title: Some(format!(
                "equal Strings: {} copies waste {}",
                strings.wasted.objects, strings.wasted.bytes
            )),
            columns,
            rows: Vec::new(),
            left_out: 0,
        };
        let shown = rows_at_most(self.args.limit).min(strings.duplicates.len());
        for duplicate in &strings.duplicates[..shown] {
            table.rows.push(self.duplicate(duplicate));
        }
        let rest = &strings.duplicates[shown..];
        if !rest.is_empty() {
            let wasted: Bytes = rest.iter().map(|one| one.wasted).sum();
            let copies: u64 = rest.iter().map(|one| one.copies.objects.0).sum();
            let mut cells = vec![
                wasted.to_string(),
                percent(share(wasted, strings.wasted.bytes)),
                grouped(copies),
                String::new(),
                left_out(rest.len()),
            ];
            cells.resize(table.columns.len(), String::new());
            let data = json!({ "others": rest.len(), "wasted_bytes": wasted.0, "objects": copies });
            table.rows.push(Row { cells, data });
        }
        table
    }

    fn duplicate(&self, duplicate: &Duplicate) -> Row {
        let wasted = duplicate.wasted;
        let part = share(wasted, self.strings.wasted.bytes);
        let sites = self.strings.sites(self.heap, duplicate);
        let site = sites.first().and_then(|(site, _)| *site);
        let info = site.map(|site| self.heap.site_info(site));
        let mut at = info.map_or("(not known)".to_owned(), |info| info.to_string());
        if sites.len() > 1 {
            at.push_str(&format!(" and {} more", sites.len() - 1));
        }
        let mut cells = vec![
            wasted.to_string(),
            percent(part),
            duplicate.copies.objects.to_string(),
            Bytes(duplicate.length).to_string(),
            at,
        ];
        let value = self.value(duplicate);
        if self.args.show_values {
            cells.push(value.map_or("(not known)".to_owned(), shortened));
        }
        Row {
            cells,
            data: json!({
                "wasted_bytes": wasted.0,
                "share": part,
                "objects": duplicate.copies.objects.0,
                "bytes": duplicate.copies.bytes.0,
                "length_bytes": duplicate.length,
                "file": info.map(|info| info.file),
                "line": info.map(|info| info.line),
                "sites": sites.len(),
                "value": value,
            }),
        }
    }

    fn value(&self, duplicate: &Duplicate) -> Option<&str> {
        let first = *self.strings.members(duplicate).first()?;
        let detail = self.values.get(&self.heap.address(first))?;
        Some(detail.value.as_deref().unwrap_or(""))
    }

    pub(super) fn largest(&self, key: &str, object_type: ObjectType, unit: &str) -> Option<Table> {
        let most = rows_at_most(self.args.limit);
        let found = self.summary.largest(object_type, most);
        let parts = self.summary.by_type();
        let sum = parts.iter().find(|part| part.key == object_type)?.count;
        let title = format!("largest {key}");
        let mut table = self.table(key, &title, sum, {
            let mut columns = vec![column("bytes", Align::Right), column("share", Align::Right)];
            columns.push(column(unit, Align::Right));
            columns.extend(["object", "class", "allocated at"].map(|h| column(h, Align::Left)));
            columns
        });
        self.objects(&mut table, &found, sum, |id| {
            let length = self.heap.length(id);
            (
                length.map_or(String::new(), grouped),
                json!({ "length": length }),
            )
        });
        Some(table)
    }

    pub(super) fn threads(&self) -> Option<Table> {
        let found = self.summary.threads_and_fibers();
        let sum = sum_of(found.iter().map(|&id| Count {
            objects: Objects(1),
            bytes: self.heap.shallow_size(id),
        }));
        let mut columns = vec![column("bytes", Align::Right), column("share", Align::Right)];
        columns.extend(["name", "object", "class", "allocated at"].map(|h| column(h, Align::Left)));
        let mut table = self.table("threads", "threads and fibers", sum, columns);
        let shown = &found[..found.len().min(rows_at_most(self.args.limit))];
        self.objects(&mut table, shown, sum, |id| {
            let name = self.names.thread(self.heap.address(id));
            (name.unwrap_or("").to_owned(), json!({ "name": name }))
        });
        Some(table)
    }

    /// A row for each object, and one for what is left of `sum`.
    fn objects(
        &self,
        table: &mut Table,
        shown: &[ObjectId],
        sum: Count,
        told: impl Fn(ObjectId) -> (String, Value),
    ) {
        let heap = self.heap;
        let mut rest = sum;
        for &id in shown {
            let bytes = heap.shallow_size(id);
            rest.objects.0 -= 1;
            rest.bytes.0 -= bytes.0;
            let (cell, mut data) = told(id);
            let address = heap.address(id);
            let site = heap.site(id).map(|site| heap.site_info(site));
            let name = self.names.of_value(address);
            data["address"] = json!(address.to_string());
            data["class"] = json!(heap.class_name(id));
            data["constant"] = json!(name);
            data["file"] = json!(site.map(|site| site.file));
            data["line"] = json!(site.map(|site| site.line));
            data["objects"] = json!(1);
            data["bytes"] = json!(bytes.0);
            let object = match name {
                Some(name) => format!("{address} {name}"),
                None => address.to_string(),
            };
            table.rows.push(Row {
                cells: vec![
                    bytes.to_string(),
                    percent(share(bytes, sum.bytes)),
                    cell,
                    object,
                    heap.class_name(id).to_owned(),
                    place(heap, id).unwrap_or_default(),
                ],
                data,
            });
        }
        if rest.objects.0 > 0 {
            let count = rest.objects.0 as usize;
            let cells = vec![
                rest.bytes.to_string(),
                percent(share(rest.bytes, sum.bytes)),
                String::new(),
                left_out(count),
                String::new(),
                String::new(),
            ];
            table.rows.push(others(count, rest, cells));
        }
    }
}

fn columns(more: &[&str]) -> Vec<Column> {
    let sizes = ["bytes", "share", "objects"].map(|heading| column(heading, Align::Right));
    let more = more.iter().map(|heading| column(heading, Align::Left));
    sizes.into_iter().chain(more).collect()
}

fn sizes(count: Count, sum: Count) -> Vec<String> {
    vec![
        count.bytes.to_string(),
        percent(share(count.bytes, sum.bytes)),
        count.objects.to_string(),
    ]
}

fn sum_of(counts: impl Iterator<Item = Count>) -> Count {
    counts.fold(Count::default(), |sum, count| Count {
        objects: Objects(sum.objects.0 + count.objects.0),
        bytes: sum.bytes + count.bytes,
    })
}

fn left_out(rows: usize) -> String {
    format!("({} others: --limit)", grouped(rows as u64))
}

fn span((from, to): (u32, u32)) -> String {
    if from == to {
        from.to_string()
    } else {
        format!("{from}–{to}")
    }
}

/// A value in one line.
fn shortened(value: &str) -> String {
    let mut text = format!("{:?}", value.chars().take(SHOWN).collect::<String>());
    if value.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text
}
