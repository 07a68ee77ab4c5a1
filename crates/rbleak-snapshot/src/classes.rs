//! What classes and modules are called.

use crate::heap::{Heap, kind};
use crate::ids::Ids;
use crate::layout::Layout;
use crate::objects::{ext_word, real_class, string_text};
use crate::tables::st_each;
use crate::view::View;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// Where names are kept before Ruby 3.2, that of a class that may go again last.
const NAMES: [&str; 2] = ["__classpath__", "__tmp_classpath__"];
const LONGEST_NAME: u64 = 4096;

/// Names by address of the class.
#[derive(Default)]
pub(crate) struct Classes {
    known: RefCell<FxHashMap<u64, Option<Rc<str>>>>,
}

impl Classes {
    /// `rb_mod_name`.
    pub(crate) fn name(
        &self,
        view: &View<'_>,
        layout: &Layout,
        heap: &Heap,
        ids: &Ids,
        class: u64,
    ) -> Option<Rc<str>> {
        if let Some(name) = self.known.borrow().get(&class) {
            return name.clone();
        }
        let is_class = matches!(heap.kind(class), Some(kind::CLASS | kind::MODULE));
        let name = is_class
            .then(|| read(view, layout, ids, class))
            .flatten()
            .map(Rc::from);
        self.known.borrow_mut().insert(class, name.clone());
        name
    }

    /// The name of what an object calls its class.
    pub(crate) fn of_object(
        &self,
        view: &View<'_>,
        layout: &Layout,
        heap: &Heap,
        ids: &Ids,
        class: u64,
    ) -> Option<Rc<str>> {
        let real = real_class(view, layout, heap, class)?;
        self.name(view, layout, heap, ids, real)
    }
}

fn read(view: &View<'_>, layout: &Layout, ids: &Ids, class: u64) -> Option<String> {
    let path = match layout.ext_classpath {
        Some(_) => ext_word(view, layout, class, layout.ext_classpath),
        None => {
            let table = ext_word(view, layout, class, layout.ext_iv_tbl);
            let mut found = [0; NAMES.len()];
            st_each(view, layout, table, |id, value| {
                if let Some(name) = ids.of_id(view, layout, id)
                    && let Some(at) = NAMES.iter().position(|it| **it == *name)
                {
                    found[at] = value;
                }
            });
            found.into_iter().find(|value| *value != 0)?
        }
    };
    string_text(view, layout, path, LONGEST_NAME)
}
