//! Shortest paths: against a plain search on random graphs and real dumps,
//! and what they say on small dumps written by hand.

use proptest::prelude::*;
use rbleak_heap::trace::{HolderName, Parent, Paths, Reach};
use rbleak_heap::{Heap, Names, ObjectId, ObjectType, ReadOptions};
use rbleak_units::Address;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn read(text: &str) -> Heap {
    let text = std::io::Cursor::new(text.to_owned());
    Heap::read(text, "test", &ReadOptions::default()).expect("a dump")
}

fn names(text: &str) -> Names {
    Names::read(text.as_bytes()).expect("names")
}

/// When what an object refers to may be walked: 0 at once, 1 after all that
/// needs no thread, 2 after all that needs no inline cache.
fn delay(heap: &Heap, id: ObjectId) -> usize {
    match (heap.struct_name(id), heap.imemo_type(id)) {
        (Some("VM/thread" | "fiber" | "VM/fiber"), _) => 1,
        (_, Some("callcache" | "callinfo" | "constcache")) => 2,
        _ => 0,
    }
}

/// For each object in which round it is reached, and how many references
/// after the start of that round: level by level over sets, the obvious way.
fn plain_search(heap: &Heap) -> BTreeMap<ObjectId, (usize, usize)> {
    let mut found: BTreeMap<ObjectId, (usize, usize)> = BTreeMap::new();
    let below = |id: ObjectId| -> BTreeSet<ObjectId> {
        let mut below: BTreeSet<_> = heap.references(id).iter().copied().collect();
        below.extend(heap.class_id(id));
        below.extend(heap.superclass(id));
        if heap.struct_name(id) == Some("ObjectTracing/allocation_info_tracer") {
            below.clear();
        }
        below
    };
    let roots = |conservative: bool| -> BTreeSet<ObjectId> {
        heap.roots()
            .iter()
            .filter(|root| (&*root.name == "machine_context") == conservative)
            .flat_map(|root| root.references.iter().copied())
            .collect()
    };
    let mut walked: BTreeSet<ObjectId> = BTreeSet::new();
    // Roots, then threads, then caches; the machine stack, then both.
    for (round, allowed) in [0, 1, 2, 0, 2].into_iter().enumerate() {
        let mut level: BTreeSet<ObjectId> = match round {
            0 => roots(false),
            3 => roots(true),
            _ => {
                let now = |id: &ObjectId| delay(heap, *id) <= allowed && !walked.contains(id);
                let sources: Vec<_> = found.keys().copied().filter(now).collect();
                walked.extend(&sources);
                sources.into_iter().flat_map(below).collect()
            }
        };
        // What a root refers to is one step below it, like everything else.
        let mut steps = 1;
        while !level.is_empty() {
            level.retain(|id| !found.contains_key(id));
            found.extend(level.iter().map(|&id| (id, (round, steps))));
            level.retain(|&id| delay(heap, id) <= allowed);
            walked.extend(&level);
            level = level.into_iter().flat_map(below).collect();
            steps += 1;
        }
    }
    found
}

/// The same of a [`Reach`]: how far each object is from the last one above it
/// that an earlier round has reached.
fn assert_shortest(heap: &Heap) {
    let plain = plain_search(heap);
    let reach = Reach::new(heap, &Names::default());
    // What only lists of finalizers lead to comes last, and no root leads there.
    let (rooted, finalizers) = reach.order().split_at(plain.len());
    let begins = |id: &ObjectId| reach.parent(*id) == Parent::Finalizers;
    assert!(finalizers.first().is_none_or(begins));
    assert!(finalizers.iter().all(|id| !plain.contains_key(id)));
    let mut steps: BTreeMap<ObjectId, usize> = BTreeMap::new();
    for &id in rooted {
        let (round, expected) = plain[&id];
        let above = match reach.parent(id) {
            other @ (Parent::Unreached | Parent::Finalizers) => panic!("{other:?}, and rooted"),
            Parent::Root(index) => {
                assert!(heap.roots()[index].references.contains(&id));
                0
            }
            Parent::Object(parent) => {
                let refers = heap.references(parent).contains(&id)
                    || heap.class_id(parent) == Some(id)
                    || heap.superclass(parent) == Some(id);
                assert!(refers, "no reference from {parent:?} to {id:?}");
                if plain[&parent].0 < round {
                    0
                } else {
                    steps[&parent]
                }
            }
        };
        steps.insert(id, above + 1);
        assert_eq!(above + 1, expected, "{}", heap.address(id));
    }
}

