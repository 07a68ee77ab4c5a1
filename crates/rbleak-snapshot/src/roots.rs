//! What nothing in the heap has to hold for it to live.
//!
//! Of the virtual machine all words are taken that are addresses of objects. The
//! rest Ruby keeps in variables of its own that no exported symbol names: they are
//! looked for in its data, each by what it must look like.

use crate::heap::{Heap, kind};
use crate::ids::Ids;
use crate::layout::Layout;
use crate::objects::{FL_EXIVAR, array_elements};
use crate::references::{References, Slot};
use crate::shapes::Shapes;
use crate::tables::{id_each, st_each};
use crate::view::View;
use rbleak_process::memory::Registers;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Data of a program; more is none.
const LARGEST_DATA: u64 = 64 << 20;
/// Variables in a list of addresses.
const MOST_REGISTERED: usize = 1 << 20;
/// Ruby itself has more global variables.
const LEAST_GLOBALS: u32 = 20;
/// A table is looked at as far as that to see what it is.
const SAMPLE: u64 = 64;
/// Objects whose shapes are looked at to know the tree of shapes.
const SHAPED: usize = 200;
/// What is not larger is a stack.
const LARGEST_STACK: u64 = 64 << 20;

/// A global variable.
pub(crate) struct Global {
    pub(crate) name: std::rc::Rc<str>,
    pub(crate) value: u64,
}

/// The words in Ruby's data that may be addresses.
fn pointers<'v>(view: &'v View<'_>, data: &'v [Range<u64>]) -> impl Iterator<Item = u64> + 'v {
    data.iter().flat_map(move |range| {
        let length = (range.end.saturating_sub(range.start)).min(LARGEST_DATA);
        let words = (0..length / 8).filter_map(move |index| view.word(range.start + index * 8));
        words.filter(|word| *word > 4096 && word % 8 == 0)
    })
}

/// The table of instance variables of objects that have no place for them: each
/// of its keys is an object that says so.
pub(crate) fn generic_values(
    view: &View<'_>,
    layout: &Layout,
    heap: &Heap,
    data: &[Range<u64>],
) -> FxHashMap<u64, u64> {
    let is_it = |table: u64| {
        let count = layout
            .st_num
            .and_then(|at| view.word(table.checked_add(at)?));
        if !count.is_some_and(|count| (1..1 << 32).contains(&count)) {
            return false;
        }
        let (mut looked, mut right) = (0, 0);
        let bound = layout
            .st_bound
            .and_then(|at| view.word(table.checked_add(at)?));
        if bound.is_none_or(|bound| bound > 1 << 32) {
            return false;
        }
        let _ = sampled(view, layout, table, &mut |key| {
            looked += 1;
            let says_so = || view.word(key).is_some_and(|flags| flags & FL_EXIVAR != 0);
            if heap.is_object(key) && says_so() {
                right += 1;
            }
        });
        looked > 0 && right == looked
    };
    let Some(table) = pointers(view, data).find(|table| is_it(*table)) else {
        return FxHashMap::default();
    };
    let mut found = FxHashMap::default();
    st_each(view, layout, table, |object, values| {
        found.insert(object, values);
    });
    found
}

/// The first keys of a table.
fn sampled(view: &View<'_>, layout: &Layout, table: u64, each: &mut dyn FnMut(u64)) -> Option<()> {
    let start = view.word(table.checked_add(layout.st_start?)?)?;
    let bound = view.word(table.checked_add(layout.st_bound?)?)?;
    let entries = view.word(table.checked_add(layout.st_entries?)?)?;
    for index in start..bound.min(start.checked_add(SAMPLE)?) {
        let entry = entries.checked_add(index.checked_mul(24)?)?;
        if view.word(entry)? != u64::MAX {
            each(view.word(entry.checked_add(8)?)?);
        }
    }
    Some(())
}

