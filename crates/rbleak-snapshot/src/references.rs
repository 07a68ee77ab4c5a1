//! What an object refers to, as `gc_mark_children` of Ruby's gc.c marks it.
//!
//! Exactly, for what Ruby code makes: objects, Structs, Arrays, Hashes, Strings,
//! classes and modules. What Ruby and C code keep for themselves is in
//! `internals`.

use crate::heap::{Heap, kind};
use crate::layout::Layout;
use crate::objects::{self, USER1, bits, user};
use crate::shapes::{Shape, Shapes};
use crate::tables::{id_each, st_each};
use crate::view::View;
use rustc_hash::FxHashMap;

/// IMEMO_MASK.
const IMEMO_MASK: u64 = 0xf << 12;
/// METHOD_ENTRY_INVALIDATED, IMEMO_FL_USER5.
const INVALIDATED: u64 = user(9);
/// Methods of one name in a cache.
const MOST_CACHED: u32 = 1 << 16;
/// A slot.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'b> {
    pub(crate) address: u64,
    pub(crate) bytes: &'b [u8],
    pub(crate) flags: u64,
    pub(crate) class: u64,
    pub(crate) kind: u8,
}

impl<'b> Slot<'b> {
    pub(crate) fn new(address: u64, bytes: &'b [u8]) -> Slot<'b> {
        let flags = crate::view::le(&bytes[..8]);
        Slot {
            address,
            bytes,
            flags,
            class: crate::view::le(&bytes[8..16]),
            kind: (flags & 0x1f) as u8,
        }
    }

    /// The number of its `imemo_type`.
    pub(crate) fn imemo(&self) -> u64 {
        bits(self.flags, IMEMO_MASK)
    }
}

/// Reads references.
pub(crate) struct References<'v, 'm> {
    pub(crate) view: &'v View<'m>,
    pub(crate) layout: &'static Layout,
    pub(crate) heap: &'v Heap,
    pub(crate) shapes: Option<Shapes>,
    /// Where the instance variables are of objects that have no place for them.
    pub(crate) generic: FxHashMap<u64, u64>,
    /// Whether blocks of memory have the head that glibc's malloc gives them.
    pub(crate) has_chunks: bool,
}

/// What takes references.
pub(crate) type Each<'e> = &'e mut dyn FnMut(u64);

impl References<'_, '_> {
    /// Passes on what an object refers to, its class apart; nothing that is no
    /// object.
    pub(crate) fn each(&self, slot: Slot<'_>, each: Each<'_>) {
        // What internal objects have in its place is no class of theirs.
        let class = match slot.kind == kind::IMEMO && self.layout.version >= (3, 2) {
            true => 0,
            false => slot.class,
        };
        // What is taken word by word names itself, too.
        let own = match slot.kind {
            kind::IMEMO | kind::DATA => slot.address,
            _ => 0,
        };
        let mut each = |value: u64| {
            let is_other = value != class && value != own;
            if is_other && value & 7 == 0 && self.heap.is_object(value) {
                each(value);
            }
        };
        // `None`: something that it leads to is not there. What was found stays.
        let _ = self.generic_values(slot, &mut each);
        let _ = self.by_kind(slot, &mut each);
    }

    /// The same, and what is taken for a reference and leads to no object; of classes
    /// without their call caches, of whose words some are numbers.
    pub(crate) fn unfiltered(&self, slot: Slot<'_>, each: Each<'_>) {
        let _ = match slot.kind {
            kind::CLASS | kind::MODULE => self.own(slot, each),
            _ => self.by_kind(slot, each),
        };
    }

