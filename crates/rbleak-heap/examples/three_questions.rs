//! Asks a heap dump three questions: what is biggest, what grew, who holds it?
//!
//! `cargo run --release --example three_questions -- EARLIER LATER`, with two
//! dumps that one process wrote.
#![allow(clippy::print_stdout, unreachable_pub)]

use rbleak_heap::graph::{Dominators, GraphInput};
use rbleak_heap::trace::Paths;
use rbleak_heap::{Filter, GroupBy, Heap, Identity, Names, ReadOptions, diff};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [earlier, later] = &arguments[..] else {
        return Err("give two heap dumps of one process, the earlier first".into());
    };
    for line in answers(earlier.as_ref(), later.as_ref())? {
        println!("{line}");
    }
    Ok(())
}

/// A line for each answer.
pub fn answers(earlier: &Path, later: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut lines = Vec::new();
    let options = ReadOptions::default();
    let heaps = [Heap::open(earlier, &options)?, Heap::open(later, &options)?];
    let heap = &heaps[1];

    // What is biggest? What would be freed with it counts, not itself alone.
    let names = Names::default();
    let dominators = Dominators::new(GraphInput {
        heap,
        names: &names,
        is_tool_file: &|_| false,
    })?;
    let top = dominators.top();
    for &id in top.iter().take(3) {
        lines.push(format!(
            "big    {} {} retains {}",
            heap.address(id),
            heap.class_name(id),
            dominators.retained_size(id)
        ));
    }

    // What grew? What is in the later dump and was not in the earlier.
    let found = diff(&heaps, Identity::Auto)?;
    let groups = found.groups(GroupBy::Site, &Filter::default());
    for group in groups.iter().take(3) {
        let (key, objects, bytes) = (group.key, group.objects, group.bytes);
        lines.push(format!("grew   {key} by {objects} objects, {bytes}"));
    }

    // Who holds it? The shortest way from something with a name.
    let newest = groups.first().and_then(|group| group.ids.first());
    if let Some(path) = newest.and_then(|&id| Paths::new(heap, &names).to(id)) {
        let steps = path.steps.iter().map(|(_, step)| step.object.as_str());
        let steps: Vec<_> = steps.collect();
        lines.push(format!("held   by {}: {}", path.name, steps.join(" → ")));
    }
    Ok(lines)
}
