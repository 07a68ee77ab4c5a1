//! Any bytes are read as the manifest of a run or refused, never a
//! panic, in memory of no more than a fixed factor of their number; what is
//! read names no file outside the run's folder, and reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_capture::manifest::{Manifest, SCHEMA};
use rbleak_fuzz::within;
use std::path::{Component, Path};

/// An empty string in a list takes three bytes there and 24 here, in a list
/// that doubles as it grows.
const FACTOR: usize = 32;
const CONSTANT: usize = 8 << 10;

fuzz_target!(|bytes: &[u8]| {
    let most = bytes.len() * FACTOR + CONSTANT;
    let Ok(manifest) = within(most, || Manifest::parse(bytes)) else {
        return;
    };
    assert_eq!(manifest.schema, SCHEMA);
    for dump in &manifest.dumps {
        for file in std::iter::once(&dump.file).chain(&dump.names) {
            let path = Path::new("/run").join(file);
            assert!(
                path.starts_with("/run") && path != Path::new("/run"),
                "{file}"
            );
            assert!(!path.components().any(|part| part == Component::ParentDir));
        }
    }
    let text = manifest.to_json().expect("it came from JSON");
    let again = Manifest::parse(text.as_bytes()).expect("it was one");
    assert_eq!(again, manifest);
});
