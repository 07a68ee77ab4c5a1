//! What a summary says: its parts add up to the heap, on every fixture.
#![allow(clippy::unwrap_used)]

mod support;

use rbleak_heap::graph::Count;
use rbleak_heap::summary::{Content, ModuleKind, Part, Summary};
use rbleak_heap::{GroupBy, Heap, ObjectType, ReadOptions};
use rbleak_units::{Bytes, Objects};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Cursor;

fn sum(counts: impl IntoIterator<Item = Count>) -> Count {
    counts
        .into_iter()
        .fold(Count::default(), |sum, count| Count {
            objects: Objects(sum.objects.0 + count.objects.0),
            bytes: sum.bytes + count.bytes,
        })
}

fn sum_of<K>(parts: Vec<Part<K>>) -> Count {
    sum(parts.into_iter().map(|part| part.count))
}

fn open(version: &str, name: &str) -> (Heap, Content) {
    let options = ReadOptions::default().references(false);
    Content::open(support::path(version, name), &options).unwrap()
}

#[test]
fn all_parts_add_up_to_the_heap() {
    for (version, name, _) in support::all() {
        let (heap, content) = open(&version, &name);
        let what = format!("{version}/{name}");
        let summary = Summary::new(&heap);
        let total = summary.total();
        let (objects, bytes) = heap.live_totals();
        assert_eq!(total, Count { objects, bytes }, "{what}");
        assert_eq!(sum_of(summary.by_type()), total, "{what}");
        for by in [
            GroupBy::Site,
            GroupBy::Class,
            GroupBy::File,
            GroupBy::Gem,
            GroupBy::Method,
        ] {
            assert_eq!(sum_of(summary.by(by)), total, "{what} {by:?}");
        }
        let ages = summary.ages();
        assert_eq!(ages.is_empty(), !heap.is_traced(), "{what}");
        if heap.is_traced() {
            assert_eq!(sum(ages.iter().map(|age| age.count)), total, "{what}");
        }
        let slots = summary.slots(&content);
        assert_eq!(sum(slots.iter().map(|slots| slots.live)), total, "{what}");
        for slots in &slots {
            let most = slots.live.objects.0 * u64::from(slots.size.unwrap_or(0));
            assert!(slots.inside.0 <= most, "{what} {slots:?}");
            assert_eq!(slots.inside + slots.outside(), slots.live.bytes, "{what}");
        }
        let of_types = |types: &[ObjectType]| {
            let parts = summary.by_type().into_iter();
            sum(parts
                .filter(|part| types.contains(&part.key))
                .map(|part| part.count))
        };
        assert_eq!(sum_of(summary.imemo()), of_types(&[ObjectType::Imemo]));
        assert_eq!(sum_of(summary.structs()), of_types(&[ObjectType::Data]));
        let modules = [ObjectType::Class, ObjectType::Module, ObjectType::Iclass];
        assert_eq!(sum_of(summary.modules()), of_types(&modules), "{what}");
        let strings = summary.strings(content);
        assert_eq!(strings.all, of_types(&[ObjectType::String]), "{what}");
        let wasted = strings.duplicates.iter().map(|one| one.wasted);
        assert_eq!(strings.wasted.bytes, wasted.sum(), "{what}");
        let largest = summary.largest(ObjectType::String, usize::MAX);
        let bytes: Bytes = largest.iter().map(|&id| heap.shallow_size(id)).sum();
        assert_eq!(bytes, strings.all.bytes, "{what}");
    }
}

