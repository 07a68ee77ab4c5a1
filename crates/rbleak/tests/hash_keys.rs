//! Keys of Hashes that a dump tells, against what Ruby says of them.

mod common;

use common::{app, needs};
use rbleak_heap::trace::{HashEntry, hash_entry};
use rbleak_heap::{Heap, Names, ReadOptions};
use rbleak_units::Address;
use std::collections::HashSet;
use std::process::Command;

fn parsed(text: &str) -> Option<Address> {
    text.parse().ok()
}

/// Without a sidecar, so that nothing but the order of references tells.
#[test]
fn hardly_a_key_that_is_told_is_wrong() {
    needs("ruby");
    let home = tempfile::tempdir().expect("a temporary folder");
    let (dump, truth) = (home.path().join("A.ndjson"), home.path().join("truth"));
    let output = Command::new("ruby")
        .arg("-W0")
        .arg(app("hash_keys.rb"))
        .args([&dump, &truth])
        .output()
        .expect("ruby starts");
    assert!(
        output.status.success(),
        "it needs what script/setup installs: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let heap = Heap::open(&dump, &ReadOptions::default()).expect("a dump");
    let names = Names::default();
    let truth = std::fs::read_to_string(&truth).expect("what Ruby says");
    let (mut told, mut not_told, mut wrong) = (0_u64, 0_u64, Vec::new());
    for line in truth.lines() {
        let mut parts = line.split(' ');
        let mut part = || parts.next().unwrap_or_default();
        let (hash, keys, pairs) = (part(), part(), part());
        let Some(hash) = parsed(hash).and_then(|at| heap.find(at)) else {
            continue;
        };
        let keys: HashSet<Address> = keys.split(',').filter_map(parsed).collect();
        let pairs: Vec<(Option<Address>, Address)> = pairs
            .split(',')
            .filter_map(|pair| pair.split_once(':'))
            .filter_map(|(key, value)| Some((parsed(key), parsed(value)?)))
            .collect();
        for (_, value) in &pairs {
            let Some(id) = heap.find(*value) else {
                continue;
            };
            let right = match hash_entry(&heap, &names, hash, id) {
                None => {
                    not_told += 1;
                    continue;
                }
                Some(HashEntry::Key) => keys.contains(value),
                // One value may have several keys.
                Some(HashEntry::ValueOf(key)) => pairs.contains(&(Some(heap.address(key)), *value)),
            };
            told += 1;
            if !right {
                wrong.push(line);
            }
        }
    }
    eprintln!(
        "{told} keys told, {} of them wrong; {not_told} not told",
        wrong.len()
    );
    assert!(told > 3_000, "{told} keys told, {not_told} not");
    // A heuristic: another version of a gem may bring what deceives it.
    assert!(
        wrong.len() as f64 <= 0.001 * told as f64,
        "{told} told, wrong: {wrong:#?}"
    );
}
