//! Shapes: how many instance variables an object has, and what they are called,
//! from Ruby 3.2 on (shape.c).

use crate::ids::Ids;
use crate::layout::Layout;
use crate::view::View;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// SHAPE_FLAG_SHIFT: the upper half of flags.
const SHIFT: u32 = 32;
/// `enum shape_type`.
const IVAR: u8 = 1;
/// Objects with more variables than that have no shape.
const DEEPEST: usize = 1000;

/// What a shape says of its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// They have so many variables, one after another.
    List(u64),
    /// They have a table.
    Table,
}

/// The tree of shapes.
pub(crate) struct Shapes {
    list: u64,
    known: RefCell<FxHashMap<u64, Option<Shape>>>,
}

impl Shapes {
    /// `tree`: the address of Ruby's pointer to it. `None` where there is none.
    pub(crate) fn find(view: &View<'_>, layout: &Layout, tree: Option<u64>) -> Option<Shapes> {
        Shapes::at(view, layout, view.word(tree?)?)
    }

    /// The tree at an address, if there is one.
    pub(crate) fn at(view: &View<'_>, layout: &Layout, tree: u64) -> Option<Shapes> {
        Shapes::listed(view.word(tree.checked_add(layout.shape_list?)?)?)
    }

    /// That of 3.2, whose virtual machine has the list itself.
    pub(crate) fn of_machine(view: &View<'_>, layout: &Layout, machine: u64) -> Option<Shapes> {
        Shapes::listed(view.word(machine.checked_add(layout.vm_shape_list?)?)?)
    }

    fn listed(list: u64) -> Option<Shapes> {
        (list != 0).then(|| Shapes {
            list,
            known: RefCell::default(),
        })
    }

    /// Whether it is what it is taken for: the first shape is a root, and those of
    /// objects, by their flags, are such as objects have.
    pub(crate) fn fit(&self, view: &View<'_>, layout: &Layout, objects: &[u64]) -> bool {
        const ROOT: u8 = 0;
        let is_root = || {
            let parent = view.half(self.list.checked_add(layout.shape_parent?)?)?;
            let mut kind = [u8::MAX];
            let is_there = view.read(self.list.checked_add(layout.shape_type?)?, &mut kind);
            Some(is_there && parent == u32::MAX && kind[0] == ROOT)
        };
        let of_objects = |flags: &u64| {
            let id = Shapes::id(*flags);
            let read = || {
                let place = self.place(layout, id)?;
                let parent = view.half(place.checked_add(layout.shape_parent?)?)?;
                let count = view.half(place.checked_add(layout.shape_next_iv?)?)?;
                let mut kind = [ROOT];
                let is_there = view.read(place.checked_add(layout.shape_type?)?, &mut kind);
                let is_known = (IVAR..=layout.shape_too_complex).contains(&kind[0]);
                // A child is younger than its parent. Those that have no variables yet
                // have none.
                let is_younger = u64::from(parent) < id || parent == u32::MAX && count == 0;
                Some(is_there && is_known && is_younger && count < 10_000)
            };
            read() == Some(true)
        };
        // Some may be just being made.
        let right = objects.iter().filter(|flags| of_objects(flags)).count();
        is_root() == Some(true) && right > 0 && right * 10 >= objects.len() * 9
    }

    /// The number of an object's shape.
    pub(crate) fn id(flags: u64) -> u64 {
        flags >> SHIFT
    }

    pub(crate) fn of(&self, view: &View<'_>, layout: &Layout, flags: u64) -> Option<Shape> {
        let id = Shapes::id(flags);
        if let Some(shape) = self.known.borrow().get(&id) {
            return *shape;
        }
        let shape = self.read(view, layout, id);
        self.known.borrow_mut().insert(id, shape);
        shape
    }

    fn place(&self, layout: &Layout, id: u64) -> Option<u64> {
        self.list.checked_add(id.checked_mul(layout.shape_size?)?)
    }

    fn read(&self, view: &View<'_>, layout: &Layout, id: u64) -> Option<Shape> {
        let place = self.place(layout, id)?;
        let variables = view.half(place.checked_add(layout.shape_next_iv?)?)?;
        let mut kind = [0];
        let is_there = view.read(place.checked_add(layout.shape_type?)?, &mut kind);
        is_there.then_some(match kind[0] {
            kind if kind == layout.shape_too_complex => Shape::Table,
            _ => Shape::List(u64::from(variables)),
        })
    }

    /// The names of the variables of a shape, in order.
    pub(crate) fn names(
        &self,
        view: &View<'_>,
        layout: &Layout,
        ids: &Ids,
        flags: u64,
    ) -> Option<Vec<Option<Rc<str>>>> {
        let Shape::List(count) = self.of(view, layout, flags)? else {
            return None;
        };
        let mut names = vec![None; usize::try_from(count).ok()?.min(DEEPEST)];
        let mut id = Shapes::id(flags);
        for _ in 0..DEEPEST {
            let place = self.place(layout, id)?;
            let mut kind = [0];
            if !view.read(place.checked_add(layout.shape_type?)?, &mut kind) {
                break;
            }
            if kind[0] == IVAR {
                let next = view.half(place.checked_add(layout.shape_next_iv?)?)?;
                let edge = view.word(place.checked_add(layout.shape_edge_name?)?)?;
                let index = (next as usize).checked_sub(1);
                if let Some(name) = index.and_then(|index| names.get_mut(index)) {
                    *name = ids.of_id(view, layout, edge);
                }
            }
            let parent = view.half(place.checked_add(layout.shape_parent?)?)?;
            if parent == u32::MAX {
                break;
            }
            id = u64::from(parent);
        }
        Some(names)
    }
}