/// The lines of a fixture that are valid JSON, as serde_json reads them.
fn lines(version: &str, name: &str) -> Vec<Value> {
    support::bytes(version, name)
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

#[test]
fn duplicates_and_slots_are_those_that_serde_json_counts() {
    let mut checked = 0;
    for (version, name, _) in support::all() {
        let (heap, content) = open(&version, &name);
        // Lines that are no JSON are read by us and not by serde_json.
        let is_usual = matches!(&*name, "notrace" | "full" | "zombie") && heap.issues().is_empty();
        if !is_usual {
            continue;
        }
        checked += 1;
        let what = format!("{version}/{name}");
        let summary = Summary::new(&heap);
        let slots = summary.slots(&content);
        let strings = summary.strings(content);
        let mut values: BTreeMap<String, u64> = BTreeMap::new();
        let mut by_size: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for line in lines(&version, &name) {
            let kind = line["type"].as_str().unwrap();
            if matches!(kind, "ROOT" | "SHAPE" | "ZOMBIE" | "MOVED") {
                continue;
            }
            let size = line["slot_size"].as_u64().unwrap_or(40);
            let (live, free) = by_size.entry(size).or_default();
            *(if kind == "NONE" { free } else { live }) += 1;
            if kind != "STRING" {
                continue;
            }
            let empty = (line["bytesize"] == 0).then_some("");
            if let Some(value) = line["value"].as_str().or(empty) {
                *values.entry(value.to_owned()).or_default() += 1;
            }
        }
        assert_eq!(strings.distinct, values.len() as u64, "{what}");
        let with_value: u64 = values.values().sum();
        assert_eq!(strings.with_value.objects.0, with_value, "{what}");
        let mut expected: Vec<u64> = values.into_values().filter(|&n| n > 1).collect();
        let mut copies: Vec<u64> = strings
            .duplicates
            .iter()
            .map(|one| one.copies.objects.0)
            .collect();
        expected.sort_unstable();
        copies.sort_unstable();
        assert_eq!(copies, expected, "{what}");
        let found: BTreeMap<u64, (u64, u64)> = slots
            .iter()
            .map(|slots| {
                let size = u64::from(slots.size.unwrap());
                (size, (slots.live.objects.0, slots.free.0))
            })
            .collect();
        assert_eq!(found, by_size, "{what}");
    }
    assert!(checked >= 10, "{checked}");
}

#[test]
fn a_stream_tells_the_same_as_a_file() {
    let (heap, content) = open("3.3", "full");
    let options = ReadOptions::default().references(false);
    let bytes = support::bytes("3.3", "full");
    let packed = std::fs::read(support::path("3.3", "full")).unwrap();
    for stream in [bytes, packed] {
        let (streamed, its) = Content::read(Cursor::new(stream), "text", &options).unwrap();
        let (one, other) = (Summary::new(&heap), Summary::new(&streamed));
        assert_eq!(one.slots(&content), other.slots(&its));
        let (one, other) = (one.strings(content.clone()), other.strings(its));
        assert_eq!(one.duplicates, other.duplicates);
        assert!(one.wasted.bytes.0 > 0);
    }
}

const KINDS: &str = r#"{"type":"ROOT", "root":"vm", "references":["0x4000"]}
{"address":"0x4000", "type":"CLASS", "class":"0x4028", "superclass":"0x4050", "name":"Foo", "memsize":100}
{"address":"0x4028", "type":"CLASS", "class":"0x4028", "superclass":"0x4050", "singleton":true, "memsize":90}
{"address":"0x4050", "type":"CLASS", "class":"0x4028", "superclass":"0x4000", "memsize":80}
{"address":"0x4078", "type":"MODULE", "class":"0x4028", "memsize":70}
{"address":"0x40a0", "type":"MODULE", "class":"0x4028", "name":"Bar", "memsize":60}
{"address":"0x40c8", "type":"ICLASS", "class":"0x4078", "memsize":50}
{"address":"0x40f0", "type":"STRING", "class":"0x4000", "bytesize":5, "value":"alpha", "memsize":40, "file":"a.rb", "line":1, "generation":7}
{"address":"0x4118", "type":"STRING", "class":"0x4000", "bytesize":5, "value":"alpha", "memsize":48, "file":"b.rb", "line":2, "generation":9}
{"address":"0x4140", "type":"STRING", "class":"0x4000", "bytesize":5, "value":"alpha", "memsize":44, "file":"b.rb", "line":2, "generation":10}
{"address":"0x4168", "type":"STRING", "class":"0x4000", "bytesize":4, "value":"beta", "memsize":40}
{"address":"0x4190", "type":"STRING", "class":"0x4000", "shared":true, "memsize":40}
{"address":"0x41b8", "type":"SYMBOL", "class":"0x4000", "bytesize":5, "value":"alpha", "memsize":40}
{"address":"0x41e0", "type":"NONE"}
"#;

#[test]
fn parts_are_told_by_what_they_are() {
    let options = ReadOptions::default();
    let (heap, content) = Content::read(Cursor::new(KINDS), "text", &options).unwrap();
    let summary = Summary::new(&heap);
    let modules: Vec<_> = summary
        .modules()
        .iter()
        .map(|part| (part.key, part.count.bytes.0))
        .collect();
    assert_eq!(
        modules,
        [
            (ModuleKind::Class, 100),
            (ModuleKind::SingletonClass, 90),
            (ModuleKind::AnonymousClass, 80),
            (ModuleKind::AnonymousModule, 70),
            (ModuleKind::Module, 60),
            (ModuleKind::Inclusion, 50),
        ]
    );
    let ages: Vec<_> = summary
        .ages()
        .iter()
        .map(|age| (age.collections, age.generations, age.count.objects.0))
        .collect();
    assert_eq!(
        ages,
        [
            (Some((0, 0)), Some((10, 10)), 1),
            (Some((1, 1)), Some((9, 9)), 1),
            (Some((2, 3)), Some((7, 8)), 1),
            (Some((4, 7)), Some((3, 6)), 0),
            (Some((8, 10)), Some((0, 2)), 0),
            (None, None, 9),
        ]
    );
    assert_eq!(summary.slots(&content)[0].free, Objects(1));
    let strings = summary.strings(content);
    assert_eq!(strings.all.objects, Objects(5));
    assert_eq!(strings.with_value.objects, Objects(4));
    assert_eq!(strings.distinct, 2);
    let [alpha] = &strings.duplicates[..] else {
        panic!("{:?}", strings.duplicates);
    };
    assert_eq!((alpha.length, alpha.wasted), (5, Bytes(84)));
    let sites: Vec<_> = strings
        .sites(&heap, alpha)
        .into_iter()
        .map(|(site, count)| (site.map(|site| heap.site_info(site).line), count))
        .collect();
    assert_eq!(sites, [(Some(2), 2), (Some(1), 1)]);
}

/// Ruby 2.7 names even what has no name, and marks no singleton class.
#[test]
fn anonymous_modules_of_every_ruby_are_told() {
    for version in support::VERSIONS {
        let heap = support::heap(version, "C");
        let found: BTreeMap<_, _> = Summary::new(&heap)
            .modules()
            .into_iter()
            .map(|part| (part.key, part.count.objects.0))
            .collect();
        for kind in [
            ModuleKind::Class,
            ModuleKind::AnonymousClass,
            ModuleKind::SingletonClass,
            ModuleKind::AnonymousModule,
        ] {
            assert!(found.contains_key(&kind), "{version}: {found:?}");
        }
        assert!(
            found[&ModuleKind::AnonymousClass] < found[&ModuleKind::SingletonClass],
            "{version}: {found:?}"
        );
    }
}
