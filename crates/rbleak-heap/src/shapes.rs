//! The tree of object shapes that Ruby 3.2 and later dump.
//!
//! A shape's path to the root names the instance variables of the objects
//! that have it.

use rbleak_units::{Address, Bytes};
use rustc_hash::FxHashMap;

/// One SHAPE line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What an object's `shape_id` refers to.
    pub id: u32,
    /// The shape it was derived from.
    pub parent_id: Option<u32>,
    /// The instance variable it adds, with its `@`.
    pub edge_name: Option<Box<str>>,
    /// Ruby's word for the kind: `ROOT`, `IVAR`, `FROZEN`, …
    pub shape_type: Box<str>,
    /// Where it lies.
    pub address: Address,
    /// What it occupies.
    pub memsize: Bytes,
}

/// All shapes of a dump, in its order; none before 3.2.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    shapes: Vec<Shape>,
    by_id: FxHashMap<u32, u32>,
}

impl Shapes {
    pub(crate) fn push(&mut self, shape: Shape) {
        self.by_id.insert(shape.id, self.shapes.len() as u32);
        self.shapes.push(shape);
    }

    /// Adds those of the next part of a dump.
    pub(crate) fn append(&mut self, later: Shapes) {
        for shape in later.shapes {
            self.push(shape);
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Shape] {
        &self.shapes
    }

    /// The shape with an id.
    pub fn get(&self, id: u32) -> Option<&Shape> {
        self.by_id.get(&id).map(|&row| &self.shapes[row as usize])
    }

    /// The names of the instance variables that `id` gives, first one first.
    pub fn ivar_names(&self, id: u32) -> Vec<&str> {
        let mut names = Vec::new();
        let mut next = Some(id);
        // A damaged dump may have a cycle.
        for _ in 0..=self.shapes.len() {
            let Some(shape) = next.and_then(|id| self.get(id)) else {
                break;
            };
            if let Some(name) = &shape.edge_name
                && name.starts_with('@')
            {
                names.push(&**name);
            }
            next = shape.parent_id;
        }
        names.reverse();
        names
    }
}
