//! Dominators of heaps: what counts as an edge, what objects retain.
#![allow(clippy::unwrap_used)]

mod support;

use petgraph::algo::dominators::simple_fast;
use petgraph::graph::{DiGraph, NodeIndex};
use rbleak_heap::graph::{Credit, Dominator, Dominators, GraphInput, Layer, Places};
use rbleak_heap::{GroupBy, Heap, Identity, Names, ObjectId, diff};
use rbleak_units::{Address, Bytes, Objects};
use std::collections::HashSet;

fn dominators<'a>(heap: &'a Heap, names: &'a Names) -> Dominators<'a> {
    let input = GraphInput {
        heap,
        names,
        is_tool_file: &|_| false,
    };
    Dominators::new(input).unwrap()
}

fn at(heap: &Heap, address: u64) -> ObjectId {
    heap.find(Address(address)).unwrap()
}

/// An object of ten bytes.
fn object(address: u64, class: u64, references: &[u64]) -> String {
    line(
        address,
        "OBJECT",
        &format!(r#""class":"{class:#x}", "#),
        references,
    )
}

fn line(address: u64, kind: &str, fields: &str, references: &[u64]) -> String {
    let references: Vec<_> = references.iter().map(|r| format!("\"{r:#x}\"")).collect();
    format!(
        r#"{{"address":"{address:#x}", "type":"{kind}", {fields}"references":[{}], "memsize":10, "flags":{{}}}}
"#,
        references.join(", ")
    )
}

fn root(name: &str, references: &[u64]) -> String {
    let references: Vec<_> = references.iter().map(|r| format!("\"{r:#x}\"")).collect();
    format!(
        r#"{{"type":"ROOT", "root":"{name}", "references":[{}]}}
"#,
        references.join(", ")
    )
}

fn class(address: u64, name: &str, references: &[u64]) -> String {
    line(
        address,
        "CLASS",
        &format!(r#""name":"{name}", "#),
        references,
    )
}

const KINDS: [&str; 3] = ["A", "C", "notrace"];

/// The graph again, by the rules and in the most obvious way.
fn plainly(found: &Dominators<'_>) -> DiGraph<(), ()> {
    let heap = found.heap();
    let first = heap.roots().len() + 1;
    let mut graph = DiGraph::new();
    for _ in 0..first + heap.len() {
        graph.add_node(());
    }
    let mut edge = |a: usize, b: usize| {
        graph.add_edge(NodeIndex::new(a), NodeIndex::new(b), ());
    };
    let mut part_of: Vec<usize> = (0..heap.len()).collect();
    for id in heap.ids().filter(|&id| found.is_part(id)) {
        part_of[id.index()] = heap.class_id(id).unwrap().index();
    }
    for (index, root) in heap.roots().iter().enumerate() {
        edge(0, index + 1);
        let layer = match root.name.as_str() {
            "machine_context" => Layer::MachineStack,
            _ => Layer::Program,
        };
        for &id in &root.references {
            if found.layer(id) == layer {
                edge(index + 1, first + part_of[id.index()]);
            }
        }
    }
    for id in heap.ids().filter(|&id| found.layer(id) != Layer::Unreached) {
        let at = match (heap.struct_name(id), heap.imemo_type(id)) {
            (Some("ObjectTracing/allocation_info_tracer"), _) => Layer::Measuring,
            (Some("VM/thread" | "fiber" | "VM/fiber"), _) => Layer::Threads,
            (_, Some("callcache" | "callinfo" | "constcache")) => Layer::Caches,
            _ => Layer::Program,
        };
        let layer = found.layer(id).max(at);
        let above = [heap.class_id(id), heap.superclass(id)];
        for target in above
            .into_iter()
            .flatten()
            .chain(heap.references(id).iter().copied())
        {
            if found.layer(target) == layer {
                edge(first + part_of[id.index()], first + part_of[target.index()]);
            }
        }
    }
    graph
}

#[test]
fn fixtures_agree_with_petgraph() {
    let names = Names::default();
    for version in support::VERSIONS {
        for kind in KINDS {
            let heap = support::heap(version, kind);
            let found = dominators(&heap, &names);
            let first = heap.roots().len() + 1;
            let theirs = simple_fast(&plainly(&found), NodeIndex::new(0));
            for id in heap.ids().filter(|&id| !found.is_part(id)) {
                let expected = theirs
                    .immediate_dominator(NodeIndex::new(first + id.index()))
                    .map(|node| match node.index() {
                        0 => Dominator::Roots,
                        node if node < first => Dominator::Root(node - 1),
                        node => Dominator::Object(ObjectId::from_index(node - first)),
                    });
                assert_eq!(found.immediate_dominator(id), expected, "{version} {kind}");
            }
        }
    }
}

#[test]
fn nearly_everything_in_a_dump_after_a_collection_is_reached() {
    let names = Names::default();
    for version in support::VERSIONS {
        let heap = support::heap(version, "A");
        let found = dominators(&heap, &names);
        let unreached = found.unreached();
        let (all, _) = heap.live_totals();
        let share = unreached.all.objects.0 as f64 / all.0 as f64;
        let counted: u64 = found.counts().iter().map(|(_, c)| c.objects.0).sum();
        assert_eq!(counted, all.0, "{version}: each object is in one layer");
        assert!(share < 0.001, "{version}: {unreached:?}");
        assert!(!unreached.is_torn());
    }
}

#[test]
fn no_total_exceeds_the_heap_and_all_objects_are_in_one() {
    let names = Names::default();
    for version in support::VERSIONS {
        let heap = support::heap(version, "C");
        let found = dominators(&heap, &names);
        let whole = found.retained_by(Dominator::Roots);
        let top: Bytes = found
            .top()
            .into_iter()
            .map(|id| found.retained_size(id))
            .sum();
        assert!(top <= whole, "{version}");
        for by in [GroupBy::Class, GroupBy::Site, GroupBy::Gem] {
            let totals = found.totals(by);
            assert!(totals.iter().all(|total| total.retained <= whole));
            assert!(totals.iter().all(|total| total.retained >= total.own.bytes));
            let own: Bytes = totals.iter().map(|total| total.own.bytes).sum();
            assert_eq!(own, whole, "{version} {by:?}: untraced objects count, too");
        }
    }
}

/// Leaker's groups are new between A and C, held by one array.
#[test]
fn what_is_new_is_credited_to_the_array_that_leaks() {
    let names = Names::default();
    for version in support::VERSIONS {
        let heaps = support::heaps(version, &["A", "C"]);
        let survivors = diff(&heaps, Identity::Auto).unwrap();
        let new: HashSet<ObjectId> = survivors.survivors().iter().map(|s| s.id).collect();
        let found = dominators(&heaps[1], &names);
        let suspects = found.suspects(|id| new.contains(&id));
        let first = suspects[0];
        let Dominator::Object(point) = first.point else {
            panic!("{version}: {first:?}");
        };
        assert_eq!(heaps[1].class_name(point), "Array", "{version}");
        assert_eq!(first.credit, Credit::Dominator, "{version}");
        assert_eq!(first.entries, 60, "{version}");
    }
}

#[test]
fn classes_are_held_by_their_instances_and_subclasses() {
    // 0x20 is a class that nothing but its instance holds, 0x10 its superclass.
    let text = root("vm", &[0x30])
        + &class(0x10, "Parent", &[])
        + r#"{"address":"0x20", "type":"CLASS", "superclass":"0x10", "name":"Child", "memsize":10, "flags":{}}
"# + &object(0x30, 0x20, &[]);
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    assert_eq!(found.unreached().all.objects, Objects(0));
    assert_eq!(found.retained_size(at(&heap, 0x30)), Bytes(30));
}

#[test]
fn the_machine_stack_holds_only_what_nothing_else_holds() {
    let text = root("machine_context", &[0x40, 0x50])
        + &root("vm", &[0x10])
        + &class(0x10, "Audit", &[0x40])
        + &line(0x40, "ARRAY", "", &[0x48])
        + &object(0x48, 0x10, &[])
        // On the stack only, and it refers to what the class owns.
        + &line(0x50, "ARRAY", "", &[0x48, 0x58])
        + &object(0x58, 0x10, &[]);
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    let above = |address| found.immediate_dominator(at(&heap, address)).unwrap();
    assert_eq!(above(0x40), Dominator::Object(at(&heap, 0x10)));
    assert_eq!(above(0x48), Dominator::Object(at(&heap, 0x40)));
    assert_eq!(above(0x50), Dominator::Root(0));
    assert_eq!(found.layer(at(&heap, 0x58)), Layer::MachineStack);
    assert_eq!(found.retained_size(at(&heap, 0x50)), Bytes(20));
}

#[test]
fn an_inline_cache_takes_nothing_from_a_constant() {
    let text = root("vm", &[0x10, 0x60])
        + &class(0x10, "Leaky", &[0x40])
        + &line(0x40, "HASH", "", &[0x48])
        + &line(0x48, "ARRAY", "", &[])
        + &line(0x60, "IMEMO", r#""imemo_type":"constcache", "#, &[0x40]);
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    assert_eq!(found.retained_size(at(&heap, 0x10)), Bytes(30));
    let places = Places::new(&found);
    let place = places.place(Dominator::Object(at(&heap, 0x40)));
    assert_eq!(place.name, "Leaky (class)");
}

#[test]
fn the_tracer_s_table_is_not_the_app_s() {
    let text = root("vm", &[0x10, 0x60])
        + &class(0x10, "Leaky", &[0x40])
        + &line(0x40, "HASH", "", &[])
        + &line(
            0x60,
            "DATA",
            r#""struct":"ObjectTracing/allocation_info_tracer", "#,
            &[0x40, 0x68],
        )
        + &line(0x68, "STRING", "", &[]);
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    assert_eq!(found.retained_by(Dominator::Roots), Bytes(20));
    assert_eq!(found.tool_count().bytes, Bytes(20));
    assert_eq!(found.retained_size(at(&heap, 0x10)), Bytes(20));
    assert_eq!(found.unreached().all.objects, Objects(0));
}

#[test]
fn nested_objects_of_a_class_count_once() {
    let text = root("vm", &[0x10, 0x40])
        + &class(0x10, "Node", &[])
        + &object(0x40, 0x10, &[0x48])
        + &object(0x48, 0x10, &[0x50])
        + &object(0x50, 0x10, &[]);
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    let totals = found.totals(GroupBy::Class);
    let node = totals.iter().find(|t| t.key.class == Some("Node")).unwrap();
    assert_eq!((node.own.objects, node.retained), (Objects(3), Bytes(30)));
}

#[test]
fn fields_are_part_of_their_owner_unless_it_outgrew_them() {
    let fields = r#""class":"0x40", "imemo_type":"fields", "#;
    let text = root("vm", &[0x10, 0x40])
        + &class(0x10, "Session", &[])
        + &object(0x40, 0x10, &[0x48])
        + &line(0x48, "IMEMO", fields, &[0x60])
        + &line(0x50, "IMEMO", fields, &[0x68])
        + &line(0x60, "STRING", "", &[])
        + &line(0x68, "STRING", "", &[]);
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    let (owner, part) = (at(&heap, 0x40), at(&heap, 0x48));
    assert_eq!(found.own_size(owner), Bytes(20));
    assert_eq!(found.retained_size(owner), Bytes(30));
    assert_eq!(
        found.immediate_dominator(part),
        Some(Dominator::Object(owner))
    );
    assert_eq!(
        found.immediate_dominator(at(&heap, 0x60)),
        Some(Dominator::Object(owner))
    );
    assert_eq!(found.unreached().all.objects, Objects(2));
    assert_eq!(found.unreached().heads, Objects(1));
}

#[test]
fn free_and_dead_slots_hold_nothing_and_are_no_garbage() {
    let text = root("vm", &[0x10, 0x50])
        + &class(0x10, "A", &[0x48])
        + r#"{"address":"0x48", "type":"NONE", "class":"0x60", "flags":{}}
{"address":"0x50", "type":"ZOMBIE", "memsize":40, "flags":{}}
"# + &line(0x60, "STRING", "", &[]);
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    assert_eq!(found.retained_by(Dominator::Roots), Bytes(10));
    assert_eq!(found.unreached().all.objects, Objects(1));
    assert_eq!(found.immediate_dominator(at(&heap, 0x48)), None);
}

#[test]
fn dangling_references_tell_a_torn_dump() {
    let text = root("vm", &[0x40])
        + &line(0x40, "ARRAY", "", &[0x48, 0x99])
        + &line(0x48, "ARRAY", "", &[]);
    let heap = support::read(text);
    let names = Names::default();
    assert!(dominators(&heap, &names).unreached().is_torn());
}

#[test]
fn a_dump_without_roots_reaches_nothing_and_does_not_fail() {
    let heap = support::read(line(0x40, "ARRAY", "", &[0x40]));
    let names = Names::default();
    let found = dominators(&heap, &names);
    assert_eq!(found.retained_by(Dominator::Roots), Bytes(0));
    assert!(found.top().is_empty() && found.totals(GroupBy::Class).is_empty());
    assert_eq!(found.immediate_dominator(at(&heap, 0x40)), None);
}

#[test]
fn the_accumulation_point_is_where_much_comes_together() {
    let entries: Vec<u64> = (0..100).map(|n| 0x1000 + n * 8).collect();
    let mut text = root("vm", &[0x10])
        + &class(0x10, "Leaky", &[0x40])
        + &line(0x40, "HASH", "", &[0x48])
        + &line(0x48, "ARRAY", "", &entries);
    for &entry in &entries {
        text += &line(entry, "STRING", "", &[]);
    }
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    let point = found.accumulation_point(at(&heap, 0x10));
    assert_eq!(point, Some(at(&heap, 0x48)));
    assert_eq!(found.accumulation_point(at(&heap, 0x1000)), None);
}

#[test]
fn a_list_comes_together_at_its_head() {
    let mut text =
        root("vm", &[0x10]) + &class(0x10, "Queue", &[0x1000]) + &class(0x18, "Node", &[]);
    for n in 0..1000_u64 {
        let next = [0x1000 + (n + 1) * 8];
        text += &object(0x1000 + n * 8, 0x18, if n < 999 { &next } else { &[] });
    }
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    let point = found.accumulation_point(at(&heap, 0x10));
    assert_eq!(point, Some(at(&heap, 0x1000)));
}

/// Two owners: only the roots dominate what is new, and the way to it tells.
#[test]
fn what_two_things_hold_is_credited_along_a_way() {
    let text = root("vm", &[0x10, 0x18])
        + &class(0x10, "Cache", &[0x40])
        + &class(0x18, "Index", &[0x48])
        + &line(0x40, "ARRAY", "", &[0x60])
        + &line(0x48, "ARRAY", "", &[0x60])
        + &line(0x60, "ARRAY", "", &[0x68])
        + &line(0x68, "STRING", "", &[]);
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    let new = [at(&heap, 0x60), at(&heap, 0x68)];
    let suspects = found.suspects(|id| new.contains(&id));
    assert_eq!(suspects.len(), 1);
    assert_eq!(suspects[0].credit, Credit::Way);
    assert_eq!(suspects[0].point, Dominator::Object(at(&heap, 0x40)));
    assert_eq!(
        (suspects[0].new.objects, suspects[0].entries),
        (Objects(2), 1)
    );
}

/// Each climb from the end of a list would be as long as the list.
#[test]
fn the_end_of_a_long_list_has_a_name_too() {
    let length = 100_000_u64;
    let mut text =
        root("vm", &[0x10]) + &class(0x10, "Queue", &[0x1000]) + &class(0x18, "Node", &[]);
    for n in 0..length {
        let next = [0x1000 + (n + 1) * 8];
        let last = n == length - 1;
        text += &object(0x1000 + n * 8, 0x18, if last { &[] } else { &next });
    }
    let heap = support::read(text);
    let names = Names::default();
    let found = dominators(&heap, &names);
    let places = Places::new(&found);
    for n in 0..length {
        let id = at(&heap, 0x1000 + n * 8);
        let place = places.place(Dominator::Object(id));
        assert_eq!(place.name, "Queue (class)");
        assert!((1..40).contains(&place.steps.len()));
    }
}