#[test]
fn paths_in_the_dumps_of_every_ruby_are_as_short_as_can_be() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/dumps");
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        let path = fixtures.join(version).join("C.ndjson.zst");
        let heap = Heap::open(&path, &ReadOptions::default()).expect("a dump");
        assert_shortest(&heap);
        // Each path is one of references, and ends where it is to end.
        let none = Names::default();
        let paths = Paths::new(&heap, &none);
        let leaked = heap
            .ids()
            .filter(|&id| heap.site(id).is_some_and(|s| heap.site_info(s).line == 208));
        let leaked: Vec<ObjectId> = leaked.collect();
        for &id in &leaked {
            let path = paths.to(id).expect("held");
            assert_eq!(path.steps.last().expect("a step").0, id, "{version}");
        }
        let tree = paths.tree(leaked.iter().copied());
        let all: u64 = tree.rows().iter().map(|row| row.here).sum();
        assert_eq!(all + tree.unreached(), leaked.len() as u64, "{version}");
        assert!(
            tree.most_common().last().expect("one").here >= 60,
            "{version}"
        );
    }
}

const KINDS: [&str; 5] = [
    r#""type":"ARRAY""#,
    r#""type":"OBJECT""#,
    r#""type":"DATA", "struct":"VM/thread""#,
    r#""type":"IMEMO", "imemo_type":"callcache""#,
    r#""type":"CLASS", "name":"C""#,
];

proptest! {
    #[test]
    fn paths_in_any_graph_are_as_short_as_can_be(
        kinds in prop::collection::vec(0..KINDS.len(), 1..60),
        edges in prop::collection::vec((0usize..60, 0usize..60), 0..150),
        vm in prop::collection::vec(0usize..60, 0..3),
        stack in prop::collection::vec(0usize..60, 0..3),
    ) {
        let many = kinds.len();
        let address = |at: usize| format!("\"{:#x}\"", 0x1000 + at % many * 40);
        let list = |all: Vec<String>| all.join(", ");
        let mut text = String::new();
        for (name, root) in [("machine_context", &stack), ("vm", &vm)] {
            let all = list(root.iter().map(|&at| address(at)).collect());
            text += &format!("{{\"type\":\"ROOT\", \"root\":\"{name}\", \"references\":[{all}]}}\n");
        }
        for (at, &kind) in kinds.iter().enumerate() {
            let below = edges.iter().filter(|(from, _)| from % many == at);
            let all = list(below.map(|&(_, to)| address(to)).collect());
            text += &format!(
                "{{\"address\":{}, {}, \"references\":[{all}], \"memsize\":40}}\n",
                address(at),
                KINDS[kind],
            );
        }
        let heap = read(&text);
        assert_shortest(&heap);
        // One object at a time and all at once say the same.
        let none = Names::default();
        let paths = Paths::new(&heap, &none);
        let tree = paths.tree(heap.ids());
        let held = heap.ids().filter(|&id| paths.to(id).is_some()).count() as u64;
        let rows = tree.rows();
        prop_assert_eq!(held, rows.iter().map(|row| row.here).sum::<u64>());
        prop_assert_eq!(tree.unreached(), heap.len() as u64 - held);
        let tops: BTreeSet<_> = rows.iter().filter_map(|row| row.name.clone()).collect();
        let one_by_one = heap.ids().filter_map(|id| Some(paths.to(id)?.name));
        prop_assert_eq!(tops, one_by_one.collect());
    }
}