/// The global variables: a table of names all of which begin with `$`.
pub(crate) fn globals(
    view: &View<'_>,
    layout: &Layout,
    heap: &Heap,
    ids: &Ids,
    data: &[Range<u64>],
) -> Vec<Global> {
    let name = |serial: u32| ids.of_serial(view, layout, serial);
    let is_it = |table: u64| {
        let field = |at: crate::layout::Field| view.half(table.checked_add(at?)?);
        let (Some(slots), Some(count)) = (field(layout.id_capa), field(layout.id_num)) else {
            return false;
        };
        if !slots.is_power_of_two() || count < LEAST_GLOBALS || count > slots || slots > 1 << 16 {
            return false;
        }
        let items = || view.word(table.checked_add(layout.id_items?)?);
        let Some(items) = items() else { return false };
        let (mut right, mut wrong) = (0, 0);
        for index in 0..u64::from(slots) {
            let item = items.checked_add(index * layout.item_size.unwrap_or_default());
            let Some(key) = item.and_then(|item| view.half(item)) else {
                return false;
            };
            match name(key).is_some_and(|name| name.starts_with('$')) {
                _ if key == 0 => {}
                true => right += 1,
                false => wrong += 1,
            }
            if wrong > 0 {
                return false;
            }
        }
        right >= LEAST_GLOBALS
    };
    let Some(table) = pointers(view, data).find(|table| is_it(*table)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    id_each(view, layout, table, |serial, entry| {
        let read = || {
            let variable = view.word(entry.checked_add(layout.global_var?)?)?;
            let data = view.word(variable.checked_add(layout.var_data?)?)?;
            // The value itself, or the address of the C variable that has it.
            match heap.is_object(data) {
                true => Some(data),
                false => view.word(data).filter(|value| heap.is_object(*value)),
            }
        };
        if let (Some(value), Some(name)) = (read(), name(serial)) {
            found.push(Global { name, value });
        }
    });
    found
}

/// The virtual machine, where no exported symbol leads to it: of all that Ruby's
/// data points to, only it has the main object, the load path and what was loaded
/// in their places.
pub(crate) fn find_machine(
    view: &View<'_>,
    layout: &Layout,
    heap: &Heap,
    data: &[Range<u64>],
) -> Option<u64> {
    let holds = |machine: u64, field: crate::layout::Field, wanted: u8| {
        let value = field.and_then(|at| view.word(machine.checked_add(at)?));
        value.is_some_and(|value| heap.kind(value) == Some(wanted))
    };
    pointers(view, data).find(|machine| {
        holds(*machine, layout.vm_top_self, kind::OBJECT)
            && holds(*machine, layout.vm_load_path, kind::ARRAY)
            && holds(*machine, layout.vm_loaded_features, kind::ARRAY)
    })
}

/// The tree of shapes, in the same way: the shapes that objects say they have are
/// shapes of objects there. In 3.2 the virtual machine has it.
pub(crate) fn find_shapes(
    view: &View<'_>,
    layout: &Layout,
    heap: &Heap,
    machine: u64,
    data: &[Range<u64>],
) -> Option<Shapes> {
    layout.shape_list.or(layout.vm_shape_list)?;
    let flags = |object: u64| view.word(object);
    let objects: Vec<u64> = heap
        .of_kind(kind::OBJECT)
        .take(SHAPED)
        .filter_map(flags)
        .collect();
    let own = Shapes::of_machine(view, layout, machine);
    let candidates = pointers(view, data).filter_map(|tree| Shapes::at(view, layout, tree));
    own.into_iter()
        .chain(candidates)
        .find(|shapes| shapes.fit(view, layout, &objects))
}

/// What the virtual machine holds.
pub(crate) fn machine(references: &References<'_, '_>, vm: u64) -> Vec<u64> {
    let (view, layout, heap) = (references.view, references.layout, references.heap);
    let mut found = Vec::new();
    let mut add = |value: u64| {
        if heap.is_object(value) {
            found.push(value);
        }
    };
    view.words(vm, layout.vm_size.unwrap_or_default() / 8, &mut add);
    // Objects that C code registered: an Array of Arrays, marked through.
    if let Some(array) = layout
        .vm_mark_object_ary
        .and_then(|at| view.word(vm.checked_add(at)?))
        && let Some((at, count)) = array_elements(view, layout, array)
    {
        view.words(at, count.min(1 << 16), |inner| {
            add(inner);
            if let Some((at, count)) = array_elements(view, layout, inner) {
                view.words(at, count.min(1 << 16), &mut add);
            }
        });
    }
    let table = |at: crate::layout::Field| at.and_then(|at| view.word(vm.checked_add(at)?));
    for field in [layout.vm_modules, layout.vm_loading, layout.vm_overloaded] {
        st_each(
            view,
            layout,
            table(field).unwrap_or_default(),
            |_, value| add(value),
        );
    }
    let negative = table(layout.vm_negative).unwrap_or_default();
    id_each(view, layout, negative, |_, value| add(value));
    // Threads and ractors that live. They are data of C code.
    for address in heap.of_kind(kind::DATA) {
        let mut bytes = [0; 40];
        if !view.read(address, &mut bytes) {
            continue;
        }
        let name = references.data_type(Slot::new(address, &bytes));
        if matches!(name.as_deref(), Some("VM/thread" | "ractor")) {
            add(address);
        }
    }
    found
}

/// Variables of C code that were registered.
pub(crate) fn registered(view: &View<'_>, layout: &Layout, heap: &Heap, vm: u64) -> Vec<u64> {
    let mut found = Vec::new();
    let list = || match layout.vm_global_list {
        Some(at) => view.word(vm.checked_add(at)?),
        None => {
            let space = view.word(vm.checked_add(layout.vm_objspace?)?)?;
            view.word(space.checked_add(layout.objspace_global_list?)?)
        }
    };
    let mut entry = list().unwrap_or_default();
    for _ in 0..MOST_REGISTERED {
        let read = |at: crate::layout::Field| view.word(entry.checked_add(at?)?);
        let (Some(variable), Some(next)) = (read(layout.gc_list_varptr), read(layout.gc_list_next))
        else {
            break;
        };
        if let Some(value) = view.word(variable).filter(|value| heap.is_object(*value)) {
            found.push(value);
        }
        entry = next;
    }
    found
}

/// `GC.count`.
pub(crate) fn collections(view: &View<'_>, layout: &Layout, vm: u64) -> Option<u64> {
    let space = view.word(vm.checked_add(layout.vm_objspace?)?)?;
    view.word(space.checked_add(layout.objspace_gc_count?)?)
        // Some versions have half a word there.
        .map(|count| count & u64::from(u32::MAX))
}

/// What may be on the stacks and in the registers of threads: any word that is the
/// address of an object.
pub(crate) fn stacks(view: &View<'_>, heap: &Heap, threads: &[Registers]) -> Vec<u64> {
    let mut found = Vec::new();
    let mut add = |value: u64| {
        if value.is_multiple_of(8) && heap.is_object(value) {
            found.push(value);
        }
    };
    for thread in threads {
        thread.general.iter().for_each(|value| add(*value));
        let within = view
            .memory()
            .mappings()
            .iter()
            .find(|mapping| (mapping.start.0..mapping.end.0).contains(&thread.stack_pointer));
        if let Some(stack) = within {
            let start = thread.stack_pointer & !7;
            let length = (stack.end.0 - start).min(LARGEST_STACK);
            view.words(start, length / 8, &mut add);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
