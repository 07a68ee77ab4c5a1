//! What an object refers to, as `gc_mark_children` of Ruby's gc.c marks it.
//!
//! Exactly, for what Ruby code makes: objects, Structs, Arrays, Hashes, Strings,
//! classes and modules, and for most of Ruby's internal objects. Of data of C code
//! the words of its struct that are addresses of objects are taken, and of threads
//! those on their stacks: what the C code itself would mark is not known here.

use crate::heap::{Heap, kind};
use crate::layout::Layout;
use crate::objects::{self, USER1, bits, user};
use crate::shapes::{Shape, Shapes};
use crate::tables::{id_each, st_each};
use crate::view::View;
use rustc_hash::FxHashMap;

/// `enum imemo_type`, the same in all versions so far.
mod imemo {
    pub(super) const ENV: u64 = 0;
    pub(super) const CREF: u64 = 1;
    pub(super) const SVAR: u64 = 2;
    pub(super) const THROW_DATA: u64 = 3;
    pub(super) const IFUNC: u64 = 4;
    pub(super) const MEMO: u64 = 5;
    pub(super) const MENT: u64 = 6;
    pub(super) const ISEQ: u64 = 7;
    pub(super) const TMPBUF: u64 = 8;
    pub(super) const CALLCACHE: u64 = 12;
    pub(super) const CONSTCACHE: u64 = 13;
}

