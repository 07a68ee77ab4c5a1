//! Asks a heap dump three questions: what is biggest, who holds it, what grew?
//!
//! `cargo run --release --example three_questions -- EARLIER LATER`, with two
//! dumps that one process wrote.
#![allow(clippy::print_stdout)]

use rbleak_heap::graph::{Dominators, GraphInput};
use rbleak_heap::trace::Paths;
use rbleak_heap::{Filter, GroupBy, Heap, Identity, Names, ReadOptions, diff};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [earlier, later] = &arguments[..] else {
        return Err("give two heap dumps of one process, the earlier first".into());
    };
    let options = ReadOptions::default();
    let heaps = [Heap::open(earlier, &options)?, Heap::open(later, &options)?];
    let heap = &heaps[1];

    // What is biggest: what would be freed with it counts, not itself alone.
    let names = Names::default();
    let dominators = Dominators::new(GraphInput {
        heap,
        names: &names,
        is_tool_file: &|_| false,
    })?;
    let top = dominators.top();
    for &id in top.iter().take(3) {
        println!(
            "big    {} {} retains {}",
            heap.address(id),
            heap.class_name(id),
            dominators.retained_size(id)
        );
    }

    // Who holds it: the shortest way from something with a name.
    let paths = Paths::new(heap, &names);
    if let Some(path) = top.first().and_then(|&id| paths.to(id)) {
        let steps = path.steps.iter().map(|(_, step)| step.object.as_str());
        let steps: Vec<_> = steps.collect();
        println!("held   by {}: {}", path.name, steps.join(" → "));
    }

    // What grew: what is in the later dump and was not in the earlier.
    let found = diff(&heaps, Identity::Auto)?;
    for group in found
        .groups(GroupBy::Site, &Filter::default())
        .iter()
        .take(3)
    {
        println!(
            "grew   {} by {} objects, {}",
            group.key, group.objects, group.bytes
        );
    }
    Ok(())
}
