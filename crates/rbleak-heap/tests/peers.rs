//! What other tools get wrong about heap dumps, one test each. Where the
//! answer is tested with what it belongs to, that is: the machine stack
//! (`graph::the_machine_stack_holds_only_what_nothing_else_holds`,
//! `holders::the_machine_stack_is_believed_last`), nested objects of a class
//! (`graph::nested_objects_of_a_class_count_once`), the table of the allocation
//! tracer (`graph::the_tracer_s_table_is_not_the_app_s`), free slots
//! (`graph::free_and_dead_slots_hold_nothing_and_are_no_garbage`).

mod support;

use rbleak_heap::graph::{Dominator, Dominators, GraphInput};
use rbleak_heap::summary::Summary;
use rbleak_heap::trace::Paths;
use rbleak_heap::{GroupBy, Heap, Names};
use rbleak_units::{Address, Bytes};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

fn dominators<'a>(heap: &'a Heap, names: &'a Names) -> Dominators<'a> {
    Dominators::new(GraphInput {
        heap,
        names,
        is_tool_file: &|_| false,
    })
    .expect("references were read")
}

/// `references` leaves out an object's class, and what a record of Ruby's to
/// 3.1 has in its place.
#[test]
fn a_class_is_held_by_its_instances_and_a_record_by_its_word() {
    let text = r#"{"type":"ROOT", "root":"vm", "references":["0x40", "0x48"]}
{"address":"0x10", "type":"CLASS", "name":"Anonymous", "superclass":"0x18", "memsize":10}
{"address":"0x18", "type":"CLASS", "name":"Above", "memsize":10}
{"address":"0x40", "type":"OBJECT", "class":"0x10", "memsize":10}
{"address":"0x48", "type":"IMEMO", "class":"0x60", "imemo_type":"iseq", "memsize":10}
{"address":"0x60", "type":"STRING", "memsize":10}
"#;
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    assert_eq!(found.unreached().all.objects.0, 0);
    assert_eq!(found.retained_by(Dominator::Roots), Bytes(50));
}

/// On real dumps: hundreds of objects are held by nothing but that.
#[test]
fn class_edges_make_the_difference_on_every_ruby() {
    for version in support::VERSIONS {
        let heap = support::heap(version, "A");
        let names = Names::default();
        let found = dominators(&heap, &names);
        let with = found.unreached().all.objects.0;
        let without = unreached_by_references_alone(&heap);
        assert!(
            with < 50 && without > 10 * (with + 1),
            "{version}: {with}, {without}"
        );
    }
}

fn unreached_by_references_alone(heap: &Heap) -> u64 {
    let mut is_seen = vec![false; heap.len()];
    let mut waiting: Vec<_> = heap
        .roots()
        .iter()
        .flat_map(|root| root.references.iter().copied())
        .collect();
    while let Some(id) = waiting.pop() {
        if !std::mem::replace(&mut is_seen[id.index()], true) {
            waiting.extend_from_slice(heap.references(id));
        }
    }
    let live = heap.ids().filter(|&id| heap.is_live(id));
    live.filter(|id| !is_seen[id.index()]).count() as u64
}

/// Objects without an allocation site are most of a heap, and count.
#[test]
fn untraced_objects_are_in_every_total() {
    for version in support::VERSIONS {
        let heap = support::heap(version, "C");
        let summary = Summary::new(&heap);
        let (objects, bytes) = heap.live_totals();
        let parts = summary.by(GroupBy::Site);
        let untraced = heap
            .ids()
            .filter(|&id| heap.is_live(id) && heap.site(id).is_none())
            .count();
        assert!(untraced > 0, "{version}");
        let counted: u64 = parts.iter().map(|part| part.count.objects.0).sum();
        let sum: Bytes = parts.iter().map(|part| part.count.bytes).sum();
        assert_eq!((counted, sum), (objects.0, bytes), "{version}");
    }
}

/// A bad line, a byte that is no UTF-8, a reference to nothing and a line of
/// eleven megabytes end no analysis, and cost nothing but themselves.
#[test]
fn a_bad_line_a_bad_byte_a_dangling_reference_and_a_long_line_end_nothing() {
    let long: String = (0..600_000)
        .map(|n| format!(", \"{:#x}\"", 0x1000 + n % 7 * 8))
        .collect();
    assert!(long.len() > 5_000_000);
    let mut text: Vec<u8> = format!(
        r#"{{"type":"ROOT", "root":"vm", "references":["0x40"]}}
{{"address":"0x40", "type":"ARRAY", "length":1, "references":["0x48", "0x9990"{long}{long}], "memsize":10}}
{{"address":"0x44, "type":"WRONG
"#
    )
    .into_bytes();
    text.extend_from_slice(b"{\"address\":\"0x48\", \"type\":\"STRING\", \"value\":\"a\xff\xfeb\", \"file\":\"\xff.rb\", \"line\":3, \"generation\":4, \"memsize\":10}\n");
    for n in 0..7 {
        text.extend_from_slice(
            format!(
                "{{\"address\":\"{:#x}\", \"type\":\"STRING\", \"memsize\":10}}\n",
                0x1000 + n * 8
            )
            .as_bytes(),
        );
    }
    let heap = support::read(text);
    assert_eq!(heap.issues().skipped(), 1);
    let names = Names::default();
    let found = dominators(&heap, &names);
    assert_eq!(found.retained_by(Dominator::Roots), Bytes(90));
    let id = heap.find(Address(0x48)).expect("the String");
    assert_eq!(heap.site_info(heap.site(id).expect("a site")).line, 3);
    let path = Paths::new(&heap, &names).to(id).expect("held");
    assert_eq!(path.steps.len(), 2);
}

/// Neither recursion nor climbing all dominators: minutes, or no stack left.
#[test]
fn a_list_of_three_hundred_thousand_takes_no_time_and_no_stack() {
    const NODES: u64 = 300_000;
    let mut text =
        String::from("{\"type\":\"ROOT\", \"root\":\"vm\", \"references\":[\"0x1000\"]}\n");
    for n in 0..NODES {
        let at = 0x1000 + n * 40;
        let _ = writeln!(
            text,
            "{{\"address\":\"{at:#x}\", \"type\":\"ARRAY\", \"length\":1, \"references\":[\"{:#x}\"], \"memsize\":40}}",
            at + 40
        );
    }
    let heap = support::read(text);
    let names = Names::default();
    let start = Instant::now();
    let found = dominators(&heap, &names);
    let last = heap
        .find(Address(0x1000 + (NODES - 1) * 40))
        .expect("the end");
    let paths = Paths::new(&heap, &names);
    assert_eq!(paths.to(last).expect("held").steps.len() as u64, NODES);
    let first = heap.find(Address(0x1000)).expect("the head");
    assert_eq!(found.retained_size(first), Bytes(40 * NODES));
    assert!(
        start.elapsed() < Duration::from_secs(120),
        "{:?}",
        start.elapsed()
    );
}
