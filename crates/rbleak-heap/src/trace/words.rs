//! Objects and references in a Rubyist's words.

use super::{HolderName, Step, entries};
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

/// What holds the lists of finalizers that no root of the dump leads to: see
/// [`super::Parent::Finalizers`].
pub(crate) const FINALIZERS: &str = "probably a finalizer";

/// An object on a path: `Leaky::STORE`'s `Array (1 500)`.
pub(crate) fn object(heap: &Heap, names: &Names, id: ObjectId) -> String {
    let kind = kind(heap, names, id);
    match (heap.object_type(id), heap.length(id)) {
        (ObjectType::Array | ObjectType::Hash, Some(length)) => {
            format!("{kind} ({})", grouped(length))
        }
        _ => kind,
    }
}

/// The same without what tells it from others of its kind: no length.
pub(super) fn kind(heap: &Heap, names: &Names, id: ObjectId) -> String {
    if let Some(code) = names.code(heap.address(id)) {
        return format!("{} {}:{}", heap.class_name(id), code.file, code.line);
    }
    match heap.object_type(id) {
        ObjectType::Class | ObjectType::Module => module(heap, id),
        // Ruby's own lists, such as that of an object's finalizers.
        ObjectType::Array if heap.class(id).is_none() => "internal Array".to_owned(),
        ObjectType::Hash if heap.class(id).is_none() => "internal Hash".to_owned(),
        ObjectType::Data if is_thread(heap, id) => match names.thread(heap.address(id)) {
            Some("") | None => "Thread".to_owned(),
            Some(name) => format!("Thread {name}"),
        },
        ObjectType::Imemo => match heap.imemo_type(id) {
            Some("ment") => "method".to_owned(),
            Some("env") => "captured variables".to_owned(),
            Some("iseq") => "code".to_owned(),
            Some("callcache" | "callinfo" | "constcache") => "inline cache".to_owned(),
            _ => heap.class_name(id).to_string(),
        },
        _ => heap.class_name(id).to_string(),
    }
}

/// A class or module by the name it has.
fn module(heap: &Heap, id: ObjectId) -> String {
    match heap.name(id) {
        Some(name) => name.to_owned(),
        None if heap.is_singleton(id) => "singleton class".to_owned(),
        None => heap.class_name(id).to_string(),
    }
}

/// What a class or module is called as a holder, if it has a name: the
/// variable in which it keeps `held`, or itself.
pub(super) fn of_module(
    heap: &Heap,
    names: &Names,
    id: ObjectId,
    held: Option<ObjectId>,
) -> Option<HolderName> {
    if !is_module(heap, id) {
        return None;
    }
    let name = heap.name(id)?;
    let variable = held.and_then(|held| edge(heap, names, id, held));
    Some(match variable {
        Some(variable) => HolderName::Named(format!("{name}{variable}")),
        None => HolderName::Module(name.to_owned()),
    })
}

/// The lowest object of an upward chain that a Rubyist knows: what the object
/// above the chain holds.
pub(super) fn held_above(heap: &Heap, below: &[ObjectId]) -> Option<ObjectId> {
    below.iter().copied().rfind(|&id| !is_between(heap, id))
}

/// An upward chain without its top, which the name of the path says already,
/// and what lies between that and the next object.
pub(super) fn without_top<'c>(heap: &Heap, chain: &'c [ObjectId]) -> &'c [ObjectId] {
    let mut below = &chain[..chain.len() - 1];
    while let [rest @ .., between] = below
        && !rest.is_empty()
        && is_between(heap, *between)
    {
        below = rest;
    }
    below
}

/// What a thread keeps that nothing with a name holds.
pub(super) fn local_of_thread(heap: &Heap, names: &Names, thread: ObjectId) -> String {
    match names.thread(heap.address(thread)) {
        Some("main") => "a local of the main thread".to_owned(),
        Some("") | None => "a local of a running thread".to_owned(),
        Some(name) => format!("a local of the thread {name}"),
    }
}

/// The name of the reference from `holder` to `held`: an instance variable, a
/// member of a Struct, what a closure captures, a local of a thread or fiber;
/// `None` where it has none or it cannot be told.
///
/// What the agent saw itself comes first, then what holds for all instances
/// of the class, then the shape. The latter two go by position, which says
/// something only if every variable has its reference: dumps leave out nil,
/// numbers and static symbols, and their places with them.
pub(crate) fn edge(heap: &Heap, names: &Names, holder: ObjectId, held: ObjectId) -> Option<String> {
    let seen = names.ivar(heap.address(holder), heap.address(held));
    if let Some(name) = seen {
        return Some(name.to_owned());
    }
    if is_proc(heap, holder) {
        return Some("captures".to_owned());
    }
    if let Some(name) = variable_of_class(heap, names, holder, held) {
        return Some(name);
    }
    if let Some(name) = variable_of_shape(heap, holder, held) {
        return Some(name.to_owned());
    }
    let runs = is_thread(heap, holder) || is_fiber(heap, holder);
    let frame = is_thread(heap, held) || is_fiber(heap, held);
    // Looked for last: each of an Array's million entries may be asked about.
    (runs && !frame && heap.references(holder).contains(&held)).then(|| "a local".to_owned())
}

