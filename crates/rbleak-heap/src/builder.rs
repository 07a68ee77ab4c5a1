//! Records become columns, one row an object.
//!
//! Append-only while the lines come in: addresses stay addresses until
//! [`Builder::finish`] resolves them, so a chunk of a file can be built
//! without knowing the others. Knows no files.

use crate::columns::{ABSENT, Columns, OVERFLOW, Site};
use crate::interner::{Interner, StringId};
use crate::issues::Reason;
use crate::object_type::ObjectType;
use crate::scan::{Kind, Record, decode};
use crate::shapes::{Shape, Shapes};
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

/// See the module.
#[derive(Default)]
pub(crate) struct Builder {
    pub(crate) columns: Columns,
    pub(crate) strings: Interner,
    sites: FxHashMap<(u32, u64, u32), u32>,
    classes: FxHashMap<u64, u32>,
    pub(crate) roots: Vec<(String, Vec<u64>)>,
    /// For each row, where its references start.
    pub(crate) starts: Vec<u32>,
    /// Addresses that rows refer to, in the order of the rows.
    pub(crate) references: Vec<u64>,
    keep_references: bool,
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

    /// Appends a record. Its references are what was appended to
    /// [`Builder::references`] since `mark`.
    #[inline]
    pub(crate) fn push(&mut self, record: &Record<'_>, mark: usize) -> Pushed {
        match record.kind {
            Kind::Object(object_type) if record.address != 0 => {
                self.push_object(record, object_type, mark)
            }
            Kind::Root => match record.root {
                Some(name) => self.push_root(name, mark),
                None => Pushed::NotADumpLine,
            },
            Kind::Shape => self.push_shape(record, mark),
            Kind::Object(_) | Kind::Other => Pushed::NotADumpLine,
        }
    }

    /// How many lines are in.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.addresses.is_empty() && self.roots.is_empty() && self.shapes.all().is_empty()
    }

    fn push_root(&mut self, name: &[u8], mark: usize) -> Pushed {
        let (name, reason) = decode(name);
        if name == "global_list" {
            self.markers.see(Marker::ListRoot);
        }
        let references = self.references.split_off(mark);
        self.roots.push((name, references));
        Pushed::In(reason)
    }

    fn push_shape(&mut self, record: &Record<'_>, mark: usize) -> Pushed {
        self.references.truncate(mark);
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
            address: Address(record.address),
            memsize: Bytes(record.memsize.unwrap_or_default()),
        });
        Pushed::In(reason)
    }

    #[inline]
    fn push_object(&mut self, record: &Record<'_>, object_type: ObjectType, mark: usize) -> Pushed {
        let row = self.columns.addresses.len();
        if row >= OVERFLOW as usize {
            return Pushed::TooMany("objects");
        }
        if mark >= OVERFLOW as usize {
            return Pushed::TooMany("references");
        }
        let row = row as u32;
        let mut bad = None;
        let is_live = object_type.is_live();
        if is_live {
            self.live += 1;
            self.live_without_memsize += u64::from(record.memsize.is_none());
        }
        if record.has_receiver_class {
            self.markers.see(Marker::ReceiverClass);
        }
        if record.has_chilled {
            self.markers.see(Marker::Chilled);
        }
        let detail = self.detail(record, object_type, row, &mut bad);
        let class = match record.class {
            // What is there is the next free slot, not a class.
            word if word != 0 && is_live => {
                let next = self.classes.len() as u32;
                let class = *self.classes.entry(word).or_insert(next);
                if class == next {
                    self.columns.class_words.push(word);
                }
                class
            }
            _ => ABSENT,
        };
        let site = self.site(record, &mut bad);
        if object_type == ObjectType::Class && record.superclass == 0 {
            let references = self.references[mark..].to_vec();
            if !references.is_empty() {
                self.class_references.push((row, references));
            }
        }
        if !self.keep_references {
            self.references.truncate(mark);
        }
        let columns = &mut self.columns;
        columns.addresses.push(record.address);
        columns.types.push(object_type);
        columns.classes.push(class);
        columns.details.push(detail);
        columns.sites.push(site);
        columns.generations.push(match record.generation {
            Some(generation) => generation.min(u64::from(ABSENT - 1)) as u32,
            None => ABSENT,
        });
        columns.memsizes.push(row, record.memsize);
        columns.lengths.push(row, record.length);
        if let Some(slot_size) = record.slot_size
            && record.memsize.is_none()
        {
            columns.slot_sizes.push((row, slot_size));
        }
        if let Some(shape_id) = record.shape_id {
            // Only dumps of 3.2 and later have the column.
            columns.shape_ids.resize(row as usize, ABSENT);
            columns
                .shape_ids
                .push(u32::try_from(shape_id).unwrap_or(ABSENT));
        }
        // Checked above: fewer than u32::MAX.
        self.starts.push(mark as u32);
        Pushed::In(bad)
    }

    /// The column of which each type has its own meaning: see
    /// [`Columns::details`].
    #[inline]
    fn detail(
        &mut self,
        record: &Record<'_>,
        object_type: ObjectType,
        row: u32,
        bad: &mut Option<Reason>,
    ) -> u32 {
        let text = match object_type {
            ObjectType::Class | ObjectType::Module | ObjectType::Iclass => {
                self.class_fields(record, row, bad);
                record.name
            }
            ObjectType::Imemo => {
                self.markers.see(Marker::Imemo);
                if let Some(imemo_type) = record.detail {
                    self.markers.see(Marker::ImemoType);
                    if imemo_type == b"fields" {
                        self.markers.see(Marker::Fields);
                    }
                }
                record.detail
            }
            ObjectType::Data | ObjectType::Node => record.detail,
            _ => None,
        };
        text.map_or(ABSENT, |text| self.intern(text, bad).0)
    }

    fn class_fields(&mut self, record: &Record<'_>, row: u32, bad: &mut Option<Reason>) {
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
    fn site(&mut self, record: &Record<'_>, bad: &mut Option<Reason>) -> u32 {
        let Some(file) = record.file else {
            return ABSENT;
        };
        let file = self.intern(file, bad);
        let method = record.method.map(|method| self.intern(method, bad));
        // Absent lines differ from line 0 in what heapy prints only.
        let line = record.line.unwrap_or(u64::MAX);
        let key = (file.0, line, method.map_or(ABSENT, |method| method.0));
        let next = self.sites.len() as u32;
        let site = *self.sites.entry(key).or_insert(next);
        if site == next {
            self.columns.site_table.push(Site {
                file,
                line: record.line,
                method,
                // Ruby to 2.7 writes this for code in C that has no file.
                is_known: self.strings.get(file) != "(null)",
            });
        }
        site
    }

    #[inline]
    fn intern(&mut self, raw: &[u8], bad: &mut Option<Reason>) -> StringId {
        let (id, reason) = self.strings.intern(raw);
        if reason.is_some() {
            *bad = bad.or(reason);
        }
        id
    }
}
