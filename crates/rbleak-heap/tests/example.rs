//! The example of the crate answers its three questions on real dumps.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::PathBuf;
use std::process::Command;

/// Cargo builds examples with the tests, beside them.
fn example() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().unwrap().parent().unwrap();
    let path = folder.join("examples/three_questions");
    assert!(
        path.is_file(),
        "this test needs {}: run it with `cargo test -p rbleak-heap`, which builds examples",
        path.display()
    );
    path
}

#[test]
fn three_questions_are_answered() {
    for version in support::VERSIONS {
        let output = Command::new(example())
            .args([support::path(version, "A"), support::path(version, "C")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{version}: {output:?}");
        for word in ["big    0x", "held   by ", "grew   gen.rb:208 "] {
            assert!(text.contains(word), "{version} {word}: {text}");
        }
    }
    let output = Command::new(example()).output().unwrap();
    assert!(!output.status.success());
}
