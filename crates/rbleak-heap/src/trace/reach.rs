//! Shortest paths from the roots, the meaningful ones first.

use crate::names::Names;
use crate::{Heap, ObjectId, ObjectType};
use rustc_hash::FxHashSet;

/// How an object was reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Not at all: garbage at the time of the dump, or held by what a dump
    /// does not tell.
    Unreached,
    /// By the root of this index in [`Heap::roots`].
    Root(usize),
    /// Probably by the table of finalizers, of which dumps of Ruby 3.4 and
    /// later tell nothing: it is a list of the kind that Ruby makes for them,
    /// and nothing refers to it.
    Finalizers,
    /// By a reference, or as the class, of this object.
    Object(ObjectId),
}

/// A breadth-first forest over the whole heap.
#[derive(Clone, Debug)]
pub struct Reach {
    parent: Vec<u32>,
    order: Vec<ObjectId>,
}

const UNREACHED: u32 = u32::MAX;
/// Encoded roots count down from here; a dump has at most a dozen or so.
const FIRST_ROOT: u32 = u32::MAX - 1;
const MAX_ROOTS: usize = 1 << 10;
/// As the last of them.
const FINALIZERS: u32 = FIRST_ROOT - (MAX_ROOTS as u32 - 1);
/// The first version whose dumps do not list finalizers.
const WITHOUT_FINALIZERS: (u8, u8) = (3, 4);

impl Reach {
    /// Walks `heap` in five passes, each over what the ones before it left:
    /// real roots; then stacks and locals of threads; then inline caches, which
    /// hold what a constant holds anyway; then the machine stack, which is
    /// scanned conservatively and may hold what nobody holds; then what are
    /// finalizers by their looks, in dumps that do not list them. The table of the
    /// allocation tracer and the agent's own objects are never walked through.
    pub fn new(heap: &Heap, names: &Names) -> Reach {
        let mut walk = Walk {
            heap,
            names,
            reach: Reach {
                parent: vec![UNREACHED; heap.len()],
                order: Vec::with_capacity(heap.len()),
            },
            threads: Vec::new(),
            caches: Vec::new(),
        };
        let conservative = |name: &str| name == "machine_context";
        walk.enter_roots(|name| !conservative(name));
        walk.later(Expand::Threads);
        walk.later(Expand::All);
        walk.enter_roots(conservative);
        walk.later(Expand::All);
        walk.enter_finalizers();
        walk.later(Expand::All);
        walk.reach
    }

    /// How `id` was reached.
    pub fn parent(&self, id: ObjectId) -> Parent {
        match self.parent[id.index()] {
            UNREACHED => Parent::Unreached,
            FINALIZERS => Parent::Finalizers,
            code if code > FIRST_ROOT - MAX_ROOTS as u32 => {
                Parent::Root((FIRST_ROOT - code) as usize)
            }
            code => Parent::Object(ObjectId::from_index(code as usize)),
        }
    }

    /// Every reached object, parents before their children.
    pub fn order(&self) -> &[ObjectId] {
        &self.order
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Expand {
    /// Everything but thread stacks and inline caches.
    Meaningful,
    /// Everything but inline caches.
    Threads,
    All,
}

struct Walk<'a> {
    heap: &'a Heap,
    names: &'a Names,
    reach: Reach,
    threads: Vec<ObjectId>,
    caches: Vec<ObjectId>,
}

impl Walk<'_> {
    fn enter_roots(&mut self, wanted: impl Fn(&str) -> bool) {
        let start = self.reach.order.len();
        let heap = self.heap;
        for (index, root) in heap.roots().iter().enumerate().take(MAX_ROOTS - 1) {
            if wanted(&root.name) {
                for &id in &root.references {
                    self.visit(id, FIRST_ROOT - index as u32);
                }
            }
        }
        self.run(start, Expand::Meaningful);
    }

    /// What a finalizer is kept in: an Array without a class, with its object's
    /// id (a number, from 4.0 on) and the Procs or other callables.
    fn enter_finalizers(&mut self) {
        let heap = self.heap;
        if heap.ruby().at_least < WITHOUT_FINALIZERS || heap.roots().is_empty() {
            return;
        }
        let is_left = |id: &ObjectId| self.reach.parent[id.index()] == UNREACHED;
        let left: Vec<ObjectId> = heap
            .ids()
            .filter(|id| is_left(id) && heap.is_live(*id))
            .collect();
        let referred: FxHashSet<ObjectId> = left
            .iter()
            .flat_map(|&id| heap.references(id).iter().copied())
            .collect();
        let start = self.reach.order.len();
        for id in left {
            let is_list = heap.object_type(id) == ObjectType::Array
                && heap.class(id).is_none()
                && !heap.references(id).is_empty();
            if is_list && !referred.contains(&id) {
                self.visit(id, FINALIZERS);
            }
        }
        self.run(start, Expand::Meaningful);
    }

    /// Goes on from the objects that earlier passes put off.
    fn later(&mut self, expand: Expand) {
        let start = self.reach.order.len();
        let mut put_off = std::mem::take(&mut self.threads);
        if expand == Expand::All {
            put_off.append(&mut self.caches);
        }
        for id in put_off {
            self.children(id);
        }
        self.run(start, expand);
    }

    fn run(&mut self, mut next: usize, expand: Expand) {
        while let Some(&id) = self.reach.order.get(next) {
            next += 1;
            match put_off_until(self.heap, id) {
                later if later <= expand => self.children(id),
                Expand::Threads => self.threads.push(id),
                _ => self.caches.push(id),
            }
        }
    }

    fn children(&mut self, id: ObjectId) {
        let heap = self.heap;
        if is_tool(heap, self.names, id) {
            return;
        }
        let code = id.index() as u32;
        for &child in heap.references(id) {
            self.visit(child, code);
        }
        // A dump leaves the class out of `references`.
        for class in [heap.class_id(id), heap.superclass(id)]
            .into_iter()
            .flatten()
        {
            self.visit(class, code);
        }
    }

    fn visit(&mut self, id: ObjectId, parent: u32) {
        let slot = &mut self.reach.parent[id.index()];
        if *slot == UNREACHED {
            *slot = parent;
            self.reach.order.push(id);
        }
    }
}

fn put_off_until(heap: &Heap, id: ObjectId) -> Expand {
    match heap.object_type(id) {
        ObjectType::Data => match heap.struct_name(id) {
            Some("VM/thread" | "fiber" | "VM/fiber") => Expand::Threads,
            _ => Expand::Meaningful,
        },
        ObjectType::Imemo => match heap.imemo_type(id) {
            Some("callcache" | "callinfo" | "constcache") => Expand::All,
            _ => Expand::Meaningful,
        },
        _ => Expand::Meaningful,
    }
}

/// Whether `id` is part of the measuring: the tracer's table holds a reference
/// to the class of every traced object, the agent's objects are its own.
fn is_tool(heap: &Heap, names: &Names, id: ObjectId) -> bool {
    heap.struct_name(id) == Some("ObjectTracing/allocation_info_tracer")
        || names.is_own(heap.address(id))
}
