//! What Ruby's internal objects and data of C code refer to.
//!
//! Of internal objects their words are taken that are addresses of objects, and
//! what their structs lead to, as Ruby's collector marks them; of data of C code the
//! words of its struct, and of threads and fibers those on their stacks. What the C
//! code itself would mark is not known here.

use crate::references::{Each, References, Slot};

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
/// Words on a C stack.
const LARGEST_STACK: u64 = 256 << 20;

impl References<'_, '_> {
    /// `gc_mark_imemo`.
    pub(crate) fn internal(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
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

    pub(crate) fn data(&self, slot: Slot<'_>, each: Each<'_>) -> Option<()> {
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