    fn by_kind(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        let layout = self.layout;
        match slot.kind {
            kind::OBJECT => self.object(slot, each),
            kind::CLASS | kind::MODULE => self.class(slot, each),
            kind::ICLASS => self.included(slot, each),
            kind::ARRAY => {
                let is_embedded = slot.flags & USER1 != 0;
                if !is_embedded && slot.flags & layout.elts_shared != 0 {
                    each(self.field(slot, layout.array_aux)?);
                    return Some(());
                }
                let (at, length) = objects::array_elements(self.view, layout, slot.address)?;
                self.view.words(at, length, each);
                Some(())
            }
            kind::STRUCT => {
                let (at, length) = objects::struct_members(self.view, layout, slot.address)?;
                self.view.words(at, length, each);
                Some(())
            }
            kind::STRING => {
                let shared = USER1 | layout.elts_shared;
                if slot.flags & shared == shared {
                    each(self.field(slot, layout.string_aux)?);
                }
                Some(())
            }
            kind::HASH => {
                self.hash(slot, each);
                each(self.field(slot, layout.hash_ifnone)?);
                Some(())
            }
            kind::FILE => {
                let io = self.field(slot, layout.file_ptr)?;
                self.view.words(io, layout.io_size? / 8, each);
                Some(())
            }
            kind::REGEXP => {
                each(self.field(slot, layout.regexp_src)?);
                Some(())
            }
            kind::MATCH => {
                each(self.field(slot, layout.match_regexp)?);
                each(self.field(slot, layout.match_str)?);
                Some(())
            }
            kind::RATIONAL | kind::COMPLEX => {
                for part in slot.bytes.chunks_exact(8).skip(2).take(2) {
                    each(crate::view::le(part));
                }
                Some(())
            }
            kind::IMEMO => self.internal(slot, each),
            kind::DATA => self.data(slot, each),
            _ => None,
        }
    }

    pub(crate) fn field(&self, slot: Slot<'_>, at: crate::layout::Field) -> Option<u64> {
        let at = usize::try_from(at?).ok()?;
        slot.bytes.get(at..at.checked_add(8)?).map(crate::view::le)
    }

    pub(crate) fn st_values(&self, table: u64, each: Each<'_>) -> Option<()> {
        st_each(self.view, self.layout, table, |_, value| each(value))
    }

    pub(crate) fn id_values(&self, table: u64, each: Each<'_>) -> Option<()> {
        id_each(self.view, self.layout, table, |_, value| each(value))
    }

    fn generic_values(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        if slot.flags & objects::FL_EXIVAR == 0 {
            return None;
        }
        let table = *self.generic.get(&slot.address)?;
        let layout = self.layout;
        if let Some(shapes) = &self.shapes
            && shapes.of(self.view, layout, slot.flags)? == Shape::Table
        {
            return self.st_values(self.view.word(table)?, each);
        }
        let count = self.view.half(table.checked_add(layout.gen_count?)?)?;
        let values = table.checked_add(layout.gen_values?)?;
        self.view.words(values, u64::from(count), each);
        Some(())
    }

    /// Where the instance variables of an object are, and how many, if they are
    /// a list.
    pub(crate) fn object_values(&self, slot: Slot<'_>) -> Option<(u64, u64)> {
        let layout = self.layout;
        let Some(at) = layout.object_numiv.map_or(layout.object_ivptr, |_| None) else {
            return objects::object_values(self.view, layout, slot.address);
        };
        let Shape::List(count) = self.shapes.as_ref()?.of(self.view, layout, slot.flags)? else {
            return None;
        };
        match slot.flags & USER1 != 0 {
            true => Some((slot.address.checked_add(layout.object_embedded?)?, count)),
            false => Some((self.field(slot, Some(at))?, count)),
        }
    }

    fn object(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        if let Some((at, count)) = self.object_values(slot) {
            self.view.words(at, count, each);
            return Some(());
        }
        // Without a shape nothing is known of it.
        let shape = self
            .shapes
            .as_ref()?
            .of(self.view, self.layout, slot.flags)?;
        match shape {
            Shape::Table => self.st_values(self.field(slot, self.layout.object_ivptr)?, each),
            Shape::List(_) => None,
        }
    }

    fn ext(&self, class: u64, field: crate::layout::Field) -> u64 {
        objects::ext_word(self.view, self.layout, class, field)
    }

    fn class(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        self.own(slot, &mut *each);
        self.call_caches(slot.address, each)
    }

