//! How much memory an object takes, as far as its own tables tell: the slot, and
//! what it has beside it.

use crate::heap::kind;
use crate::lines::{ENCODING, hash_table, word};
use crate::objects::{self, STR_NOFREE, USER1, bits, words};
use crate::references::Slot;
use crate::tables::{id_each, id_size, st_size};
use crate::walk::Walk;

/// `obj_memsize_of`, as far as it is known: the slot with what belongs to it.
pub(crate) fn memsize(walk: &Walk<'_, '_>, slot: Slot<'_>) -> u64 {
    (slot.bytes.len() as u64).saturating_add(beside(walk, slot).unwrap_or_default())
}

fn beside(walk: &Walk<'_, '_>, slot: Slot<'_>) -> Option<u64> {
    let (view, layout) = (walk.view, walk.layout);
    let is_flagged = slot.flags & USER1 != 0;
    match slot.kind {
        kind::STRING => {
            let is_own = slot.flags & (USER1 | layout.elts_shared | STR_NOFREE) == USER1;
            let wide = matches!(bits(slot.flags, ENCODING), 3..=8);
            // What ends it.
            let end = if wide { 4 } else { 1 };
            word(slot, layout.string_aux)
                .filter(|_| is_own)
                .and_then(|capacity| capacity.checked_add(end))
        }
        kind::ARRAY => {
            let is_own = !is_flagged && slot.flags & layout.elts_shared == 0;
            // An Array that others share has no room beyond its elements.
            let root = objects::user(if layout.version < (3, 2) { 5 } else { 12 });
            let capacity = match slot.flags & root != 0 {
                true => layout.array_len,
                false => layout.array_aux,
            };
            word(slot, capacity).filter(|_| is_own).map(words)
        }
        kind::OBJECT => {
            let (_, count) = walk.references.object_values(slot)?;
            (!is_flagged).then(|| words(count))
        }
        kind::STRUCT => {
            let (at, length) = objects::struct_members(view, layout, slot.address)?;
            (Some(at) != layout.struct_embedded.map(|it| slot.address + it)).then(|| words(length))
        }
        kind::HASH => {
            let table = hash_table(walk, slot).filter(|table| *table != 0)?;
            let own = if layout.hash_table.is_none() { 56 } else { 0 };
            match slot.flags & layout.hash_st != 0 {
                true => Some(st_size(view, table)?.saturating_sub(own)),
                // Eight pairs.
                false => layout.hash_table.map(|_| 128),
            }
        }
        kind::CLASS | kind::MODULE => {
            let ext = |field| objects::ext_word(view, layout, slot.address, field);
            let ids = [
                objects::methods(view, layout, slot.address),
                ext(layout.ext_const_tbl),
                ext(layout.ext_cvc_tbl),
            ];
            let tables = [ext(layout.ext_iv_tbl), ext(layout.ext_iv_index_tbl)];
            let ids = ids.into_iter().filter_map(|it| id_size(view, layout, it));
            let tables = tables.into_iter().filter_map(|it| st_size(view, it));
            let own = layout.class_ext.and(layout.ext_size).unwrap_or_default();
            let caches = cache_size(walk, ext(layout.ext_cc_tbl));
            let own = own.saturating_add(caches.unwrap_or_default());
            Some(ids.chain(tables).fold(own, u64::saturating_add))
        }
        _ => None,
    }
}

/// `cc_table_memsize`.
fn cache_size(walk: &Walk<'_, '_>, table: u64) -> Option<u64> {
    let (view, layout) = (walk.view, walk.layout);
    let own = id_size(view, layout, table)?;
    let mut all = own;
    id_each(view, layout, table, |_, entries| {
        let room = view.half(entries).unwrap_or_default();
        let (one, head) = (layout.cc_entry_size, layout.ccs_entries);
        let list = one.unwrap_or_default() * u64::from(room) + head.unwrap_or_default() + 8;
        all = all.saturating_add(list);
    })?;
    Some(all)
}
