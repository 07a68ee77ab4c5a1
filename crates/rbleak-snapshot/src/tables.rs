//! Ruby's two kinds of tables: `st_table` of st.c, and `rb_id_table` of id_table.c.

use crate::layout::Layout;
use crate::view::View;

/// An entry of an st_table: hash, key, value.
const ST_ENTRY: usize = 3;
/// The hash of an entry that was deleted.
const DELETED: u64 = u64::MAX;
/// Tables of names and of methods have no more: it would be a torn one.
const LARGEST_ID_TABLE: u32 = 1 << 24;

/// Passes on keys and values of an st_table.
pub(crate) fn st_each(
    view: &View<'_>,
    layout: &Layout,
    table: u64,
    mut each: impl FnMut(u64, u64),
) -> Option<()> {
    if table == 0 {
        return None;
    }
    let start = view.word(table.checked_add(layout.st_start?)?)?;
    let bound = view.word(table.checked_add(layout.st_bound?)?)?;
    let entries = view.word(table.checked_add(layout.st_entries?)?)?;
    let first = entries.checked_add(start.checked_mul(8 * ST_ENTRY as u64)?)?;
    view.groups(first, bound.checked_sub(start)?, ST_ENTRY, |entry| {
        if entry[0] != DELETED {
            each(entry[1], entry[2]);
        }
    });
    Some(())
}

/// How many an st_table has.
pub(crate) fn st_len(view: &View<'_>, layout: &Layout, table: u64) -> Option<u64> {
    view.word(table.checked_add(layout.st_num?)?)
}

/// The bytes that an st_table takes, its own struct with it: `st_memsize`.
pub(crate) fn st_size(view: &View<'_>, table: u64) -> Option<u64> {
    const STRUCT: u64 = 56;
    let mut powers = [0_u8; 3];
    if table == 0 || !view.read(table, &mut powers) {
        return None;
    }
    let [entries, bins, width] = powers.map(u32::from);
    let size = |power: u32, unit: u64| {
        1_u64
            .checked_shl(power)
            .map_or(0, |it| it.saturating_mul(unit))
    };
    // Where the bins are none, a small table is searched from end to end.
    let has_bins = view.word(table.checked_add(24)?)? != 0;
    let bins = match has_bins && bins < 60 && width < 4 {
        true => size(bins, 1 << width).next_multiple_of(8),
        false => 0,
    };
    (entries < 60).then(|| {
        STRUCT
            .saturating_add(size(entries, 24))
            .saturating_add(bins)
    })
}

/// Passes on keys (serial numbers of names) and values of an rb_id_table.
pub(crate) fn id_each(
    view: &View<'_>,
    layout: &Layout,
    table: u64,
    mut each: impl FnMut(u32, u64),
) -> Option<()> {
    if table == 0 {
        return None;
    }
    let slots = view.half(table.checked_add(layout.id_capa?)?)?;
    let items = view.word(table.checked_add(layout.id_items?)?)?;
    let width = usize::try_from(layout.item_size? / 8).ok()?;
    let value = usize::try_from(layout.item_val? / 8).ok()?;
    if slots > LARGEST_ID_TABLE || value >= width {
        return None;
    }
    view.groups(items, u64::from(slots), width, |item| {
        // Half a word: the other half says whether another key came by here.
        let key = item[0] as u32;
        if key != 0 && item[value] != 0 {
            each(key, item[value]);
        }
    });
    Some(())
}

/// The bytes that an rb_id_table takes.
pub(crate) fn id_size(view: &View<'_>, layout: &Layout, table: u64) -> Option<u64> {
    const STRUCT: u64 = 24;
    if table == 0 {
        return None;
    }
    let slots = view.half(table.checked_add(layout.id_capa?)?)?;
    Some(STRUCT + u64::from(slots) * layout.item_size?)
}