/// IMEMO_MASK.
const IMEMO_MASK: u64 = 0xf << 12;
/// METHOD_ENTRY_INVALIDATED, IMEMO_FL_USER5.
const INVALIDATED: u64 = user(9);
/// Of RTypedData: it is one, and what it holds is in its own slot.
const TYPED: u64 = 1;
const TYPED_EMBEDDED: u64 = 2;
/// VM_ENV_DATA_INDEX_SPECVAL and _ENV.
const EP_PREVIOUS: u64 = 8;
const EP_ENV: u64 = 8;
/// VM_ENV_FLAG_LOCAL.
const EP_LOCAL: u64 = 2;
/// What one block of malloc's may hold to be looked through.
const LARGEST_BLOCK: u64 = 1 << 20;
/// malloc's own word before each block, and the bits in it that are no size.
const CHUNK_HEAD: u64 = 8;
const CHUNK_BITS: u64 = 7;
const CHUNK_FOREIGN: u64 = 4;
/// Frames on a stack; catch tables of a method; both are shorter by far.
const MOST_FRAMES: u64 = 1 << 20;
const MOST_CATCHES: u32 = 1 << 16;
/// Methods of one name in a cache.
const MOST_CACHED: u32 = 1 << 16;
/// Words on a C stack.
const LARGEST_STACK: u64 = 256 << 20;

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
type Each<'e> = &'e mut dyn FnMut(u64);

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

    fn field(&self, slot: Slot<'_>, at: crate::layout::Field) -> Option<u64> {
        let at = usize::try_from(at?).ok()?;
        slot.bytes.get(at..at.checked_add(8)?).map(crate::view::le)
    }

    fn st_values(&self, table: u64, each: Each<'_>) -> Option<()> {
        st_each(self.view, self.layout, table, |_, value| each(value))
    }

    fn id_values(&self, table: u64, each: Each<'_>) -> Option<()> {
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
        match self.object_values(slot) {
            Some((at, count)) => self.view.words(at, count, each),
            None => self.st_values(self.field(slot, self.layout.object_ivptr)?, each)?,
        }
        Some(())
    }

    fn ext(&self, class: u64, field: crate::layout::Field) -> u64 {
        objects::ext_word(self.view, self.layout, class, field)
    }

    fn class(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
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
        self.call_caches(class, each);
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

    /// `gc_mark_imemo`.
    fn internal(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        let layout = self.layout;
        let rest = slot.bytes.chunks_exact(8).skip(1).map(crate::view::le);
        match slot.imemo() {
            imemo::CREF | imemo::SVAR | imemo::THROW_DATA | imemo::IFUNC | imemo::MEMO => {
                rest.for_each(each);
            }
            imemo::CONSTCACHE => rest.take(2).for_each(each),
            // From 3.3 on it does not keep its method alive.
            imemo::CALLCACHE if layout.version < (3, 3) => {
                each(self.field(slot, layout.callcache_cme)?);
            }
            imemo::MENT => {
                rest.for_each(&mut *each);
                let definition = self.field(slot, layout.ment_def)?;
                let size = layout.def_size? - layout.def_body?;
                let body = definition.checked_add(layout.def_body?)?;
                self.view.words(body, size / 8, each);
            }
            imemo::ENV => {
                let at = self.field(slot, layout.env_env)?;
                let size = usize::try_from(layout.env_size?).ok()?;
                let count = slot.bytes.get(size..size + 4).map(crate::view::le)?;
                self.view.words(at, count.min(1 << 16), &mut *each);
                each(self.field(slot, layout.env_iseq)?);
                self.previous_env(self.field(slot, layout.env_ep)?, each)?;
            }
            imemo::TMPBUF => {
                // The last of the struct: how many words.
                let mut rest = rest.skip(1);
                let (at, count) = (rest.next()?, rest.nth(1)?);
                self.view.words(at, count, each);
            }
            imemo::ISEQ => self.iseq(slot, each)?,
            _ => {}
        }
        Some(())
    }

    /// The environment around one.
    fn previous_env(&self, ep: u64, each: Each<'_>) -> Option<()> {
        if self.view.word(ep)? & EP_LOCAL != 0 {
            return None;
        }
        let previous = self.view.word(ep.checked_sub(EP_PREVIOUS)?)? & !3;
        each(self.view.word(previous.checked_add(EP_ENV)?)?);
        Some(())
    }

    /// `rb_iseq_mark`: what the struct names, what its code has for operands, its
    /// call caches and what catches in it.
    fn iseq(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        let (view, layout) = (self.view, self.layout);
        for word in slot.bytes.chunks_exact(8).skip(1) {
            each(crate::view::le(word));
        }
        let body = self.field(slot, layout.iseq_body)?;
        view.words(body, layout.body_size? / 8, &mut *each);
        let half = |at: crate::layout::Field| view.half(body.checked_add(at?)?);
        let word = |at: crate::layout::Field| view.word(body.checked_add(at?)?);
        let count = half(layout.body_iseq_size)?;
        view.words(word(layout.body_encoded)?, u64::from(count), &mut *each);
        // Before 3.0 its words are no objects, or methods that it does not keep.
        let calls = word(layout.body_call_data).filter(|data| *data != 0);
        if let Some(data) = calls.filter(|_| layout.version >= (3, 0)) {
            let count = u64::from(half(layout.body_ci_size)?);
            view.words(data, count * 2, &mut *each);
        }
        let sizes = [
            layout.body_is_size,
            layout.body_ic_size,
            layout.body_ise_size,
            layout.body_ivc_size,
            layout.body_icvarc_size,
        ];
        let entries: u64 = sizes.into_iter().filter_map(half).map(u64::from).sum();
        if let Some(first) = word(layout.body_is_entries).filter(|first| *first != 0) {
            view.words(first, entries * (layout.is_entry_size? / 8), &mut *each);
        }
        if let Some(table) = word(layout.body_catch_table).filter(|table| *table != 0) {
            let size = view.half(table.checked_add(layout.catch_size?)?)?;
            let first = table.checked_add(layout.catch_entries?)?;
            for index in 0..size.min(MOST_CATCHES) {
                let entry = first.checked_add(u64::from(index) * layout.catch_entry_size?)?;
                if !view.spend(4) {
                    return None;
                }
                each(view.word(entry.checked_add(layout.catch_iseq?)?)?);
            }
        }
        Some(())
    }

    /// The name of the type of a T_DATA's struct, and where that is. `None` where
    /// the type has no name.
    pub(crate) fn data_type(&self, slot: Slot<'_>) -> Option<String> {
        let layout = self.layout;
        let is_typed = matches!(self.field(slot, layout.typed_flag)?, TYPED | 3);
        if !is_typed {
            return None;
        }
        let kind = self.field(slot, layout.typed_type)?;
        let name = self.view.word(kind.checked_add(layout.type_name?)?)?;
        self.view.text(name, 256)
    }

    /// Where the struct of a T_DATA is, if not in its slot.
    pub(crate) fn data_struct(&self, slot: Slot<'_>) -> Option<u64> {
        let layout = self.layout;
        let flag = self.field(slot, layout.typed_flag)?;
        match flag == TYPED | TYPED_EMBEDDED {
            // In place of the pointer.
            true => slot.address.checked_add(layout.data_ptr?),
            false => self.field(slot, layout.data_ptr).filter(|at| *at != 0),
        }
    }

    fn data(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
        let layout = self.layout;
        let at = self.data_struct(slot)?;
        let end = slot.address + slot.bytes.len() as u64;
        let name = self.data_type(slot);
        let size = match name.as_deref() {
            _ if (slot.address..end).contains(&at) => Some(end - at),
            Some("VM/thread") => layout.thread_size,
            Some("fiber") => layout.fiber_size,
            Some("proc") => layout.proc_size,
            Some("binding") => layout.binding_size,
            Some("method") => layout.method_size,
            Some("ractor" | "ractor/port") => layout.ractor_size,
            _ => self.block_size(at),
        };
        self.view.words(at, size? / 8, &mut *each);
        match name.as_deref() {
            // Objects that C code registered, from 3.4 on: next, length, list.
            Some("VM/pin_array_list") => {
                let length = self.view.word(at.checked_add(8)?)?;
                self.view
                    .words(self.view.word(at.checked_add(16)?)?, length, each);
                Some(())
            }
            Some("autoload" | "autoload_table") => self.st_values(at, each),
            Some("VM/thread") => {
                let context = self.view.word(at.checked_add(layout.thread_ec?)?)?;
                self.context(context, each)
            }
            Some("fiber") => self.context(at.checked_add(layout.fiber_ec?)?, each),
            Some("proc" | "binding") => {
                // What it captured: self, environment, code.
                let ep = self.view.word(at.checked_add(8)?)?;
                each(self.view.word(ep.checked_add(EP_ENV)?)?);
                Some(())
            }
            _ => Some(()),
        }
    }

    /// How much a block of malloc's holds.
    fn block_size(&self, at: u64) -> Option<u64> {
        if !self.has_chunks || !at.is_multiple_of(16) {
            return None;
        }
        let head = self.view.word(at.checked_sub(CHUNK_HEAD)?)?;
        let size = (head & !CHUNK_BITS).checked_sub(CHUNK_HEAD)?;
        let is_one = head & CHUNK_BITS & !CHUNK_FOREIGN & !3 == 0 && size.is_multiple_of(8);
        (is_one && (24..=LARGEST_BLOCK).contains(&size)).then_some(size)
    }

    /// `rb_execution_context_mark`: what a thread or a fiber works on.
    fn context(&self, context: u64, each: Each<'_>) -> Option<()> {
        let (view, layout) = (self.view, self.layout);
        let word = |at: crate::layout::Field| view.word(context.checked_add(at?)?);
        view.words(context, layout.ec_size? / 8, &mut *each);
        self.id_values(word(layout.ec_local_storage)?, &mut *each);
        let (start, end) = (word(layout.ec_stack_start)?, word(layout.ec_stack_end)?);
        if end < start && start - end < LARGEST_STACK {
            view.words(end, (start - end) / 8, &mut *each);
        }
        let (stack, size) = (word(layout.ec_vm_stack)?, word(layout.ec_vm_stack_size)?);
        let frame = word(layout.ec_cfp)?;
        let limit = stack.checked_add(size.checked_mul(8)?)?;
        if stack == 0 || !(stack..limit).contains(&frame) {
            return None;
        }
        let top = view.word(frame.checked_add(layout.cfp_sp?)?)?;
        if (stack..limit).contains(&top) {
            view.words(stack, (top - stack) / 8, &mut *each);
        }
        let width = layout.cfp_size?;
        for index in 0..((limit - frame) / width).min(MOST_FRAMES) {
            let frame = frame + index * width;
            if !view.spend(8) {
                return None;
            }
            for field in [layout.cfp_self, layout.cfp_iseq, layout.cfp_block_code] {
                each(view.word(frame.checked_add(field?)?)?);
            }
            let ep = view.word(frame.checked_add(layout.cfp_ep?)?)?;
            if self.previous_env(ep, &mut *each).is_some() {
                each(view.word(ep.checked_add(EP_ENV)?).unwrap_or_default());
            }
        }
        Some(())
    }
}