/// A constant with an object, a Hash, an Array in it, and two Visits there.
const DEEP: &str = r#"{"type":"ROOT", "root":"vm", "references":["0x1000"]}
{"address":"0x9000", "type":"SHAPE", "id":0, "parent_id":null, "depth":1, "shape_type":"ROOT", "edges":1, "memsize":32}
{"address":"0x9028", "type":"SHAPE", "id":1, "parent_id":0, "depth":2, "shape_type":"IVAR","edge_name":"@first", "edges":1, "memsize":32}
{"address":"0x9050", "type":"SHAPE", "id":2, "parent_id":1, "depth":3, "shape_type":"IVAR","edge_name":"@by_page", "edges":0, "memsize":32}
{"address":"0x9078", "type":"SHAPE", "id":3, "parent_id":0, "depth":2, "shape_type":"IVAR","edge_name":"mesg", "edges":0, "memsize":32}
{"address":"0x90a0", "type":"SHAPE", "id":4, "parent_id":3, "depth":2, "shape_type":"IVAR","edge_name":"@page", "edges":0, "memsize":32}
{"address":"0x1000", "type":"CLASS", "class":"0x1000", "name":"Tracker", "references":["0x2000", "0x1190"], "memsize":500}
{"address":"0x1028", "type":"CLASS", "class":"0x1000", "name":"Hash", "memsize":500}
{"address":"0x1050", "type":"CLASS", "class":"0x1000", "name":"Array", "memsize":500}
{"address":"0x1078", "type":"CLASS", "class":"0x1000", "name":"Visit", "memsize":500}
{"address":"0x1190", "type":"IMEMO", "imemo_type":"fields", "shape_id":1, "class":"0x1000", "references":["0x3100"], "memsize":40}
{"address":"0x2000", "type":"OBJECT", "shape_id":2, "class":"0x1000", "ivars":2, "references":["0x2100", "0x2050"], "memsize":40}
{"address":"0x2050", "type":"HASH", "class":"0x1028", "size":1, "references":["0x20a0"], "memsize":40}
{"address":"0x20a0", "type":"ARRAY", "class":"0x1050", "length":2, "references":["0x3000", "0x3028"], "memsize":40}
{"address":"0x2100", "type":"ARRAY", "class":"0x1050", "length":0, "memsize":40}
{"address":"0x3000", "type":"OBJECT", "shape_id":4, "class":"0x1078", "ivars":2, "references":["0x3200"], "memsize":40}
{"address":"0x3028", "type":"OBJECT", "shape_id":4, "class":"0x1078", "ivars":2, "references":["0x3300", "0x3400"], "memsize":40}
{"address":"0x3100", "type":"OBJECT", "class":"0x1078", "memsize":40}
{"address":"0x3200", "type":"ARRAY", "class":"0x1050", "length":0, "memsize":40}
{"address":"0x3300", "type":"ARRAY", "class":"0x1050", "length":0, "memsize":40}
{"address":"0x3400", "type":"ARRAY", "class":"0x1050", "length":0, "memsize":40}
{"address":"0x4000", "type":"OBJECT", "class":"0x1078", "memsize":40}
"#;
const INSTANCE: &str =
    r#"{"kind":"constant","module":"0x1000","name":"Tracker::INSTANCE","value":"0x2000"}"#;

fn words(paths: &Paths<'_>, heap: &Heap, address: u64) -> Vec<String> {
    let id = heap.find(Address(address)).expect("in the dump");
    let Some(path) = paths.to(id) else {
        return Vec::new();
    };
    let mut words = vec![path.name.to_string()];
    for (_, step) in path.steps {
        let edge = step.edge.map(|edge| format!("{edge} → "));
        words.push(edge.unwrap_or_default() + &step.object);
    }
    words
}

#[test]
fn shapes_name_what_positions_tell_for_sure() {
    let heap = read(DEEP);
    let names = names(INSTANCE);
    let paths = Paths::new(&heap, &names);
    let to_visit = [
        "Tracker::INSTANCE",
        "Tracker",
        "@by_page → Hash (1)",
        "Array (2)",
        "Visit",
    ];
    assert_eq!(words(&paths, &heap, 0x3000), to_visit);
    // Both variables refer to something: the second is @page.
    assert_eq!(words(&paths, &heap, 0x3400)[5], "@page → Array (0)");
    // The hidden one has no name.
    assert_eq!(words(&paths, &heap, 0x3300)[5], "Array (0)");
    // One of two has no reference, and nothing says which.
    assert_eq!(words(&paths, &heap, 0x3200)[5], "Array (0)");
    // A class keeps its own in `fields`.
    assert_eq!(words(&paths, &heap, 0x3100), ["Tracker@first", "Visit"]);
    // Nothing refers to it.
    assert!(words(&paths, &heap, 0x4000).is_empty());
}