/// Containers with more references are not searched for variables of their
/// own, which they hardly ever have: asked for each entry, that is quadratic.
const MAX_SEARCHED: usize = 64;

fn variable_of_class(
    heap: &Heap,
    names: &Names,
    holder: ObjectId,
    held: ObjectId,
) -> Option<String> {
    let variables = names.variables_of_class(heap.class(holder)?)?;
    let references = heap.references(holder);
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

/// By the shape, from Ruby 3.2 on: that of the object, or from 4.0 on that of
/// the `fields` in which a class, String and so on keep theirs.
fn variable_of_shape(heap: &Heap, holder: ObjectId, held: ObjectId) -> Option<&str> {
    if heap.object_type(holder) == ObjectType::Object
        && let Some(name) = variable_at(heap, holder, held)
    {
        return Some(name);
    }
    let references = heap.references(holder);
    let is_container = matches!(
        heap.object_type(holder),
        ObjectType::Array | ObjectType::Hash
    );
    if heap.shapes().all().is_empty() || (is_container && references.len() > MAX_SEARCHED) {
        return None;
    }
    references
        .iter()
        .filter(|&&id| heap.imemo_type(id) == Some("fields"))
        .find_map(|&fields| variable_at(heap, fields, held))
}

/// The instance variable whose value `held` is, if every variable of the
/// shape of `owner` has its reference. Variables that Ruby hides, such as an
/// exception's message, take a place and have no name.
fn variable_at(heap: &Heap, owner: ObjectId, held: ObjectId) -> Option<&str> {
    let references = heap.references(owner);
    let place = references.iter().position(|&id| id == held)?;
    let mut variables = Vec::with_capacity(references.len());
    let mut shape = heap.shapes().get(heap.shape_id(owner)?);
    while let Some(at) = shape {
        if &*at.shape_type == "IVAR" {
            variables.push(at.edge_name.as_deref());
        }
        // Also ends what in a damaged dump may be a cycle.
        if variables.len() > references.len() {
            return None;
        }
        shape = at
            .parent_id
            .filter(|&id| id != at.id)
            .and_then(|id| heap.shapes().get(id));
    }
    if variables.len() != references.len() {
        return None;
    }
    let name = variables[variables.len() - 1 - place]?;
    name.starts_with('@').then_some(name)
}

/// `chain` is ordered upward, from an object to what holds it; steps go down
/// and begin with the topmost object. Each comes with the object it is.
pub(super) fn steps_down(heap: &Heap, names: &Names, chain: &[ObjectId]) -> Vec<(ObjectId, Step)> {
    let edge = |heap: &Heap, names: &Names, above, id| {
        edge(heap, names, above, id).or_else(|| entries::label(heap, names, above, id))
    };
    steps_down_in(heap, names, chain, edge, object)
}

/// The same without keys of Hashes, for one way of many.
pub(super) fn steps_of_many(
    heap: &Heap,
    names: &Names,
    chain: &[ObjectId],
) -> Vec<(ObjectId, Step)> {
    steps_down_in(heap, names, chain, edge, object)
}

/// The same as it is compared: without lengths of containers and keys.
pub(super) fn kinds_down(heap: &Heap, names: &Names, chain: &[ObjectId]) -> Vec<(ObjectId, Step)> {
    steps_down_in(heap, names, chain, edge, kind)
}

fn steps_down_in(
    heap: &Heap,
    names: &Names,
    chain: &[ObjectId],
    edge: fn(&Heap, &Names, ObjectId, ObjectId) -> Option<String>,
    word: fn(&Heap, &Names, ObjectId) -> String,
) -> Vec<(ObjectId, Step)> {
    let mut steps = Vec::with_capacity(chain.len());
    let mut above: Option<ObjectId> = None;
    for &id in chain.iter().rev() {
        if above.is_some() && is_between(heap, id) {
            continue;
        }
        let step = Step {
            edge: above.and_then(|above| edge(heap, names, above, id)),
            object: word(heap, names, id),
        };
        steps.push((id, step));
        above = Some(id);
    }
    steps
}

/// Internal objects that stand between two objects a Rubyist knows and are
/// left out of a path: what a closure captures lies in an `env`, the instance
/// variables of a 4.x object in `fields`.
pub(crate) fn is_between(heap: &Heap, id: ObjectId) -> bool {
    heap.object_type(id) == ObjectType::Imemo
        && matches!(heap.imemo_type(id), Some("env" | "fields"))
}

/// Whether `id` is an `env`: the captured variables of a closure.
pub(super) fn is_env(heap: &Heap, id: ObjectId) -> bool {
    heap.object_type(id) == ObjectType::Imemo && heap.imemo_type(id) == Some("env")
}

/// Whether `id` is a Proc.
pub(crate) fn is_proc(heap: &Heap, id: ObjectId) -> bool {
    heap.object_type(id) == ObjectType::Data && heap.struct_name(id) == Some("proc")
}

/// Whether `id` is a class or module.
pub(super) fn is_module(heap: &Heap, id: ObjectId) -> bool {
    matches!(heap.object_type(id), ObjectType::Class | ObjectType::Module)
}

/// The object `main`, whose instance variables are those of the top level. Of
/// the plain Objects that the VM itself refers to (`ENV` is another) it is the
/// one that is the self of a binding: `TOPLEVEL_BINDING` is always there.
pub(super) fn main_object(heap: &Heap) -> Option<ObjectId> {
    let vm = heap.roots().iter().find(|root| &*root.name == "vm")?;
    let is_self = |id: ObjectId| {
        heap.ids().any(|binding| {
            heap.struct_name(binding) == Some("binding")
                && heap.references(binding).first() == Some(&id)
        })
    };
    vm.references.iter().copied().find(|&id| {
        heap.object_type(id) == ObjectType::Object && heap.class_name(id) == "Object" && is_self(id)
    })
}

/// What `main` is called as the holder of `held`.
pub(super) fn of_main(heap: &Heap, names: &Names, main: ObjectId, held: ObjectId) -> HolderName {
    let variable = edge(heap, names, main, held).unwrap_or_default();
    HolderName::Named(format!("main{variable}"))
}

/// Stands for what a path goes on with.
pub(super) const MORE: &str = "…";

/// Steps with each run of the same one shortened to its first and `…`: a
/// linked list says nothing new after its first node.
pub(super) fn shortened(steps: Vec<Step>) -> Vec<Step> {
    // The first step of a part of a path has lost its edge.
    let continues = |run: &Step, step: &Step| {
        step.object == MORE
            || (step.object == run.object && (step.edge == run.edge || step.edge.is_none()))
    };
    let mut out: Vec<Step> = Vec::with_capacity(steps.len().min(64));
    for step in steps {
        match out.as_slice() {
            [.., run, more] if more.object == MORE && continues(run, &step) => {}
            [.., before, last] if *before == step && *last == step => {
                let at = out.len() - 1;
                out[at] = Step {
                    edge: None,
                    object: MORE.to_owned(),
                };
            }
            _ => out.push(step),
        }
    }
    out
}

/// Whether `id` is a Ractor, which lists its threads.
pub(super) fn is_ractor(heap: &Heap, id: ObjectId) -> bool {
    matches!(heap.struct_name(id), Some("ractor" | "Ractor"))
}

/// Whether `id` is a Thread.
pub(super) fn is_thread(heap: &Heap, id: ObjectId) -> bool {
    heap.struct_name(id) == Some("VM/thread")
}

/// Whether `id` is a Fiber.
pub(super) fn is_fiber(heap: &Heap, id: ObjectId) -> bool {
    matches!(heap.struct_name(id), Some("fiber" | "VM/fiber"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(edge: Option<&str>, object: &str) -> Step {
        Step {
            edge: edge.map(str::to_owned),
            object: object.to_owned(),
        }
    }

    #[test]
    fn a_run_of_steps_is_shortened_once() {
        let next = || step(Some("@next"), "Node");
        let list = vec![step(None, "Node"), next(), next(), next(), next()];
        let short = shortened(list);
        let expected = [step(None, "Node"), next(), step(None, "…")];
        assert_eq!(short, expected);
        // Again, and with the part of a path that has lost its first edge.
        let longer: Vec<Step> = short
            .into_iter()
            .chain([step(None, "Node"), next()])
            .collect();
        assert_eq!(shortened(longer), expected);
        // Two are no run.
        let two = vec![step(None, "Hash (1)"), next(), next(), step(None, "Array")];
        assert_eq!(shortened(two.clone()), two[..]);
    }
}
