//! What classes and modules are called.

use crate::heap::kind;
use crate::objects::{ext_word, real_class, string_text};
use crate::references::Slot;
use crate::walk::Walk;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// The variables of a class that have its name before Ruby 3.3, that of one that may
/// go again last.
const NAMES: [&str; 2] = ["__classpath__", "__tmp_classpath__"];
const LONGEST_NAME: u64 = 4096;

/// Names by address of the class.
#[derive(Default)]
pub(crate) struct Classes {
    known: RefCell<FxHashMap<u64, Option<Rc<str>>>>,
}

impl Classes {
    /// `rb_mod_name`.
    pub(crate) fn name(&self, walk: &Walk<'_, '_>, class: u64) -> Option<Rc<str>> {
        if let Some(name) = self.known.borrow().get(&class) {
            return name.clone();
        }
        let is_class = matches!(walk.heap.kind(class), Some(kind::CLASS | kind::MODULE));
        let name = is_class.then(|| read(walk, class)).flatten().map(Rc::from);
        self.known.borrow_mut().insert(class, name.clone());
        name
    }

    /// The name of what an object calls its class.
    pub(crate) fn of_object(&self, walk: &Walk<'_, '_>, class: u64) -> Option<Rc<str>> {
        let real = real_class(walk.view, walk.layout, walk.heap, class)?;
        self.name(walk, real)
    }
}

fn read(walk: &Walk<'_, '_>, class: u64) -> Option<String> {
    let (view, layout) = (walk.view, walk.layout);
    let path = match layout.ext_classpath {
        Some(_) => ext_word(view, layout, class, layout.ext_classpath),
        None => {
            let mut head = [0; 16];
            if !view.read(class, &mut head) {
                return None;
            }
            let mut found = [0; NAMES.len()];
            for (name, value) in walk.class_variables(Slot::new(class, &head)) {
                if let Some(at) = NAMES.iter().position(|it| **it == *name) {
                    found[at] = value;
                }
            }
            found.into_iter().find(|value| *value != 0)?
        }
    };
    string_text(view, layout, path, LONGEST_NAME)
}