#[test]
fn a_tree_says_how_many_share_a_path() {
    let heap = read(DEEP);
    let names = names(INSTANCE);
    let paths = Paths::new(&heap, &names);
    let visits = heap
        .ids()
        .filter(|&id| heap.object_type(id) == ObjectType::Object && heap.class_name(id) == "Visit");
    let tree = paths.tree(visits);
    assert_eq!((tree.paths(), tree.unreached()), (2, 1));
    let rows: Vec<(usize, String, u64, u64)> = tree
        .rows()
        .into_iter()
        .map(|row| (row.depth, row.object, row.objects, row.here))
        .collect();
    let row = |depth, object: &str, objects, here| (depth, object.to_owned(), objects, here);
    assert_eq!(
        rows,
        [
            row(0, "Tracker::INSTANCE", 2, 0),
            row(1, "Tracker", 2, 0),
            row(2, "Hash (1)", 2, 0),
            row(3, "Array (2)", 2, 0),
            row(4, "Visit × 2", 2, 2),
            row(0, "Tracker@first", 1, 1 - 1),
            row(1, "Visit", 1, 1),
        ]
    );
    let common = tree.most_common();
    assert_eq!(common.len(), 5);
    assert_eq!(
        common[0].name,
        Some(HolderName::Named("Tracker::INSTANCE".into()))
    );
    assert_eq!(common[4].here, 2);
}

#[test]
fn a_linked_list_of_a_hundred_thousand_is_one_path() {
    let node = |i: u64| {
        let next = format!("\"references\":[\"{:#x}\"]", 0x100_0000 + (i + 1) * 40);
        format!(
            "{{\"address\":\"{:#x}\", \"type\":\"OBJECT\", \"class\":\"0x1078\", {next}, \"memsize\":40}}\n",
            0x100_0000 + i * 40
        )
    };
    let list: String = (0..100_000).map(node).collect();
    let text = DEEP.replace("\"0x3000\", \"0x3028\"", "\"0x1000000\"") + &list;
    let heap = read(&text);
    let names = names(INSTANCE);
    let paths = Paths::new(&heap, &names);
    let nodes = heap.ids().filter(|&id| heap.address(id).0 >= 0x100_0000);
    let tree = paths.tree(nodes);
    assert_eq!(tree.paths(), 1);
    let common = tree.most_common();
    let last = common.last().expect("one");
    assert_eq!(
        (last.here, &*last.object),
        (100_000, "Visit × 100 000, nested")
    );
    let end = heap
        .find(Address(0x100_0000 + 99_999 * 40))
        .expect("the last");
    assert_eq!(paths.to(end).expect("held").steps.len(), 100_003);
}

