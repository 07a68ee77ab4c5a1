//! Names of symbols, variables and constants by their numbers.
//!
//! Ruby keeps them in one hidden Array of Arrays (symbol.c), to which no exported
//! symbol leads. It is found by what it says: a static symbol's place in it has to
//! be the symbol's own number, for hundreds of them. Nothing else looks like that.

use crate::heap::{Heap, kind};
use crate::layout::Layout;
use crate::objects::{array_elements, string_bytes};
use crate::view::View;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// ID_ENTRY_UNIT: names in each Array, of which each has two places.
const UNIT: u32 = 512;
/// ID_SCOPE_SHIFT.
const SCOPE_SHIFT: u32 = 4;
/// Names of operators have numbers of their own, without a scope: all below.
const OPERATORS: u64 = 1000;
/// The lowest byte of a static symbol.
const STATIC_SYMBOL: u64 = 0x0c;
/// Names that have to be in their places.
const ENOUGH: usize = 200;
/// No name is longer that is worth being shown.
const LONGEST_NAME: u64 = 4096;

/// What was found.
pub(crate) struct Ids {
    blocks: Vec<u64>,
    known: RefCell<FxHashMap<u32, Option<Rc<str>>>>,
}

impl Ids {
    /// Finds the names; without any if they cannot be found.
    pub(crate) fn find(view: &View<'_>, layout: &Layout, heap: &Heap) -> Ids {
        let hidden = heap
            .of_kind(kind::ARRAY)
            .filter(|array| view.word(array + 8) == Some(0));
        let mut blocks = Vec::new();
        for array in hidden {
            let inner = hidden_arrays(view, layout, heap, array);
            // One that is longer is newer: the Array is made anew when it grows.
            if inner.len() > blocks.len() && in_their_places(view, layout, &inner) {
                blocks = inner;
            }
        }
        Ids {
            blocks,
            known: RefCell::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The name that a number of an ID stands for.
    pub(crate) fn of_id(&self, view: &View<'_>, layout: &Layout, id: u64) -> Option<Rc<str>> {
        let serial = match id {
            0..OPERATORS => id,
            _ => id >> SCOPE_SHIFT,
        };
        self.of_serial(view, layout, u32::try_from(serial).ok()?)
    }

    /// The name of a static symbol.
    pub(crate) fn of_symbol(
        &self,
        view: &View<'_>,
        layout: &Layout,
        symbol: u64,
    ) -> Option<Rc<str>> {
        (symbol & 0xff == STATIC_SYMBOL)
            .then(|| self.of_id(view, layout, symbol >> 8))
            .flatten()
    }

    /// The name by the number without its scope, which is the key of an
    /// rb_id_table.
    pub(crate) fn of_serial(
        &self,
        view: &View<'_>,
        layout: &Layout,
        serial: u32,
    ) -> Option<Rc<str>> {
        if let Some(name) = self.known.borrow().get(&serial) {
            return name.clone();
        }
        let name = self.read(view, layout, serial);
        self.known.borrow_mut().insert(serial, name.clone());
        name
    }

    fn read(&self, view: &View<'_>, layout: &Layout, serial: u32) -> Option<Rc<str>> {
        let block = *self.blocks.get((serial / UNIT) as usize)?;
        let (address, length) = array_elements(view, layout, block)?;
        let at = u64::from(serial % UNIT) * 2;
        if at >= length {
            return None;
        }
        let string = view.word(address.checked_add(at * 8)?)?;
        let bytes = string_bytes(view, layout, string, LONGEST_NAME)?;
        String::from_utf8(bytes).ok().map(Rc::from)
    }
}

/// The elements of an Array if all of them are Arrays that Ruby hides.
fn hidden_arrays(view: &View<'_>, layout: &Layout, heap: &Heap, array: u64) -> Vec<u64> {
    let Some((address, length)) = array_elements(view, layout, array) else {
        return Vec::new();
    };
    if !(1..=1 << 20).contains(&length) {
        return Vec::new();
    }
    let mut found = Vec::new();
    // No loop over a list that is something else.
    let first = view.word(address).unwrap_or_default();
    if heap.kind(first) != Some(kind::ARRAY) {
        return found;
    }
    view.words(address, length, |element| {
        let is_hidden =
            heap.kind(element) == Some(kind::ARRAY) && view.word(element + 8) == Some(0);
        // What is free at its end is nil or nothing.
        if is_hidden {
            found.push(element);
        }
    });
    found
}

/// Whether static symbols stand where their numbers say.
fn in_their_places(view: &View<'_>, layout: &Layout, blocks: &[u64]) -> bool {
    let mut right = 0;
    let mut wrong = 0;
    for (number, block) in (0_u32..).zip(blocks).take(2) {
        let Some((address, length)) = array_elements(view, layout, *block) else {
            return false;
        };
        let names = (length / 2).min(u64::from(UNIT));
        let mut serial = u64::from(number) * u64::from(UNIT);
        view.groups(address, names, 2, |entry| {
            if entry[1] & 0xff == STATIC_SYMBOL {
                let id = entry[1] >> 8;
                let own = match id {
                    0..OPERATORS => id,
                    _ => id >> SCOPE_SHIFT,
                };
                match own == serial {
                    true => right += 1,
                    false => wrong += 1,
                }
            }
            serial += 1;
        });
    }
    right >= ENOUGH && wrong == 0
}
