//! What is in the slots of each type of object, as far as other modules need it
//! apart from references: Strings, Arrays, Structs, and where classes keep things.
//! Names of flags are those of Ruby's headers.

use crate::heap::{Heap, kind};
use crate::layout::Layout;
use crate::view::View;

pub(crate) const FL_EXIVAR: u64 = 1 << 10;
pub(crate) const FL_FREEZE: u64 = 1 << 11;
const FL_USHIFT: u32 = 12;
/// FL_USER0 and so on.
pub(crate) const fn user(bit: u32) -> u64 {
    1 << (FL_USHIFT + bit)
}
/// RSTRING_NOEMBED, ROBJECT_EMBED, RARRAY_EMBED_FLAG.
pub(crate) const USER1: u64 = user(1);
/// STR_NOFREE: the bytes are not the String's own.
pub(crate) const STR_NOFREE: u64 = user(18);
pub(crate) const RSTRING_FSTR: u64 = user(17);
/// Values in the slot of an object that has no list of its own, before 3.2.
const EMBEDDED_VALUES: u64 = 3;
const WORD: u64 = 8;

/// What flags hold in some of their bits.
pub(crate) fn bits(flags: u64, mask: u64) -> u64 {
    match mask {
        0 => 0,
        mask => (flags & mask) >> mask.trailing_zeros(),
    }
}

/// Where a String's bytes are, and how many.
pub(crate) fn string_place(view: &View<'_>, layout: &Layout, string: u64) -> Option<(u64, u64)> {
    let flags = view.word(string)?;
    if flags & 0x1f != u64::from(kind::STRING) {
        return None;
    }
    let is_embedded = flags & USER1 == 0;
    let length = match (layout.string_len, is_embedded) {
        (Some(at), _) => view.word(string.checked_add(at)?)?,
        (None, true) => bits(flags, layout.string_embed_mask),
        (None, false) => view.word(string.checked_add(layout.string_heap_len?)?)?,
    };
    let address = match is_embedded {
        true => string.checked_add(layout.string_embedded?)?,
        false => view.word(string.checked_add(layout.string_ptr?)?)?,
    };
    Some((address, length))
}

/// The bytes of a String of at most `most`.
pub(crate) fn string_bytes(
    view: &View<'_>,
    layout: &Layout,
    string: u64,
    most: u64,
) -> Option<Vec<u8>> {
    let (address, length) = string_place(view, layout, string)?;
    if length > most {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    view.read(address, &mut bytes).then_some(bytes)
}

/// What a String says, if it is no longer than `most` and of UTF-8.
pub(crate) fn string_text(
    view: &View<'_>,
    layout: &Layout,
    string: u64,
    most: u64,
) -> Option<String> {
    String::from_utf8(string_bytes(view, layout, string, most)?).ok()
}

/// Where an Array's elements are, and how many: those of its own, or of the
/// Array that it shares them with.
pub(crate) fn array_elements(view: &View<'_>, layout: &Layout, array: u64) -> Option<(u64, u64)> {
    let flags = view.word(array)?;
    if flags & 0x1f != u64::from(kind::ARRAY) {
        return None;
    }
    match flags & USER1 != 0 {
        true => Some((
            array.checked_add(layout.array_embedded?)?,
            bits(flags, layout.array_embed_mask),
        )),
        false => Some((
            view.word(array.checked_add(layout.array_ptr?)?)?,
            view.word(array.checked_add(layout.array_len?)?)?,
        )),
    }
}

/// Where a Struct's members are, and how many.
pub(crate) fn struct_members(view: &View<'_>, layout: &Layout, object: u64) -> Option<(u64, u64)> {
    let flags = view.word(object)?;
    match bits(flags, layout.struct_embed_mask) {
        0 => Some((
            view.word(object.checked_add(layout.struct_ptr?)?)?,
            view.word(object.checked_add(layout.struct_len?)?)?,
        )),
        embedded => Some((object.checked_add(layout.struct_embedded?)?, embedded)),
    }
}

/// Where the instance variables of a T_OBJECT are, and how many, before there
/// were shapes.
pub(crate) fn object_values(view: &View<'_>, layout: &Layout, object: u64) -> Option<(u64, u64)> {
    let flags = view.word(object)?;
    match flags & USER1 != 0 {
        true => Some((
            object.checked_add(layout.object_embedded?)?,
            EMBEDDED_VALUES,
        )),
        false => Some((
            view.word(object.checked_add(layout.object_ivptr?)?)?,
            u64::from(view.half(object.checked_add(layout.object_numiv?)?)?),
        )),
    }
}

/// Where the `rb_classext_struct` of a class is.
pub(crate) fn class_ext(view: &View<'_>, layout: &Layout, class: u64) -> Option<u64> {
    match layout.class_ext {
        Some(at) => view.word(class.checked_add(at)?).filter(|ext| *ext != 0),
        None => class.checked_add(layout.class_size?),
    }
}

/// A word of a class's `rb_classext_struct`; 0 where there is none.
pub(crate) fn ext_word(
    view: &View<'_>,
    layout: &Layout,
    class: u64,
    field: crate::layout::Field,
) -> u64 {
    let read = || view.word(class_ext(view, layout, class)?.checked_add(field?)?);
    read().unwrap_or_default()
}

/// The table of a class's methods.
pub(crate) fn methods(view: &View<'_>, layout: &Layout, class: u64) -> u64 {
    match layout.class_m_tbl {
        Some(at) => view.word(class.wrapping_add(at)).unwrap_or_default(),
        None => ext_word(view, layout, class, layout.ext_m_tbl),
    }
}

pub(crate) fn superclass(view: &View<'_>, layout: &Layout, class: u64) -> u64 {
    let at = layout.class_super.and_then(|at| class.checked_add(at));
    at.and_then(|at| view.word(at)).unwrap_or_default()
}

/// `rb_class_real`: what is no singleton and no included module.
pub(crate) fn real_class(view: &View<'_>, layout: &Layout, heap: &Heap, class: u64) -> Option<u64> {
    let mut class = class;
    // Chains of ancestors are short, and torn ones have no end.
    for _ in 0..1000 {
        let flags = view.word(class)?;
        let is_hidden = heap.kind(class)? == kind::ICLASS || flags & layout.singleton != 0;
        if !is_hidden {
            return Some(class);
        }
        class = superclass(view, layout, class);
    }
    None
}

/// The bytes of `n` words.
pub(crate) const fn words(n: u64) -> u64 {
    n.saturating_mul(WORD)
}