#[test]
fn what_only_a_thread_holds_is_a_local_of_it() {
    let text = DEEP.replace("[\"0x1000\"]}", "[\"0x1000\", \"0x5000\"]}")
        + r#"{"address":"0x5000", "type":"DATA", "class":"0x1000", "struct":"VM/thread", "references":["0x4000", "0x5028"], "memsize":40}
{"address":"0x5028", "type":"DATA", "class":"0x1000", "struct":"fiber", "references":["0x5050"], "memsize":40}
{"address":"0x5050", "type":"ARRAY", "class":"0x1050", "length":0, "memsize":40}
"#;
    let heap = read(&text);
    let names = names(r#"{"kind":"thread","object":"0x5000","name":"loop","main":false}"#);
    let paths = Paths::new(&heap, &names);
    let local = "a local of the thread loop";
    assert_eq!(words(&paths, &heap, 0x4000), [local, "Visit"]);
    let in_fiber = words(&paths, &heap, 0x5050);
    assert_eq!(in_fiber, [local, "Tracker", "a local → Array (0)"]);
    assert_eq!(words(&paths, &heap, 0x5000), ["the VM", "Thread loop"]);
}

/// A list through Arrays: no two steps in a row are the same.
#[test]
fn a_list_of_two_kinds_is_walked_in_no_time() {
    let node = |i: u64| {
        let kind = match i % 2 {
            0 => r#""type":"ARRAY", "class":"0x1050", "length":1"#,
            _ => r#""type":"OBJECT", "class":"0x1078""#,
        };
        let (at, next) = (0x100_0000 + i * 40, 0x100_0000 + (i + 1) * 40);
        format!(
            "{{\"address\":\"{at:#x}\", {kind}, \"references\":[\"{next:#x}\"], \"memsize\":40}}\n"
        )
    };
    let list: String = (0..100_000).map(node).collect();
    let text = DEEP.replace("\"0x3000\", \"0x3028\"", "\"0x1000000\"") + &list;
    let heap = read(&text);
    let names = names(INSTANCE);
    let paths = Paths::new(&heap, &names);
    let nodes = heap.ids().filter(|&id| heap.class_name(id) == "Visit");
    let tree = paths.tree(nodes);
    assert_eq!(tree.most_common().last().expect("one").here, 1);
    assert!(tree.rows().len() > 90_000);
}

/// Each entry of a large Array is asked for the name of its reference: nothing
/// may search all the others for it.
#[test]
fn an_array_of_two_hundred_thousand_takes_no_quadratic_time() {
    let entries: Vec<u64> = (0..200_000).map(|i| 0x100_0000 + i * 40).collect();
    let list: Vec<String> = entries.iter().map(|a| format!("\"{a:#x}\"")).collect();
    let mut text = format!(
        r#"{{"type":"ROOT", "root":"vm", "references":["0x2000"]}}
{{"address":"0x1000", "type":"CLASS", "class":"0x1000", "name":"Array", "memsize":500}}
{{"address":"0x1028", "type":"CLASS", "class":"0x1000", "name":"String", "memsize":500}}
{{"type":"SHAPE", "address":"0x1", "id":0, "parent_id":0, "depth":0, "shape_type":"ROOT", "edges":0, "memsize":1}}
{{"address":"0x2000", "type":"ARRAY", "class":"0x1000", "length":{}, "references":[{}], "memsize":40}}
"#,
        entries.len(),
        list.join(", ")
    );
    for address in &entries {
        text.push_str(&format!(
            "{{\"address\":\"{address:#x}\", \"type\":\"STRING\", \"class\":\"0x1028\", \"bytesize\":1, \"memsize\":40}}\n"
        ));
    }
    let heap = rbleak_heap::Heap::read(
        std::io::Cursor::new(text),
        "test",
        &rbleak_heap::ReadOptions::default(),
    )
    .expect("a dump");
    let names = rbleak_heap::Names::default();
    let paths = rbleak_heap::trace::Paths::new(&heap, &names);
    let strings = heap.ids().filter(|&id| heap.class_name(id) == "String");
    // Two hundred thousand squared would take minutes.
    let tree = paths.tree(strings);
    assert_eq!(tree.most_common().last().map(|row| row.here), Some(200_000));
}

/// Dumps of 3.4 and later have no root for finalizers; to 3.3 there is one.
#[test]
fn finalizers_are_told_on_every_ruby() {
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/dumps");
        let file = fixtures.join(version).join("zombie.ndjson.zst");
        let heap = Heap::open(&file, &ReadOptions::default()).expect("a dump");
        let names = Names::default();
        let paths = Paths::new(&heap, &names);
        let procs: Vec<_> = heap
            .ids()
            .filter(|&id| heap.struct_name(id) == Some("proc"))
            .collect();
        let expected = match version < "3.4" {
            true => "a finalizer",
            false => "probably a finalizer",
        };
        let held = procs.iter().filter(|&&id| {
            paths
                .to(id)
                .is_some_and(|path| path.name.to_string() == expected)
        });
        let held = held.count();
        // gen.rb gives 400 objects a finalizer each.
        assert!(held >= 400, "{version}: {held} of {}", procs.len());
    }
}
