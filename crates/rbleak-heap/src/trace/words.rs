//! Objects and references in a Rubyist's words.

use crate::names::Names;
use crate::{Heap, ObjectId, ObjectType};
use rbleak_units::grouped;

/// What a root is, for people; the names are those of `objspace_dump.c` (see
/// `rb_objspace_reachable_objects_from_root`).
pub fn root_in_words(name: &str) -> &str {
    match name {
        "vm" => "the VM",
        "machine_context" => "the C stack (conservative: may be chance)",
        "global_tbl" => "a global variable",
        "global_list" => "a global of a C extension",
        "end_proc" => "an at_exit block",
        "finalizers" => "a finalizer",
        "generic_ivars" => "instance variables of a frozen or built-in object",
        "global_symbols" | "symbols" => "the symbol table",
        "encodings" => "an encoding",
        "object_id" => "the table of object ids",
        "YJIT" | "ZJIT" => "compiled code",
        other => other,
    }
}

/// An object on a path: `Leaky::STORE`'s `Array (1 500)`.
pub(super) fn object(heap: &Heap, names: &Names, id: ObjectId) -> String {
    if let Some(code) = names.code(heap.address(id)) {
        return format!("{} {}:{}", heap.class_name(id), code.file, code.line);
    }
    match heap.object_type(id) {
        ObjectType::Class | ObjectType::Module => heap
            .name(id)
            .map_or_else(|| heap.class_name(id).to_string(), str::to_owned),
        ObjectType::Array | ObjectType::Hash => match heap.length(id) {
            Some(length) => format!("{} ({})", heap.class_name(id), grouped(length)),
            None => heap.class_name(id).to_string(),
        },
        ObjectType::Data if heap.struct_name(id) == Some("VM/thread") => {
            match names.thread(heap.address(id)) {
                Some("") | None => "Thread".to_owned(),
                Some(name) => format!("Thread {name}"),
            }
        }
        _ => heap.class_name(id).to_string(),
    }
}

/// The name of the reference from `holder` to `held`: an instance variable, a
/// member of a Struct; `None` where it has none or it cannot be told.
pub(super) fn edge(heap: &Heap, names: &Names, holder: ObjectId, held: ObjectId) -> Option<String> {
    let seen = names.ivar(heap.address(holder), heap.address(held));
    if let Some(name) = seen {
        return Some(name.to_owned());
    }
    let class = heap.class(holder)?;
    let variables = names.variables_of_class(class)?;
    let references = heap.references(holder);
    // A position says something only if each variable has its reference.
    if references.len() != variables.len() {
        return None;
    }
    let name = &variables[references.iter().position(|&id| id == held)?];
    match heap.object_type(holder) {
        ObjectType::Object => Some(name.to_string()),
        ObjectType::Struct => Some(format!(".{name}")),
        _ => None,
    }
}

/// Internal objects that stand between two objects a Rubyist knows and are
/// left out of a path: what a closure captures lies in an `env`, the instance
/// variables of a 4.x object in `fields`.
pub(super) fn is_between(heap: &Heap, id: ObjectId) -> bool {
    heap.object_type(id) == ObjectType::Imemo
        && matches!(heap.imemo_type(id), Some("env" | "fields"))
}

/// Whether `id` is an `env`: the captured variables of a closure.
pub(super) fn is_env(heap: &Heap, id: ObjectId) -> bool {
    heap.object_type(id) == ObjectType::Imemo && heap.imemo_type(id) == Some("env")
}

/// Whether `id` is a Proc.
pub(super) fn is_proc(heap: &Heap, id: ObjectId) -> bool {
    heap.object_type(id) == ObjectType::Data && heap.struct_name(id) == Some("proc")
}
