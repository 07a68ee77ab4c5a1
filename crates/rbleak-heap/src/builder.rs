//! Records become columns, one row an object.
//!
//! Append-only while the lines come in: addresses stay addresses until
//! [`Builder::finish`] resolves them, so a chunk of a file can be built
//! without knowing the others ([`Builder::append`] joins them). Knows no
//! files.

use crate::columns::{ABSENT, Columns, Row, TOO_MANY};
use crate::index::Addresses;
use crate::interner::{Interner, StringId};
use crate::issues::Reason;
use crate::kinds::{Kind, KindNumbers};
use crate::object_type::ObjectType;
use crate::pages::Walk;
use crate::scan::{Fields, LineKind, Memo, Record, Remembered, decode};
use crate::shapes::{Shape, Shapes};
use crate::sites::SiteNumbers;
use crate::version::{Marker, Markers};
use rbleak_units::{Address, Bytes};
use rustc_hash::FxHashMap;

/// What happened to a record.
pub(crate) enum Pushed {
    /// It is in; the reason if one of its strings was no valid JSON.
    In(Option<Reason>),
    /// It is JSON but no line of a dump.
    NotADumpLine,
    /// The heap is full.
    TooMany(&'static str),
}

/// What rows refer to, as addresses.
#[derive(Default)]
pub(crate) struct Edges {
    /// For each row, where its references start.
    pub(crate) starts: Vec<u32>,
    /// In the order of the rows.
    pub(crate) addresses: Vec<u64>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) columns: Columns,
    pub(crate) addresses: Addresses,
    pub(crate) strings: Interner,
    sites: SiteNumbers,
    kinds: KindNumbers,
    pub(crate) memo: Memo,
    classes: FxHashMap<u64, u32>,
    pub(crate) roots: Vec<(String, Vec<u64>)>,
    pub(crate) edges: Edges,
    /// The edges of what was appended.
    pub(crate) later_edges: Vec<Edges>,
    pub(crate) keep_references: bool,
    pub(crate) superclasses: Vec<(u32, u64)>,
    pub(crate) class_references: Vec<(u32, Vec<u64>)>,
    pub(crate) shapes: Shapes,
    pub(crate) markers: Markers,
    pub(crate) live: u64,
    pub(crate) live_without_memsize: u64,
}

impl Builder {
    pub(crate) fn new(keep_references: bool) -> Builder {
        Builder {
            keep_references,
            ..Builder::default()
        }
    }

    /// Whether rows keep what they refer to.
    pub(crate) fn keeps_references(&self) -> bool {
        self.keep_references
    }

    /// Appends a record. Its references are what was appended to
    /// the edges since `mark`.
    #[inline]
    pub(crate) fn push(&mut self, record: &Record<'_>, mark: usize) -> Pushed {
        match record.kind {
            LineKind::Object(object_type) if record.fields.address != 0 => {
                self.push_object(object_type, &record.fields, Some(record), mark)
            }
            LineKind::Root => match record.root {
                Some(name) => self.push_root(name, mark),
                None => Pushed::NotADumpLine,
            },
            LineKind::Shape => self.push_shape(record, mark),
            LineKind::Object(_) | LineKind::Other => Pushed::NotADumpLine,
        }
    }

