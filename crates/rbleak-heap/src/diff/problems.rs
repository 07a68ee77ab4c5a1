//! Reasons not to believe a diff: other dumps than the user thinks.

use super::Compaction;
use crate::heap::Heap;
use crate::object_type::ObjectType;
use crate::parallel;
use rustc_hash::FxHashMap;
use std::fmt;

/// Whether a problem spoils the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The result means nothing.
    Error,
    /// The result means less than it seems.
    Warning,
}

/// One reason; dumps by their index, from 0, with their names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiffProblem {
    /// Two dumps have the same content.
    SameDump {
        /// The two names.
        names: [String; 2],
        /// Their indices.
        dumps: [usize; 2],
    },
    /// Two dumps are of different processes.
    DifferentProcesses {
        /// The two names.
        names: [String; 2],
        /// Their indices.
        dumps: [usize; 2],
    },
    /// The dumps were given in another order than they were taken.
    WrongOrder {
        /// The names in the order in which they were taken.
        names: Vec<String>,
        /// The given indices in that order.
        order: Vec<usize>,
    },
    /// Objects moved.
    Compacted {
        /// The names of the dumps before and after.
        names: [String; 2],
        /// What is known.
        compaction: Compaction,
    },
    /// A dump lists a part of the heap: taken with `since:`, or damaged.
    Partial {
        /// Its name.
        name: String,
        /// Its index.
        dump: usize,
    },
    /// A dump was cut off.
    Truncated {
        /// Its name.
        name: String,
        /// Its index.
        dump: usize,
    },
    /// Only some dumps have generations.
    TracingDiffers {
        /// The names of those that have none.
        untraced: Vec<String>,
    },
}

impl DiffProblem {
    /// Whether it spoils the result.
    pub fn severity(&self) -> Severity {
        match self {
            DiffProblem::SameDump { .. }
            | DiffProblem::DifferentProcesses { .. }
            | DiffProblem::WrongOrder { .. } => Severity::Error,
            DiffProblem::Compacted { .. }
            | DiffProblem::Partial { .. }
            | DiffProblem::Truncated { .. }
            | DiffProblem::TracingDiffers { .. } => Severity::Warning,
        }
    }
}

impl fmt::Display for DiffProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiffProblem::SameDump { names: [a, b], .. } => write!(
                f,
                "{a} and {b} have the same content; give dumps taken at different times"
            ),
            DiffProblem::DifferentProcesses { names: [a, b], .. } => write!(
                f,
                "{a} and {b} are of different processes and have nothing in common; give dumps of one process (of one worker, if there are several)"
            ),
            DiffProblem::WrongOrder { names, .. } => write!(
                f,
                "the dumps are not in the order in which they were taken; that is {}",
                names.join(" ")
            ),
            DiffProblem::Compacted {
                names: [a, b],
                compaction,
            } => write!(
                f,
                "objects moved between {a} and {b} (GC.compact; at least {} of them), so that addresses cannot be compared; growth by site and class still can",
                compaction.moved
            ),
            DiffProblem::Partial { name, .. } => write!(
                f,
                "{name} has no roots: it lists a part of the heap only (since:), and what it leaves out counts as gone"
            ),
            DiffProblem::Truncated { name, .. } => write!(
                f,
                "{name} is cut off, and what is missing counts as gone; take it again"
            ),
            DiffProblem::TracingDiffers { untraced } => write!(
                f,
                "without traced allocations: {}; objects are compared by address, type and class only. Trace in the whole run (ObjectSpace.trace_object_allocations_start)",
                untraced.join(", ")
            ),
        }
    }
}

