//! The fixtures, for all tests.
#![allow(dead_code, clippy::unwrap_used)]

use rbleak_heap::{Heap, ReadOptions};
use std::path::PathBuf;

/// The Rubies that fixtures exist for.
pub(crate) const VERSIONS: [&str; 7] = ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"];

pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A fixture's path, if that version has it.
pub(crate) fn find(version: &str, name: &str) -> Option<PathBuf> {
    let path = root().join(format!("fixtures/dumps/{version}/{name}.ndjson.zst"));
    path.exists().then_some(path)
}

pub(crate) fn path(version: &str, name: &str) -> PathBuf {
    find(version, name).unwrap_or_else(|| panic!("no fixture {name} of Ruby {version}"))
}

pub(crate) fn heap(version: &str, name: &str) -> Heap {
    Heap::open(path(version, name), &ReadOptions::default()).unwrap()
}

pub(crate) fn heaps(version: &str, names: &[&str]) -> Vec<Heap> {
    names.iter().map(|name| heap(version, name)).collect()
}

/// All fixtures: version, name, path.
pub(crate) fn all() -> Vec<(String, String, PathBuf)> {
    let mut all = Vec::new();
    for version in VERSIONS {
        let directory = root().join("fixtures/dumps").join(version);
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            if let Some(name) = file.strip_suffix(".ndjson.zst") {
                all.push((version.to_owned(), name.to_owned(), path.clone()));
            }
        }
    }
    all.sort();
    all
}

pub(crate) fn bytes(version: &str, name: &str) -> Vec<u8> {
    zstd::decode_all(std::fs::File::open(path(version, name)).unwrap()).unwrap()
}

/// A heap from text.
pub(crate) fn read(text: impl Into<Vec<u8>>) -> Heap {
    try_read(text).unwrap()
}

pub(crate) fn try_read(text: impl Into<Vec<u8>>) -> Result<Heap, rbleak_heap::ReadError> {
    let bytes = std::io::Cursor::new(text.into());
    Heap::read(bytes, "text", &ReadOptions::default())
}
