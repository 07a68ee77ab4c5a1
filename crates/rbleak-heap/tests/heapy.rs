//! `heapy diff` itself is the oracle for what passes as its output.
#![allow(clippy::unwrap_used)]

mod support;

use rbleak_heap::heapy_rows;
use std::process::Command;

fn by_heapy(files: &[&std::path::Path]) -> Vec<String> {
    let output = Command::new("heapy")
        .arg("diff")
        .args(files)
        .output()
        .expect("this test compares with the real heapy: apt-get install ruby-heapy");
    assert!(output.status.success(), "{output:?}");
    let mut lines: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

#[test]
fn rows_are_those_of_heapy() {
    let directory = tempfile::tempdir().unwrap();
    for version in ["2.1", "2.7", "3.1", "3.3"] {
        let files = ["A", "B", "C"].map(|name| {
            let path = directory.path().join(format!("{version}-{name}"));
            std::fs::write(&path, support::bytes(version, name)).unwrap();
            path
        });
        let [a, b, c] = ["A", "B", "C"].map(|name| support::heap(version, name));
        for retained in [None, Some(&c)] {
            let mut paths = vec![&*files[0], &*files[1]];
            paths.extend(retained.map(|_| &*files[2]));
            let mut rows: Vec<_> = heapy_rows(&a, &b, retained)
                .iter()
                .map(ToString::to_string)
                .collect();
            rows.sort();
            assert!(rows.len() > 3);
            assert_eq!(rows, by_heapy(&paths), "{version}");
        }
    }
}