/// All problems, worst first.
pub(super) fn find(heaps: &[Heap], compactions: &[Compaction]) -> Vec<DiffProblem> {
    let name = |i: usize| heaps[i].source().to_owned();
    let mut problems = Vec::new();
    let classes = parallel::map(
        heaps.iter().collect(),
        parallel::processors(),
        built_in_classes,
    );
    for later in 1..heaps.len() {
        for earlier in 0..later {
            let dumps = [earlier, later];
            let names = dumps.map(name);
            if is_same(&heaps[earlier], &heaps[later]) {
                problems.push(DiffProblem::SameDump { names, dumps });
            } else if earlier + 1 == later && is_another_process(&classes[earlier], &classes[later])
            {
                problems.push(DiffProblem::DifferentProcesses { names, dumps });
            }
        }
    }
    let is_one_process = !problems
        .iter()
        .any(|problem| matches!(problem, DiffProblem::DifferentProcesses { .. }));
    let order = chronological(heaps);
    if is_one_process && !order.is_sorted() {
        problems.push(DiffProblem::WrongOrder {
            names: order.iter().map(|&i| name(i)).collect(),
            order,
        });
    }
    problems.extend(
        compactions
            .iter()
            .map(|&compaction| DiffProblem::Compacted {
                names: [name(compaction.from), name(compaction.from + 1)],
                compaction,
            }),
    );
    for (dump, heap) in heaps.iter().enumerate() {
        if heap.issues().truncated().is_some() {
            problems.push(DiffProblem::Truncated {
                name: name(dump),
                dump,
            });
        } else if heap.is_partial() {
            problems.push(DiffProblem::Partial {
                name: name(dump),
                dump,
            });
        }
    }
    let untraced: Vec<_> = (0..heaps.len())
        .filter(|&i| !heaps[i].is_traced())
        .collect();
    if !untraced.is_empty() && untraced.len() < heaps.len() {
        problems.push(DiffProblem::TracingDiffers {
            untraced: untraced.into_iter().map(name).collect(),
        });
    }
    problems.sort_by_key(DiffProblem::severity);
    problems
}

/// The indices by `GC.count`, which only grows; as they are if it is not
/// known of all.
fn chronological(heaps: &[Heap]) -> Vec<usize> {
    let mut order: Vec<_> = (0..heaps.len()).collect();
    if heaps.iter().all(Heap::is_traced) {
        order.sort_by_key(|&i| heaps[i].max_generation());
    }
    order
}

/// Taking a dump allocates, so that no two of one process are equal.
fn is_same(a: &Heap, b: &Heap) -> bool {
    a.total_bytes() == b.total_bytes()
        && a.lines() == b.lines()
        && a.len() == b.len()
        && a.ids().all(|id| {
            a.address(id) == b.address(id)
                && a.object_type(id) == b.object_type(id)
                && a.generation(id) == b.generation(id)
                && a.shallow_size(id) == b.shallow_size(id)
                && a.class_word(id) == b.class_word(id)
        })
}

/// Types of objects whose class is nearly always the built-in one. Ruby pins
/// the built-in classes: they lie where they are for the life of a process,
/// and elsewhere in another.
const BUILT_IN: [ObjectType; 6] = [
    ObjectType::String,
    ObjectType::Array,
    ObjectType::Hash,
    ObjectType::Regexp,
    ObjectType::Symbol,
    ObjectType::Float,
];

fn is_another_process(first: &Classes, second: &Classes) -> bool {
    let common: Vec<_> = BUILT_IN
        .iter()
        .filter_map(|object_type| Some((first.get(object_type)?, second.get(object_type)?)))
        .collect();
    !common.is_empty() && common.iter().all(|(a, b)| a != b)
}

/// The word of a class for each type.
type Classes = FxHashMap<ObjectType, u64>;

/// The most frequent class of each type, if there are enough objects to tell.
fn built_in_classes(heap: &Heap) -> Classes {
    let columns = &heap.columns;
    let mut of_kinds = vec![0_u64; columns.kind_table.len()];
    for kind in columns.kinds.all() {
        of_kinds[kind as usize] += 1;
    }
    let mut counts: FxHashMap<(ObjectType, u64), u64> = FxHashMap::default();
    for (kind, count) in columns.kind_table.iter().zip(of_kinds) {
        if BUILT_IN.contains(&kind.object_type)
            && let Some(&class) = columns.class_words.get(kind.class as usize)
        {
            *counts.entry((kind.object_type, class)).or_default() += count;
        }
    }
    let mut best: FxHashMap<ObjectType, (u64, u64)> = FxHashMap::default();
    for ((object_type, class), count) in counts {
        let entry = best.entry(object_type).or_default();
        *entry = (*entry).max((count, class));
    }
    best.into_iter()
        .filter(|(_, (count, _))| *count >= 5)
        .map(|(object_type, (_, class))| (object_type, class))
        .collect()
}
