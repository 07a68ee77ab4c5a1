//! Whether what is read of a heap fits together, before any of it is written: a layout
//! that is not this Ruby's gives classes without names, references that lead nowhere,
//! texts that are none. What is asked here holds in every Ruby, and is read in the way
//! in which the dump is.

use crate::heap::kind;
use crate::layout::Checked;
use crate::lines;
use crate::objects::{self, FL_FREEZE, user};
use crate::references::Slot;
use crate::tables::id_each;
use crate::walk::Walk;
use rustc_hash::FxHashMap;

/// Pages that are looked at, from all over the heap.
const PAGES: usize = 128;
/// Of what is asked of many objects, so many of a thousand have to be right. Some may
/// be torn, or just being made.
const NEARLY_ALL: u64 = 990;
/// Where what an object leads to may be missing: memory in a core file, or a class that
/// went before its last objects.
const MOST: u64 = 900;
/// Where it may well be: of what is dead and has not been swept yet, much refers to what
/// has been.
const HALF: u64 = 500;
/// Fewer say nothing.
const FEW: u64 = 20;
/// Objects with a class that each Ruby has.
const LEAST_OBJECTS: u64 = 500;
/// What is lower is no address.
const LOWEST: u64 = 4096;
const LONGEST_TEXT: u64 = 4096;
/// ENC_CODERANGE_7BIT, of both its bits.
const SEVEN_BITS: u64 = user(8);
const CODE_RANGE: u64 = user(8) | user(9);
/// The classes that all others come from, and the chain of the last of them.
const ROOTS: [&str; 4] = ["BasicObject", "Object", "Module", "Class"];

/// How many of how many are as they have to be.
#[derive(Default)]
struct Tally {
    right: u64,
    all: u64,
}

impl Tally {
    fn add(&mut self, is_right: bool) {
        self.right += u64::from(is_right);
        self.all += 1;
    }

    fn expect(&self, what: &str, per_mille: u64) -> Result<(), String> {
        let is_enough = self.all < FEW || self.right * 1000 >= self.all * per_mille;
        match is_enough {
            true => Ok(()),
            false => Err(format!("{} of {} {what}", self.all - self.right, self.all)),
        }
    }
}

/// What was asked of objects.
#[derive(Default)]
struct Tallies {
    kinds: Tally,
    classes: Tally,
    texts: Tally,
    ascii: Tally,
    symbols: Tally,
    internal: Tally,
    code: Tally,
    lists: Tally,
    embedded: Tally,
    small: Tally,
    large: Tally,
    keys: Tally,
    variables: Tally,
    /// By type.
    references: FxHashMap<u8, Tally>,
}

/// Says what does not fit, in a few words.
pub(crate) fn check(walk: &Walk<'_, '_>) -> Result<(), String> {
    if walk.ids.is_empty() {
        return Err("no table of names was found".to_owned());
    }
    let has_shapes = walk.layout.shape_size.is_none() || walk.references.shapes.is_some();
    // Of layouts that were seen to be right it is said what is absent.
    if !has_shapes && walk.layout.checked == Checked::Derived {
        return Err("no tree of shapes was found".to_owned());
    }
    roots(walk)?;
    let mut tallies = Tallies::default();
    let pages = &walk.heap.pages;
    let mut bytes = Vec::new();
    for page in pages.iter().step_by(pages.len().div_ceil(PAGES).max(1)) {
        bytes.resize((page.slot * page.slots) as usize, 0);
        if !walk.view.read(page.start, &mut bytes) {
            continue;
        }
        for (index, slot) in (0_u64..).zip(bytes.chunks_exact(page.slot as usize)) {
            let slot = Slot::new(page.start + index * page.slot, slot);
            let is_one = !matches!(slot.kind, kind::NONE | kind::MOVED | kind::ZOMBIE);
            if slot.flags != 0 && is_one && !walk.view.is_exhausted() {
                tallies.look(walk, slot);
            }
        }
    }
    tallies.judge()?;
    let is_thread = |address: &u64| {
        let mut bytes = [0; 40];
        let is_there = walk.view.read(*address, &mut bytes);
        let name = walk.references.data_type(Slot::new(*address, &bytes));
        is_there && name.as_deref() == Some("VM/thread")
    };
    match walk.heap.of_kind(kind::DATA).any(|it| is_thread(&it)) {
        true => Ok(()),
        false => Err("no object is a thread".to_owned()),
    }
}

