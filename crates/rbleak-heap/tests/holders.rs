//! Survivors and what holds them: on small dumps written by hand, and on real
//! ones of every Ruby.

use rbleak_heap::trace::{Holder, HolderName, TraceInput, growers, holders, tool_objects};
use rbleak_heap::{Heap, Identity, Names, ReadOptions, diff};
use std::path::Path;

fn first_seen(heaps: &[Heap]) -> Vec<u8> {
    let found = diff(heaps, Identity::Auto).expect("two dumps or more");
    let mut seen = vec![0; found.last().len()];
    for survivor in found.survivors() {
        seen[survivor.id.index()] = survivor.first_seen as u8;
    }
    for id in found.newest() {
        seen[id.index()] = (heaps.len() - 1) as u8;
    }
    seen
}

fn trace(heaps: &[Heap], names: &Names) -> Vec<Holder> {
    holders(&TraceInput {
        heaps,
        first_seen: &first_seen(heaps),
        names,
        is_tool_file: &|file| file.starts_with("/agent/"),
    })
}

/// A heap with a root, the class Foo, an Array that Foo holds, and what a test
/// puts in.
fn heap(array: &[u64], more: &str) -> Heap {
    let list: Vec<String> = array.iter().map(|a| format!("\"{a:#x}\"")).collect();
    let text = format!(
        r#"{{"type":"ROOT", "root":"machine_context", "references":["0x5000"]}}
{{"type":"ROOT", "root":"vm", "references":["0x1000"]}}
{{"address":"0x1000", "type":"CLASS", "class":"0x1000", "name":"Foo", "references":["0x2000"], "memsize":500}}
{{"address":"0x1028", "type":"CLASS", "class":"0x1000", "name":"String", "memsize":500}}
{{"address":"0x1050", "type":"CLASS", "class":"0x1000", "name":"Array", "memsize":500}}
{{"address":"0x2000", "type":"ARRAY", "class":"0x1050", "length":{}, "references":[{}], "memsize":40}}
{more}"#,
        array.len(),
        list.join(", ")
    );
    Heap::read(std::io::Cursor::new(text), "test", &ReadOptions::default()).expect("a dump")
}

fn string(address: u64, file: &str, generation: u32) -> String {
    format!(
        r#"{{"address":"{address:#x}", "type":"STRING", "class":"0x1028", "bytesize":3, "file":"{file}", "line":7, "generation":{generation}, "memsize":40}}
"#
    )
}

fn names(text: &str) -> Names {
    Names::read(text.as_bytes()).expect("names")
}

const STORE: &str = r#"{"kind":"constant","module":"0x1000","name":"Foo::STORE","value":"0x2000"}"#;

#[test]
fn survivors_are_held_by_the_constant_whose_array_they_are_in() {
    let heaps = [
        heap(&[], ""),
        heap(&[0x3000], &string(0x3000, "/app/a.rb", 5)),
        heap(
            &[0x3000, 0x3028],
            &(string(0x3000, "/app/a.rb", 5) + &string(0x3028, "/app/a.rb", 6)),
        ),
    ];
    let found = trace(&heaps, &names(STORE));
    assert_eq!(found.len(), 1, "{found:?}");
    let holder = &found[0];
    assert_eq!(holder.name, HolderName::Named("Foo::STORE".into()));
    assert_eq!(holder.born, [(0, 0), (1, 40), (1, 40)]);
    assert_eq!(holder.lengths, [Some(0), Some(1), Some(2)]);
    let path: Vec<&str> = holder
        .path
        .iter()
        .map(|step| step.object.as_str())
        .collect();
    assert_eq!(path, ["Array (2)", "String"]);
    assert_eq!(holder.sites.len(), 1);
    assert_eq!(holder.sites[0].class, "String");
}

/// An Array at each of `lists`, and Strings in it.
fn lists(lists: &[(u64, &[u64])]) -> String {
    let mut text = String::new();
    for (at, strings) in lists {
        let list: Vec<String> = strings.iter().map(|a| format!("\"{a:#x}\"")).collect();
        text += &format!(
            "{{\"address\":\"{at:#x}\", \"type\":\"ARRAY\", \"class\":\"0x1050\", \"length\":{}, \"references\":[{}], \"memsize\":40}}\n",
            strings.len(),
            list.join(", ")
        );
    }
    text
}

#[test]
fn arrays_of_different_lengths_in_one_array_are_one_holder() {
    let (one, two) = (0x6000, 0x6028);
    let born = |addresses: &[u64], generation| -> String {
        let all = addresses.iter();
        all.map(|&at| string(at, "/app/a.rb", generation)).collect()
    };
    let (first, later) = ([0x3000, 0x3028, 0x3050], [0x3078, 0x30a0]);
    let heaps = [
        heap(&[one, two], &lists(&[(one, &[]), (two, &[])])),
        heap(
            &[one, two],
            &(born(&first, 5) + &lists(&[(one, &first[..1]), (two, &first[1..])])),
        ),
        heap(
            &[one, two],
            &(born(&first, 5)
                + &born(&later, 6)
                + &lists(&[(one, &[0x3000, 0x3078]), (two, &[0x3028, 0x3050, 0x30a0])])),
        ),
    ];
    let found = trace(&heaps, &names(STORE));
    assert_eq!(found.len(), 1, "{found:#?}");
    let holder = &found[0];
    assert_eq!(holder.objects.0, 5);
    assert_eq!((holder.accumulators.len(), holder.paths), (2, 1));
    assert_eq!(holder.born, [(0, 0), (3, 120), (2, 80)]);
    assert_eq!(holder.lengths, [Some(0), Some(3), Some(5)]);
    let path: Vec<&str> = holder.path.iter().map(|s| s.object.as_str()).collect();
    assert_eq!(path, ["Array (2)", "Array × 2", "String"]);
}