    /// How many lines are in.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.len() == 0 && self.roots.is_empty() && self.shapes.all().is_empty()
    }

    fn push_root(&mut self, name: &[u8], mark: usize) -> Pushed {
        let (name, reason) = decode(name);
        if name == "global_list" {
            self.markers.see(Marker::ListRoot);
        }
        let references = self.edges.addresses.split_off(mark);
        self.roots.push((name, references));
        Pushed::In(reason)
    }

    fn push_shape(&mut self, record: &Record<'_>, mark: usize) -> Pushed {
        self.edges.addresses.truncate(mark);
        let fields = &record.shape;
        let Some(id) = fields.id.and_then(|id| u32::try_from(id).ok()) else {
            return Pushed::NotADumpLine;
        };
        self.markers.see(Marker::Shape);
        let (shape_type, _) = decode(fields.shape_type.unwrap_or_default());
        match &*shape_type {
            "CAPACITY_CHANGE" | "INITIAL_CAPACITY" => self.markers.see(Marker::CapacityShape),
            "FROZEN" => self.markers.see(Marker::FrozenShape),
            "OBJ_ID" => self.markers.see(Marker::Fields),
            _ => {}
        }
        let edge_name = fields.edge_name.map(decode);
        let reason = edge_name.as_ref().and_then(|(_, reason)| *reason);
        self.shapes.push(Shape {
            id,
            parent_id: fields.parent_id.and_then(|id| u32::try_from(id).ok()),
            edge_name: edge_name.map(|(name, _)| name.into()),
            shape_type: shape_type.into(),
            address: Address(record.fields.address),
            memsize: Bytes(record.fields.memsize.unwrap_or_default()),
        });
        Pushed::In(reason)
    }

    /// Appends an object; `record` has what only few types have.
    #[inline]
    pub(crate) fn push_object(
        &mut self,
        object_type: ObjectType,
        fields: &Fields<'_>,
        record: Option<&Record<'_>>,
        mark: usize,
    ) -> Pushed {
        let row = self.columns.len();
        if row >= TOO_MANY {
            return Pushed::TooMany("objects");
        }
        if mark >= TOO_MANY {
            return Pushed::TooMany("references");
        }
        let row = row as u32;
        let mut bad = None;
        let is_live = object_type.is_live();
        if is_live {
            self.live += 1;
            self.live_without_memsize += u64::from(fields.memsize.is_none());
        }
        if fields.has_receiver_class {
            self.markers.see(Marker::ReceiverClass);
        }
        if fields.has_chilled {
            self.markers.see(Marker::Chilled);
        }
        let kind = match fields.kind {
            Some(kind) => kind,
            None => {
                let kind = self.kind(object_type, fields, record, &mut bad);
                if let Some(record) = record {
                    self.class_fields(record, object_type, mark, &mut bad);
                }
                kind
            }
        };
        self.addresses.push(fields.address);
        self.columns.push(&Row {
            kind,
            generation: fields.generation,
            memsize: fields.memsize,
            length: fields.length,
        });
        if fields.memsize.is_none()
            && let Some(slot_size) = fields.slot_size
        {
            self.columns.slot_sizes.push((row, slot_size));
        }
        if !self.keep_references {
            self.edges.addresses.truncate(mark);
            return Pushed::In(bad);
        }
        if let Some(shape_id) = fields.shape_id {
            // Only dumps of 3.2 and later have the column.
            let shape_ids = &mut self.columns.shape_ids;
            shape_ids.resize(row as usize, ABSENT);
            shape_ids.push(u32::try_from(shape_id).unwrap_or(ABSENT));
        }
        // Checked above: fewer than u32::MAX.
        self.edges.starts.push(mark as u32);
        Pushed::In(bad)
    }

    /// Appends objects whose lines, of these kinds here, became the rows from
    /// `row` on of `earlier`, and say no more than these rows do. How many: all,
    /// or none if there is more to be seen in them or no room.
    pub(crate) fn push_same(
        &mut self,
        earlier: &Builder,
        row: usize,
        kinds: &[u32],
        walk: &mut Walk,
    ) -> usize {
        // Of chilled strings there is no column, and one that is seen is enough.
        let is_chilled_known =
            self.markers.has(Marker::Chilled) || !earlier.markers.has(Marker::Chilled);
        if self.columns.len() + kinds.len() > TOO_MANY || !is_chilled_known {
            return 0;
        }
        let rows = row..row + kinds.len();
        self.live += kinds.len() as u64;
        self.addresses
            .extend_same(&earlier.addresses, rows.clone(), walk);
        self.columns.extend_same(&earlier.columns, rows, kinds);
        kinds.len()
    }

    /// Gives back what only lines that come in need.
    pub(crate) fn close(&mut self) {
        self.memo = Memo::default();
    }

    /// The number of a word of `class`.
    #[inline]
    fn class(&mut self, word: u64) -> u32 {
        let next = self.columns.class_words.len() as u32;
        let class = *self.classes.entry(word).or_insert(next);
        if class == next {
            self.columns.class_words.push(word);
        }
        class
    }

    /// The number of the kind of a line that is not remembered, and now is if it
    /// may be.
    #[inline(never)]
    fn kind(
        &mut self,
        object_type: ObjectType,
        fields: &Fields<'_>,
        record: Option<&Record<'_>>,
        bad: &mut Option<Reason>,
    ) -> u32 {
        let detail = self.detail(object_type, fields, record, bad);
        // What stands at the class of a free slot is the next one.
        let class = match fields.class {
            word if word != 0 && object_type.is_live() => self.class(word),
            _ => ABSENT,
        };
        let site = fields.file.map_or(ABSENT, |file| {
            let said = (file, fields.line, fields.method);
            let site_table = &mut self.columns.site_table;
            let (site, reason) = self.sites.number(said, &mut self.strings, site_table);
            *bad = bad.or(reason);
            site
        });
        let kind = Kind {
            object_type,
            class,
            detail,
            site,
        };
        let kind = self.kinds.number(kind, &mut self.columns.kind_table);
        // A line with a record has more to be booked than its kind, one with a bad
        // string that.
        if let Some(key) = fields.key
            && record.is_none()
            && bad.is_none()
        {
            // Others are given no key.
            let number = |number: Option<u64>| number.map_or(ABSENT, |number| number as u32);
            let remembered = Remembered {
                kind,
                generation: number(fields.generation),
                memsize: number(fields.memsize),
            };
            self.memo.put(key, remembered);
        }
        kind
    }

    /// What each type has for its own: see [`Kind::detail`].
    fn detail(
        &mut self,
        object_type: ObjectType,
        fields: &Fields<'_>,
        record: Option<&Record<'_>>,
        bad: &mut Option<Reason>,
    ) -> u32 {
        let text = match object_type {
            ObjectType::Class | ObjectType::Module | ObjectType::Iclass => {
                record.and_then(|record| record.name)
            }
            ObjectType::Imemo => {
                self.markers.see(Marker::Imemo);
                if let Some(imemo_type) = fields.detail {
                    self.markers.see(Marker::ImemoType);
                    if imemo_type == b"fields" {
                        self.markers.see(Marker::Fields);
                    }
                }
                fields.detail
            }
            ObjectType::Data | ObjectType::Node => fields.detail,
            _ => None,
        };
        text.map_or(ABSENT, |text| self.intern(text, bad).0)
    }

    /// What only classes and modules have, of the line that is next.
    fn class_fields(
        &mut self,
        record: &Record<'_>,
        object_type: ObjectType,
        mark: usize,
        bad: &mut Option<Reason>,
    ) {
        let row = self.columns.len() as u32;
        if object_type == ObjectType::Class && record.superclass == 0 {
            let references = self.edges.addresses[mark..].to_vec();
            if !references.is_empty() {
                self.class_references.push((row, references));
            }
        }
        if !matches!(
            object_type,
            ObjectType::Class | ObjectType::Module | ObjectType::Iclass
        ) {
            return;
        }
        if record.superclass != 0 {
            self.markers.see(Marker::Superclass);
            self.superclasses.push((row, record.superclass));
        }
        if record.singleton {
            self.columns.singletons.push(row);
        }
        if let Some(name) = record.real_class_name {
            let name = self.intern(name, bad);
            self.columns.real_class_names.push((row, name));
        }
    }

    #[inline]
    fn intern(&mut self, raw: &[u8], bad: &mut Option<Reason>) -> StringId {
        let (id, reason) = self.strings.intern(raw);
        if reason.is_some() {
            *bad = bad.or(reason);
        }
        id
    }

    /// Appends what the next part of the dump became; nothing may be pushed
    /// after that. On up to `threads` threads. What both together have too many of, if anything.
    pub(crate) fn append(&mut self, later: Builder, threads: usize) -> Result<(), &'static str> {
        let rows = self.columns.len();
        if rows + later.columns.len() > TOO_MANY {
            return Err("objects");
        }
        let edges = |edges: &Edges| edges.addresses.len();
        let before = edges(&self.edges) + self.later_edges.iter().map(edges).sum::<usize>();
        if before + edges(&later.edges) > TOO_MANY {
            return Err("references");
        }
        let moved = |row: u32| rows as u32 + row;
        let strings = self.strings.absorb(later.strings);
        let string = |id: StringId| strings[id.0 as usize];
        let number = |numbers: &[u32], at: u32| numbers.get(at as usize).copied();
        let mut columns = later.columns;
        let sites: Vec<u32> = std::mem::take(&mut columns.site_table)
            .iter()
            .map(|site| {
                let mut site = *site;
                site.file = string(site.file);
                site.method = site.method.map(string);
                self.sites.number_of(site, &mut self.columns.site_table)
            })
            .collect();
        let classes: Vec<u32> = std::mem::take(&mut columns.class_words)
            .iter()
            .map(|&word| self.class(word))
            .collect();
        let kinds: Vec<u32> = std::mem::take(&mut columns.kind_table)
            .iter()
            .map(|kind| {
                let kind = Kind {
                    object_type: kind.object_type,
                    class: number(&classes, kind.class).unwrap_or(ABSENT),
                    site: number(&sites, kind.site).unwrap_or(ABSENT),
                    detail: strings
                        .get(kind.detail as usize)
                        .map_or(ABSENT, |string| string.0),
                };
                self.kinds.number(kind, &mut self.columns.kind_table)
            })
            .collect();
        self.columns.append(columns, &kinds, &strings, threads);
        self.addresses.append(later.addresses);
        self.roots.extend(later.roots);
        self.later_edges.push(later.edges);
        let superclasses = later.superclasses.into_iter();
        self.superclasses
            .extend(superclasses.map(|(row, word)| (moved(row), word)));
        let references = later.class_references.into_iter();
        self.class_references
            .extend(references.map(|(row, words)| (moved(row), words)));
        self.shapes.append(later.shapes);
        self.markers.merge(later.markers);
        self.live += later.live;
        self.live_without_memsize += later.live_without_memsize;
        Ok(())
    }
}