/// Classes that are called what they have to be, each the superclass of the next.
fn roots(walk: &Walk<'_, '_>) -> Result<(), String> {
    let mut found = [0; ROOTS.len()];
    for class in walk.heap.of_kind(kind::CLASS) {
        if let Some(name) = walk.class_name(class)
            && let Some(at) = ROOTS.iter().position(|it| **it == *name)
        {
            found[at] = class;
        }
    }
    let (view, layout, heap) = (walk.view, walk.layout, walk.heap);
    let real = |class: u64| objects::real_class(view, layout, heap, class);
    let mut expected = None;
    for (class, name) in found.into_iter().zip(ROOTS) {
        if class == 0 {
            return Err(format!("no class is called {name}"));
        }
        let above = objects::superclass(view, layout, class);
        if (above != 0).then(|| real(above)).flatten() != expected {
            return Err(format!("{name} has another superclass than it must have"));
        }
        expected = Some(class);
        match name {
            "BasicObject" => methods(walk, class)?,
            "Object" => constants(walk, class)?,
            _ => {}
        }
        // Classes are Classes, theirs without a name.
        let own = class.checked_add(8).and_then(|at| view.word(at));
        if own.and_then(real) != Some(found[ROOTS.len() - 1]) {
            return Err(format!("{name} is no Class"));
        }
    }
    Ok(())
}

/// BasicObject has a method that it always has.
fn methods(walk: &Walk<'_, '_>, class: u64) -> Result<(), String> {
    let table = objects::methods(walk.view, walk.layout, class);
    let mut is_there = false;
    id_each(walk.view, walk.layout, table, |serial, entry| {
        let is_method = walk.heap.kind(entry) == Some(kind::IMEMO);
        is_there |= is_method && walk.serial(serial).as_deref() == Some("instance_eval");
    });
    match is_there {
        true => Ok(()),
        false => Err("BasicObject has no method instance_eval".to_owned()),
    }
}

/// Object names itself among its constants.
fn constants(walk: &Walk<'_, '_>, object: u64) -> Result<(), String> {
    let (view, layout) = (walk.view, walk.layout);
    let table = objects::ext_word(view, layout, object, layout.ext_const_tbl);
    let mut is_there = false;
    id_each(view, layout, table, |serial, entry| {
        let value = layout
            .const_value
            .and_then(|at| view.word(entry.checked_add(at)?));
        let is_own = value == Some(object);
        is_there |= is_own && walk.serial(serial).as_deref() == Some("Object");
    });
    match is_there {
        true => Ok(()),
        false => Err("Object is not among the constants".to_owned()),
    }
}

/// Where a piece of code was written.
fn path(walk: &Walk<'_, '_>, slot: Slot<'_>) -> Option<String> {
    let (view, layout) = (walk.view, walk.layout);
    let body = walk.references.field(slot, layout.iseq_body)?;
    let path = view.word(body.checked_add(layout.body_pathobj?)?)?;
    let path = match walk.heap.kind(path)? {
        kind::ARRAY => view.word(objects::array_elements(view, layout, path)?.0)?,
        _ => path,
    };
    objects::string_text(view, layout, path, LONGEST_TEXT)
}

/// Names of methods have none of these.
fn is_path(text: &str) -> bool {
    text.contains(['/', '.', ':', '(', '-'])
}

