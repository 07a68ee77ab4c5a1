//! Keys of Hashes, told by the order of references.
//!
//! Ruby marks a Hash entry by entry, the key before its value (`mark_keyvalue`
//! and `pin_key_mark_value` of hash.c, whether the table is small, large, or
//! compares by identity), after instance variables and before a default proc,
//! and a dump lists references in that order. It leaves out what is no object
//! on the heap: numbers, nil, true, false, and symbols that code knows. So
//! pairs are told only where each entry has two references; elsewhere nothing
//! is told. Counts may agree by chance, so that this is a heuristic: the test
//! `hash_keys` of the binary compares it with what Ruby 3.1 itself says of every
//! Hash of a process with Rails and Sinatra loaded. Of 5,600 values it told the
//! keys of 4,700, none of them wrong.
//!
//! Keys that are symbols in code come from the sidecar.

use super::words;
use crate::names::Names;
use crate::{Heap, ObjectId, ObjectType};

/// What an object is in a Hash that refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashEntry {
    /// A key.
    Key,
    /// The value of this key.
    ValueOf(ObjectId),
}

/// What `held` is in `hash`, where the dump tells. Looks through the Hash.
pub fn hash_entry(heap: &Heap, names: &Names, hash: ObjectId, held: ObjectId) -> Option<HashEntry> {
    let pairs = pairs(heap, names, hash)?;
    let at = pairs.iter().position(|&id| id == held)?;
    Some(match at % 2 {
        0 => HashEntry::Key,
        _ => HashEntry::ValueOf(pairs[at - 1]),
    })
}

/// Keys and values in turn.
fn pairs<'h>(heap: &'h Heap, names: &Names, hash: ObjectId) -> Option<&'h [ObjectId]> {
    if heap.object_type(hash) != ObjectType::Hash {
        return None;
    }
    let entries = usize::try_from(heap.length(hash)?).ok()?.checked_mul(2)?;
    let references = heap.references(hash);
    let is_proc = |id: &ObjectId| words::is_proc(heap, *id);
    let pairs = match references {
        // A default proc behind an entry without one of its references, maybe.
        [.., last] if references.len() == entries => {
            let mut values = references.iter().skip(1).step_by(2);
            let all_procs = entries > 2 && values.all(is_proc);
            (!is_proc(last) || all_procs).then_some(references)
        }
        [pairs @ .., last] if pairs.len() == entries => is_proc(last).then_some(pairs),
        _ => None,
    }?;
    // Variables of its own come first, and shift all others.
    let address = heap.address(hash);
    let has_variables = heap
        .class(hash)
        .is_some_and(|class| names.variables_of_class(class).is_some())
        || pairs
            .iter()
            .take(2)
            .any(|&id| names.ivar(address, heap.address(id)).is_some());
    // Of one entry nothing tells a variable and a value from a key and a value;
    // subclasses of Hash often have variables.
    let is_doubtful = references.len() == 2 && heap.class_name(hash) != "Hash";
    // Keys are of one class as a rule: else they may have been mixed up.
    let class = |id: ObjectId| (heap.object_type(id), heap.class(id));
    let mut keys = pairs.iter().step_by(2);
    let first = class(*keys.next()?);
    (!has_variables && !is_doubtful && keys.all(|&key| class(key) == first)).then_some(pairs)
}

/// The name of the reference from a Hash to what it holds: `[:sold]`, `[a
/// String key]`, `a key`. Never what a String says.
pub(crate) fn label(heap: &Heap, names: &Names, hash: ObjectId, held: ObjectId) -> Option<String> {
    if heap.object_type(hash) != ObjectType::Hash {
        return None;
    }
    let seen = names.symbol_key(heap.address(hash), heap.address(held));
    if let Some(symbol) = seen {
        return Some(format!("[{symbol}]"));
    }
    Some(match hash_entry(heap, names, hash, held)? {
        HashEntry::Key => "a key".to_owned(),
        HashEntry::ValueOf(key) => key_in_words(heap, key),
    })
}

fn key_in_words(heap: &Heap, key: ObjectId) -> String {
    if let Some(name) = heap.name(key) {
        return format!("[{name}]");
    }
    let class = heap.class_name(key);
    let article = match class.starts_with(['A', 'E', 'I', 'O', 'U']) {
        true => "an",
        false => "a",
    };
    format!("[{article} {class} key]")
}
