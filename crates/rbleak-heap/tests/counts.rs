//! Every fixture has as many lines and bytes of each type as Ruby's own JSON
//! parser counts, and what is repaired is exactly what is not JSON.
#![allow(clippy::unwrap_used)]

mod support;

use rbleak_heap::{Heap, ReadOptions};
use std::collections::BTreeMap;
use std::process::Command;

/// By type: lines and memsizes.
type Table = BTreeMap<String, (u64, u64)>;

#[derive(Debug, Default, PartialEq)]
struct Count {
    table: Table,
    repaired: u64,
    cut: bool,
}

/// What `script/count-dumps` says.
fn by_ruby(file: &std::path::Path) -> Count {
    let output = Command::new("ruby")
        .arg(support::root().join("script/count-dumps"))
        .arg(file)
        .output()
        .expect("this test needs ruby: apt-get install ruby");
    assert!(output.status.success(), "{output:?}");
    let mut count = Count::default();
    for line in String::from_utf8(output.stdout).unwrap().lines().skip(1) {
        let words: Vec<_> = line.split(' ').collect();
        let [status, object_type, objects, bytes] = words[..] else {
            count.cut = line == "cut";
            continue;
        };
        let objects: u64 = objects.parse().unwrap();
        let bytes: u64 = bytes.parse().unwrap();
        let entry = count.table.entry(object_type.to_owned()).or_default();
        entry.0 += objects;
        entry.1 += bytes;
        if status == "repaired" {
            count.repaired += objects;
        }
    }
    count
}

fn by_reader(heap: &Heap, version: &str) -> Count {
    // The reader adds the slot, which Ruby 2.1 leaves out.
    let slot = if version == "2.1" { 40 } else { 0 };
    let table = heap.counts_by_type().into_iter().map(|count| {
        let is_object = !matches!(count.label, "NONE" | "ZOMBIE" | "ROOT" | "SHAPE");
        let slots = if is_object { count.objects.0 * slot } else { 0 };
        let bytes = count.bytes.0 - slots;
        (count.label.to_owned(), (count.objects.0, bytes))
    });
    Count {
        table: table.collect(),
        repaired: heap.issues().repaired(),
        cut: heap.issues().truncated().is_some(),
    }
}

#[test]
fn counts_and_bytes_by_type_are_what_ruby_counts() {
    let directory = tempfile::tempdir().unwrap();
    for (version, name, path) in support::all() {
        let plain = directory.path().join(format!("{version}-{name}"));
        std::fs::write(&plain, support::bytes(&version, &name)).unwrap();
        let expected = by_ruby(&plain);
        let readings = [
            (&path, ReadOptions::default()),
            (&plain, ReadOptions::default().references(false)),
            (&plain, ReadOptions::default()),
        ];
        for (path, options) in readings {
            let heap = Heap::open(path, &options).unwrap();
            assert_eq!(by_reader(&heap, &version), expected, "{version}/{name}");
            assert_eq!(heap.issues().skipped(), 0, "{:?}", heap.issues());
            if !heap.is_partial() && !expected.cut {
                let dangling = heap.dangling_references() as usize;
                assert!(
                    dangling * 100 <= heap.reference_count(),
                    "{version}/{name}: {dangling}"
                );
            }
        }
    }
}