impl Tallies {
    fn look(&mut self, walk: &Walk<'_, '_>, slot: Slot<'_>) {
        let (layout, heap) = (walk.layout, walk.heap);
        self.kinds.add(kind::name(slot.kind) != "UNKNOWN");
        // Those that Ruby hides have none.
        if slot.class != 0 && !matches!(slot.kind, kind::IMEMO | kind::ICLASS) {
            self.classes.add(heap.kind(slot.class) == Some(kind::CLASS));
        }
        match slot.kind {
            kind::STRING => self.string(walk, slot),
            kind::SYMBOL => {
                let text = walk.references.field(slot, layout.symbol_fstr);
                let is_string = text.and_then(|it| heap.kind(it)) == Some(kind::STRING);
                self.symbols.add(is_string);
            }
            kind::IMEMO => {
                let name = layout.imemo[slot.imemo() as usize & 0xf];
                self.internal.add(!name.is_empty());
                if name == "iseq" {
                    self.code
                        .add(path(walk, slot).is_some_and(|it| is_path(&it)));
                }
            }
            kind::OBJECT | kind::STRUCT | kind::ARRAY | kind::HASH | kind::CLASS | kind::MODULE => {
                let tally = self.references.entry(slot.kind).or_default();
                walk.references.unfiltered(slot, &mut |value| {
                    if value & 7 == 0 && value >= LOWEST {
                        tally.add(heap.is_object(value));
                    }
                });
                self.within(walk, slot);
                match slot.kind {
                    kind::HASH => self.hash(walk, slot),
                    kind::OBJECT => self.object(walk, slot),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Values within a slot end where it ends.
    fn within(&mut self, walk: &Walk<'_, '_>, slot: Slot<'_>) {
        let (view, layout) = (walk.view, walk.layout);
        let place = match slot.kind {
            kind::OBJECT => walk.references.object_values(slot),
            kind::STRUCT => objects::struct_members(view, layout, slot.address),
            kind::ARRAY => objects::array_elements(view, layout, slot.address),
            _ => None,
        };
        let Some((at, count)) = place.filter(|(_, count)| *count > 0) else {
            return;
        };
        let end = slot.address + slot.bytes.len() as u64;
        if (slot.address..end).contains(&at) {
            self.embedded.add(count <= (end - at) / 8);
        } else {
            self.lists.add(view.word(at).is_some());
        }
    }

    /// It has as many pairs as it says, and copies of Strings for keys: those that it
    /// is to know by their identity are never in the small kind of table.
    fn hash(&mut self, walk: &Walk<'_, '_>, slot: Slot<'_>) {
        let (layout, heap) = (walk.layout, walk.heap);
        let is_small = slot.flags & layout.hash_st == 0;
        let Some(length) = lines::hash_len(walk, slot).filter(|it| *it <= LONGEST_TEXT) else {
            return;
        };
        let mut count = 0;
        let _ = walk.references.pairs(slot, &mut |key, _| {
            count += 1;
            if is_small && heap.kind(key) == Some(kind::STRING) {
                let flags = walk.view.word(key).unwrap_or_default();
                self.keys.add(flags & FL_FREEZE != 0);
            }
        });
        let tally = if is_small {
            &mut self.small
        } else {
            &mut self.large
        };
        tally.add(count == length);
    }

    /// From 3.2 on there are as many names as variables.
    fn object(&mut self, walk: &Walk<'_, '_>, slot: Slot<'_>) {
        if walk.references.shapes.is_none() {
            return;
        }
        if let Some((_, count @ 1..)) = walk.references.object_values(slot) {
            let names = walk.variable_names(slot).unwrap_or_default();
            let named = names.iter().flatten().count() as u64;
            self.variables.add(named == count);
        }
    }

    fn string(&mut self, walk: &Walk<'_, '_>, slot: Slot<'_>) {
        let place = objects::string_place(walk.view, walk.layout, slot.address);
        let Some((at, length)) = place else { return };
        let mut bytes = vec![0; length.min(LONGEST_TEXT) as usize];
        let is_there = length < 1 << 40 && walk.view.read(at, &mut bytes);
        let end = slot.address + slot.bytes.len() as u64;
        if !(slot.address..end).contains(&at) {
            self.texts.add(is_there);
        }
        if is_there && slot.flags & CODE_RANGE == SEVEN_BITS {
            self.ascii.add(bytes.is_ascii());
        }
    }

    fn judge(&self) -> Result<(), String> {
        if self.classes.all < LEAST_OBJECTS {
            return Err(format!("only {} objects have a class", self.classes.all));
        }
        for (tally, what, per_mille) in [
            (&self.kinds, "objects are of no type", NEARLY_ALL),
            (
                &self.internal,
                "internal objects are of no type",
                NEARLY_ALL,
            ),
            (&self.classes, "objects have a class that is none", MOST),
            (&self.lists, "lists are not where they must be", NEARLY_ALL),
            (
                &self.embedded,
                "lists are longer than their slots",
                NEARLY_ALL,
            ),
            (&self.texts, "Strings are not where they must be", MOST),
            (&self.ascii, "Strings of ASCII hold something else", MOST),
            (
                &self.small,
                "small Hashes have not as many pairs as they say",
                MOST,
            ),
            (
                &self.large,
                "large Hashes have not as many pairs as they say",
                MOST,
            ),
            (
                &self.variables,
                "objects have variables without names",
                MOST,
            ),
            (&self.keys, "keys of Hashes are what no key is", HALF),
            (&self.symbols, "Symbols have no text", HALF),
            (&self.code, "pieces of code have no path", HALF),
        ] {
            tally.expect(what, per_mille)?;
        }
        let mut kinds: Vec<_> = self.references.iter().collect();
        kinds.sort_unstable_by_key(|(kind, _)| **kind);
        for (kind, tally) in kinds {
            let what = format!("references of type {} lead to no object", kind::name(*kind));
            tally.expect(&what, HALF)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