#[test]
fn a_hundred_thousand_arrays_that_each_take_one_in_are_one_holder_in_no_time() {
    const MANY: u64 = 100_000;
    let arrays: Vec<u64> = (0..MANY).map(|n| 0x100_0000 + n * 40).collect();
    let strings: Vec<u64> = (0..MANY).map(|n| 0x1000_0000 + n * 40).collect();
    let empty: Vec<(u64, &[u64])> = arrays.iter().map(|&at| (at, &[][..])).collect();
    let full = arrays.iter().zip(strings.chunks(1));
    let full: Vec<(u64, &[u64])> = full.map(|(&at, strings)| (at, strings)).collect();
    let born: String = strings
        .iter()
        .map(|&at| string(at, "/app/a.rb", 5))
        .collect();
    let heaps = [
        heap(&arrays, &lists(&empty)),
        heap(&arrays, &(lists(&full) + &born)),
    ];
    let start = std::time::Instant::now();
    let found = trace(&heaps, &names(STORE));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].objects.0, MANY);
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
}

#[test]
fn two_variables_of_a_class_are_two_holders_even_without_names() {
    // The class Foo holds a second Array; nothing says what either is called.
    let more = lists(&[(0x6000, &[0x3028])]);
    let text = |heap: &str| {
        heap.replace(
            "\"references\":[\"0x2000\"]",
            "\"references\":[\"0x2000\", \"0x6000\"]",
        )
    };
    let read = |array: &[u64], more: &str| {
        let list: Vec<String> = array.iter().map(|a| format!("\"{a:#x}\"")).collect();
        let all = format!(
            r#"{{"type":"ROOT", "root":"vm", "references":["0x1000"]}}
{{"address":"0x1000", "type":"CLASS", "class":"0x1000", "name":"Foo", "references":["0x2000"], "memsize":500}}
{{"address":"0x1028", "type":"CLASS", "class":"0x1000", "name":"String", "memsize":500}}
{{"address":"0x1050", "type":"CLASS", "class":"0x1000", "name":"Array", "memsize":500}}
{{"address":"0x2000", "type":"ARRAY", "class":"0x1050", "length":{}, "references":[{}], "memsize":40}}
{more}"#,
            array.len(),
            list.join(", ")
        );
        let all = text(&all);
        Heap::read(std::io::Cursor::new(all), "test", &ReadOptions::default()).expect("a dump")
    };
    let heaps = [
        read(&[], &lists(&[(0x6000, &[])])),
        read(
            &[0x3000],
            &(more + &string(0x3000, "/app/a.rb", 5) + &string(0x3028, "/app/b.rb", 5)),
        ),
    ];
    let found = trace(&heaps, &Names::default());
    assert_eq!(found.len(), 2, "{found:#?}");
}

/// Of Ruby 3.4 on, compiled code has a root of its own. Written by hand: no
/// dump of the fixtures has one.
#[test]
fn what_compiled_code_keeps_is_known() {
    let with_root = |list: &[u64]| {
        let array = lists(&[(0x6000, list)]);
        let strings: String = list.iter().map(|&at| string(at, "/app/a.rb", 5)).collect();
        let root = r#"{"type":"ROOT", "root":"YJIT", "references":["0x6000"]}"#;
        heap(&[], &format!("{array}{strings}{root}"))
    };
    let heaps = [with_root(&[]), with_root(&[0x3000])];
    let found = trace(&heaps, &names(STORE));
    assert_eq!(found[0].benign.map(|row| row.id), Some("compiled_code"));
    assert!(!found[0].is_within);
}

#[test]
fn without_names_the_class_itself_is_named() {
    let heaps = [
        heap(&[], ""),
        heap(&[0x3000], &string(0x3000, "/app/a.rb", 5)),
    ];
    let found = trace(&heaps, &Names::default());
    assert_eq!(found[0].name, HolderName::Module("Foo".into()));
    assert_eq!(found[0].name.to_string(), "Foo (the class itself)");
}

#[test]
fn what_the_agent_allocated_is_left_out() {
    let heaps = [
        heap(&[], ""),
        heap(&[0x3000], &string(0x3000, "/agent/agent.rb", 5)),
    ];
    assert!(trace(&heaps, &names(STORE)).is_empty());
    let input = TraceInput {
        heaps: &heaps,
        first_seen: &first_seen(&heaps),
        names: &names(STORE),
        is_tool_file: &|file| file.starts_with("/agent/"),
    };
    assert_eq!(tool_objects(&input).0, 1);
}

