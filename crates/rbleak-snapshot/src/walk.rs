//! What is known of one heap, all together, and the way through it.

use crate::classes::Classes;
use crate::heap::Heap;
use crate::ids::Ids;
use crate::layout::Layout;
use crate::objects;
use crate::references::{References, Slot};
use crate::shapes::Shape;
use crate::sidecar::table_variables;
use crate::tables::st_each;
use crate::view::View;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// Variables of one class before 3.2; more are none.
const MOST_VARIABLES: u32 = 1 << 16;

/// Names of instance variables, by their places.
type VariableNames = Rc<Vec<Option<Rc<str>>>>;

/// A heap with its names.
pub(crate) struct Walk<'v, 'm> {
    pub(crate) view: &'v View<'m>,
    pub(crate) layout: &'static Layout,
    pub(crate) heap: &'v Heap,
    pub(crate) ids: &'v Ids,
    pub(crate) references: References<'v, 'm>,
    pub(crate) redact: bool,
    classes: Classes,
    /// By class, before there were shapes.
    variables: RefCell<FxHashMap<u64, VariableNames>>,
}

impl<'v, 'm> Walk<'v, 'm> {
    pub(crate) fn new(references: References<'v, 'm>, ids: &'v Ids, redact: bool) -> Walk<'v, 'm> {
        Walk {
            view: references.view,
            layout: references.layout,
            heap: references.heap,
            ids,
            references,
            redact,
            classes: Classes::default(),
            variables: RefCell::default(),
        }
    }

    pub(crate) fn class_name(&self, class: u64) -> Option<Rc<str>> {
        self.classes.name(self, class)
    }

    pub(crate) fn real_name(&self, class: u64) -> Option<Rc<str>> {
        self.classes.of_object(self, class)
    }

    pub(crate) fn serial(&self, serial: u32) -> Option<Rc<str>> {
        self.ids.of_serial(self.view, self.layout, serial)
    }

    pub(crate) fn symbol(&self, symbol: u64) -> Option<Rc<str>> {
        self.ids.of_symbol(self.view, self.layout, symbol)
    }

    /// The variables of a class itself, with their values.
    pub(crate) fn class_variables(&self, slot: Slot<'_>) -> Vec<(Rc<str>, u64)> {
        let layout = self.layout;
        let ext = |field| objects::ext_word(self.view, layout, slot.address, field);
        if layout.ext_iv_tbl.is_some() {
            return table_variables(self, ext(layout.ext_iv_tbl));
        }
        let values = ext(layout.ext_iv_ptr);
        let Some(shapes) = &self.references.shapes else {
            return Vec::new();
        };
        match shapes.of(self.view, layout, slot.flags) {
            Some(Shape::Table) => table_variables(self, values),
            Some(Shape::List(count)) => {
                let names = shapes.names(self.view, layout, self.ids, slot.flags);
                let mut names = names.unwrap_or_default().into_iter();
                let mut found = Vec::new();
                self.view.words(values, count, |value| {
                    if let Some(Some(name)) = names.next() {
                        found.push((name, value));
                    }
                });
                found
            }
            None => Vec::new(),
        }
    }

    /// What the instance variables of an object are called, in order.
    pub(crate) fn variable_names(&self, slot: Slot<'_>) -> Option<VariableNames> {
        let layout = self.layout;
        if let Some(shapes) = &self.references.shapes {
            return shapes
                .names(self.view, layout, self.ids, slot.flags)
                .map(Rc::new);
        }
        let class = objects::real_class(self.view, layout, self.heap, slot.class)?;
        if let Some(names) = self.variables.borrow().get(&class) {
            return Some(Rc::clone(names));
        }
        let table = objects::ext_word(self.view, layout, class, layout.ext_iv_index_tbl);
        let mut names = Vec::new();
        st_each(self.view, layout, table, |id, entry| {
            let index = match layout.iv_index {
                // The place itself, in a pointer's stead.
                None => u32::try_from(entry).ok(),
                Some(at) => entry.checked_add(at).and_then(|at| self.view.half(at)),
            };
            if let Some(index) = index.filter(|index| *index < MOST_VARIABLES) {
                let index = index as usize;
                if names.len() <= index {
                    names.resize(index + 1, None);
                }
                names[index] = self.ids.of_id(self.view, layout, id);
            }
        });
        let names = Rc::new(names);
        self.variables.borrow_mut().insert(class, Rc::clone(&names));
        Some(names)
    }
}