    /// What a class has of its own.
    fn own(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        let (layout, class) = (self.layout, slot.address);
        if layout.ext_attached.is_some()
            && slot.kind == kind::CLASS
            && slot.flags & layout.singleton != 0
        {
            each(self.ext(class, layout.ext_attached));
        }
        each(objects::superclass(self.view, layout, class));
        self.id_values(objects::methods(self.view, layout, class), each);
        if layout.cvc_cref.is_some() {
            let table = self.ext(class, layout.ext_cvc_tbl);
            id_each(self.view, layout, table, |_, entry| {
                let at = layout.cvc_cref.and_then(|at| entry.checked_add(at));
                each(at.and_then(|at| self.view.word(at)).unwrap_or_default());
            });
        }
        self.class_values(slot, each);
        let table = self.ext(class, layout.ext_const_tbl);
        id_each(self.view, layout, table, |_, entry| {
            for field in [layout.const_value, layout.const_file] {
                let at = field.and_then(|at| entry.checked_add(at));
                each(at.and_then(|at| self.view.word(at)).unwrap_or_default());
            }
        });
        each(self.ext(class, layout.ext_classpath));
        Some(())
    }

    /// Instance and class variables of a class.
    fn class_values(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        let layout = self.layout;
        if layout.ext_iv_tbl.is_some() {
            return self.st_values(self.ext(slot.address, layout.ext_iv_tbl), each);
        }
        let values = self.ext(slot.address, layout.ext_iv_ptr);
        match self.shapes.as_ref()?.of(self.view, layout, slot.flags)? {
            Shape::Table => self.st_values(values, each),
            Shape::List(count) => {
                self.view.words(values, count, each);
                Some(())
            }
        }
    }

    fn included(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        let (layout, class) = (self.layout, slot.address);
        // RICLASS_OWNS_M_TBL_P: it is an origin, and does not share its table.
        let (origin, shared) = (user(5), user(8));
        let owns = match layout.version {
            (2, 7) => slot.flags & origin != 0,
            (3, minor) if minor < 2 => slot.flags & (origin | shared) == origin,
            _ => slot.flags & (user(0) | user(3)) == user(0),
        };
        if owns {
            self.id_values(objects::methods(self.view, layout, class), each);
        }
        each(objects::superclass(self.view, layout, class));
        if layout.version >= (3, 2) {
            each(self.ext(class, layout.ext_includer));
        }
        self.id_values(self.ext(class, layout.ext_callable_m_tbl), each);
        self.call_caches(class, each)
    }

    /// `cc_table_mark`.
    fn call_caches(&self, class: u64, each: Each<'_>) -> Option<()> {
        let layout = self.layout;
        let table = self.ext(class, layout.ext_cc_tbl);
        id_each(self.view, layout, table, |_, entries| {
            let _ = self.call_cache(entries, each);
        })
    }

    fn call_cache(&self, entries: u64, each: Each<'_>) -> Option<()> {
        let (view, layout) = (self.view, self.layout);
        let method = view.word(entries.checked_add(layout.ccs_cme?)?)?;
        if view.word(method)? & INVALIDATED != 0 {
            return None;
        }
        each(method);
        let count = view.half(entries.checked_add(layout.ccs_len?)?)?;
        let list = view.word(entries.checked_add(layout.ccs_entries?)?)?;
        let width = layout.cc_entry_size? / 8;
        if count > MOST_CACHED {
            return None;
        }
        // Which of its words are objects differs within 3.4; the others are small
        // numbers.
        view.words(list, u64::from(count) * width, each);
        Some(())
    }

    fn hash(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        self.pairs(slot, &mut |key, value| {
            each(key);
            each(value);
        })
    }

    /// Keys and values of a Hash.
    pub(crate) fn pairs(&self, slot: Slot<'_>, each: &mut dyn FnMut(u64, u64)) -> Option<()> {
        let layout = self.layout;
        // From 3.3 on the table lies behind the Hash in its slot.
        let table = match layout.hash_table {
            Some(_) => self.field(slot, layout.hash_table)?,
            None => slot.address.checked_add(layout.hash_size?)?,
        };
        if table == 0 {
            return None;
        }
        if slot.flags & layout.hash_st != 0 {
            return st_each(self.view, layout, table, each);
        }
        let count = bits(slot.flags, layout.hash_bound_mask);
        let pairs = table.checked_add(layout.ar_pairs?)?;
        self.view.groups(pairs, count, 2, |pair| {
            if pair[0] != layout.undef {
                each(pair[0], pair[1]);
            }
        });
        Some(())
    }
}
