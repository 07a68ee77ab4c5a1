//! The tree of what keeps what in the last dump, as far as it is worth a look.

use super::Wish;
use crate::commands::retained::words;
use crate::memory;
use anyhow::{Result, bail};
use rbleak_capture::RecordedRun;
use rbleak_heap::graph::{Dominator, Dominators, GraphInput, Places};
use rbleak_heap::{Analysis, Detail, Heap, Names, ObjectId, ObjectType, ReadOptions};
use rbleak_report::{Quantity, Tree, TreeNode, json};
use rbleak_units::{Address, Bytes};
use std::collections::BTreeMap;
use std::path::Path;

/// Parts of the whole below which nothing is worth a node.
const LEAST: f64 = 0.0005;
/// Points where less than this part comes together are not marked.
const LEAST_MARKED: f64 = 0.02;
/// Deeper the tree is not told: lists are as deep as they are long.
const DEEPEST: u32 = 40;
/// Steps of a way shown at most.
const MOST_STEPS: usize = 5;
/// Characters of a value shown at most.
const MOST_VALUE: usize = 60;

/// What a node is of, before it is worded.
struct Found {
    id: ObjectId,
    depth: u32,
    above: Option<ObjectId>,
    is_marked: bool,
}

/// The tree of the last dump of a run.
///
/// # Errors
/// If the dumps are gone or damaged, or reading one takes more memory than is
/// allowed.
pub(super) fn tree(folder: &Path, wish: &Wish) -> Result<Tree> {
    let run = RecordedRun::open(folder)?;
    let Some(dump) = run.dumps.last() else {
        bail!("the run has no heap dumps");
    };
    let memory = memory::beside(wish.memory, Analysis::Dominators);
    let heap = Heap::open_within(&dump.path, &ReadOptions::default(), &memory)?;
    if heap.is_partial() {
        bail!(
            "{} lists no roots, so that nothing can be said to keep anything",
            heap.source()
        );
    }
    let names = match &dump.names {
        Some(path) => crate::held::read_names(path)?,
        None => Names::default(),
    };
    let agent = run.manifest.app.agent_directory.clone();
    let is_tool_file =
        |file: &str| !agent.as_os_str().is_empty() && Path::new(file).starts_with(&agent);
    let dominators = Dominators::new(GraphInput {
        heap: &heap,
        names: &names,
        is_tool_file: &is_tool_file,
    })?;
    let (found, left_out) = found(&dominators, wish.nodes);
    let values = match wish.show_values {
        true => values(&dump.path, &heap, &found)?,
        false => BTreeMap::new(),
    };
    Ok(told(&dominators, &run, &found, left_out, &values))
}

/// The largest nodes, in preorder. What is worth a node rises until there are
/// not too many.
fn found(dominators: &Dominators<'_>, most: usize) -> (Vec<Found>, usize) {
    let whole = dominators.retained_by(Dominator::Roots).as_f64();
    let mut part = LEAST;
    let all = walk(dominators, Bytes((whole * part) as u64));
    let many = all.len();
    let mut kept = all;
    while kept.len() > most {
        part *= 1.5;
        kept = walk(dominators, Bytes((whole * part) as u64));
    }
    let left_out = many - kept.len();
    (kept, left_out)
}

fn walk(dominators: &Dominators<'_>, least: Bytes) -> Vec<Found> {
    let large = |id: &ObjectId| dominators.retained_size(*id) >= least;
    let is_module = |id: ObjectId| {
        matches!(
            dominators.heap().object_type(id),
            ObjectType::Class | ObjectType::Module
        )
    };
    let whole = dominators.retained_by(Dominator::Roots).as_f64();
    let is_worth_a_mark =
        |id: ObjectId| dominators.retained_size(id).as_f64() > LEAST_MARKED * whole;
    let mut found = Vec::new();
    let mut todo: Vec<(ObjectId, u32, Option<ObjectId>)> = Vec::new();
    for top in dominators.top().into_iter().filter(large) {
        let point = dominators
            .accumulation_point(top)
            .filter(|&id| !is_module(id) && is_worth_a_mark(id));
        todo.push((top, 1, None));
        while let Some((id, depth, above)) = todo.pop() {
            found.push(Found {
                id,
                depth,
                above,
                is_marked: point == Some(id),
            });
            if depth < DEEPEST {
                let children = dominators.largest_children(id);
                let children: Vec<_> = children.into_iter().take_while(large).collect();
                todo.extend(children.into_iter().rev().map(|c| (c, depth + 1, Some(id))));
            }
        }
    }
    found
}

/// Beginnings of the values of strings: a second look at the dump.
fn values(path: &Path, heap: &Heap, found: &[Found]) -> Result<BTreeMap<Address, String>> {
    let strings = found.iter().map(|node| node.id);
    let strings = strings.filter(|&id| heap.object_type(id) == ObjectType::String);
    let addresses: Vec<Address> = strings.map(|id| heap.address(id)).collect();
    let details = Detail::find(path, &ReadOptions::default(), &addresses)?;
    let value = |(address, detail): (Address, Detail)| {
        let value: String = detail.value?.chars().take(MOST_VALUE).collect();
        Some((address, value))
    };
    Ok(details.into_iter().filter_map(value).collect())
}

fn told(
    dominators: &Dominators<'_>,
    run: &RecordedRun,
    found: &[Found],
    left_out: usize,
    values: &BTreeMap<Address, String>,
) -> Tree {
    let places = Places::new(dominators);
    let heap = dominators.heap();
    let whole = dominators.retained_by(Dominator::Roots);
    let label = run.manifest.dumps.last().map(|dump| dump.label.clone());
    let label = label.unwrap_or_default();
    let mut nodes = vec![TreeNode {
        depth: 0,
        label: "all that roots reach".to_owned(),
        size: whole.as_f64(),
        own: 0.0,
        is_marked: false,
        data: json!({ "retained_bytes": whole.0, "own_bytes": 0 }),
    }];
    nodes.extend(found.iter().map(|node| {
        let id = node.id;
        let mut label = match node.above {
            None => words(&places.place(Dominator::Object(id)), MOST_STEPS),
            Some(above) => {
                let name = places.name(id).map(str::to_owned);
                let name = name.or_else(|| places.edge(above, id));
                let parts = [name, Some(places.object(id))];
                parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
        };
        if let Some(value) = values.get(&heap.address(id)) {
            label.push_str(&format!(" {value:?}"));
        }
        let (retained, own) = (dominators.retained_size(id), dominators.own_size(id));
        TreeNode {
            depth: node.depth,
            label,
            size: retained.as_f64(),
            own: own.as_f64(),
            is_marked: node.is_marked,
            data: json!({
                "address": heap.address(id).to_string(),
                "class": heap.class_name(id),
                "retained_bytes": retained.0,
                "own_bytes": own.0,
                "is_accumulation_point": node.is_marked,
            }),
        }
    }));
    Tree {
        key: "retained".to_owned(),
        title: format!("what keeps what in dump {label}: {whole}"),
        quantity: Quantity::Bytes,
        nodes,
        left_out,
    }
}