#[test]
fn the_machine_stack_is_believed_last() {
    // 0x5000 lies on the stack, and refers to the survivor more directly.
    let more = string(0x3000, "/app/a.rb", 5)
        + r#"{"address":"0x5000", "type":"ARRAY", "class":"0x1050", "length":1, "references":["0x3000"], "memsize":40}"#;
    let heaps = [heap(&[], ""), heap(&[0x3000], &more)];
    let found = trace(&heaps, &names(STORE));
    let held: Vec<_> = found.iter().map(|holder| holder.name.to_string()).collect();
    assert_eq!(held[0], "Foo::STORE", "{held:?}");
}

#[test]
fn what_is_appended_to_is_a_grower_and_what_is_replaced_is_none() {
    let strings = |length: u64, other: u64| {
        format!(
            r#"{{"address":"0x3000", "type":"STRING", "class":"0x1028", "bytesize":{length}, "memsize":4000}}
{{"address":"0x3028", "type":"STRING", "class":"0x1028", "bytesize":{other}, "memsize":4000}}"#
        )
    };
    let heaps = [(100, 700), (200, 300), (300, 900)]
        .map(|(length, other)| heap(&[0x3000, 0x3028], &strings(length, other)));
    let found = growers(
        &TraceInput {
            heaps: &heaps,
            first_seen: &first_seen(&heaps),
            names: &names(STORE),
            is_tool_file: &|_| false,
        },
        9,
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].lengths, [100, 200, 300]);
    assert_eq!(
        (found[0].bytes, found[0].name.to_string()),
        (200, "Foo::STORE".into())
    );
}

#[test]
fn a_closure_is_named_by_the_line_of_its_block() {
    let more = string(0x3000, "/app/a.rb", 5)
        + r#"{"address":"0x6000", "type":"DATA", "class":"0x1028", "struct":"proc", "references":["0x6028"], "memsize":80}
{"address":"0x6028", "type":"IMEMO", "imemo_type":"env", "references":["0x6050"], "memsize":40}
{"address":"0x6050", "type":"ARRAY", "class":"0x1050", "length":1, "references":["0x3000"], "memsize":40}"#;
    let heaps = [
        heap(&[0x6000], &more.replace("\"0x3000\"", "\"0x9999\"")),
        heap(&[0x6000], &more),
    ];
    let sidecar = format!(
        "{STORE}\n{}",
        r#"{"kind":"proc","object":"0x6000","location":"/app/a.rb:5","lambda":false}"#
    );
    let found = trace(&heaps, &names(&sidecar));
    assert_eq!(found[0].name.to_string(), "Proc at /app/a.rb:5");
    let path: Vec<&str> = found[0].path.iter().map(|s| s.object.as_str()).collect();
    assert_eq!(path, ["String /app/a.rb:5", "Array (1)", "String"]);
    assert_eq!(found[0].path[1].edge.as_deref(), Some("captures"));
}

#[test]
fn a_linked_list_of_a_hundred_thousand_is_one_holder_and_takes_no_time() {
    let node = |i: u64| {
        let next = if i == 0 {
            String::new()
        } else {
            format!(", \"references\":[\"{:#x}\"]", 0x100_0000 + (i - 1) * 40)
        };
        format!(
            "{{\"address\":\"{:#x}\", \"type\":\"OBJECT\", \"class\":\"0x1000\", \"ivars\":1{next}, \"file\":\"/app/a.rb\", \"line\":3, \"generation\":9, \"memsize\":40}}\n",
            0x100_0000 + i * 40
        )
    };
    let all: String = (0..100_000).map(node).collect();
    let head = 0x100_0000 + 99_999 * 40;
    let heaps = [heap(&[], ""), heap(&[head], &all)];
    let found = trace(&heaps, &names(STORE));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].objects.0, 100_000);
    assert_eq!(found[0].name.to_string(), "Foo::STORE");
}

/// The dumps of every Ruby have no sidecar: what holds the list is an instance
/// of Leaker in a constant, and its class is as far as a name goes; from 3.2
/// on its shape tells the variable, too.
#[test]
fn the_leaker_of_every_ruby_is_found() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/dumps");
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        let heaps = ["A", "B", "C"].map(|label| {
            let path = fixtures.join(version).join(format!("{label}.ndjson.zst"));
            Heap::open(&path, &ReadOptions::default()).expect("a dump")
        });
        let found = trace(&heaps, &Names::default());
        let first = &found[0];
        assert_eq!(
            first.name.to_string(),
            if version < "3.2" {
                "Leaker (an instance)"
            } else {
                "Leaker@log (an instance)"
            },
            "{version}: {:#?}",
            &found[..found.len().min(3)]
        );
        // Born between A and B as many as between B and C.
        let (b, c) = (first.born[1].0, first.born[2].0);
        assert!(b >= 90 && b.abs_diff(c) <= 2, "{version}: {:?}", first.born);
    }
}
