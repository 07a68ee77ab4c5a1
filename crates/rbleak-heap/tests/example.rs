//! The example of the crate answers its three questions on real dumps.
#![allow(clippy::unwrap_used)]

mod support;
#[allow(dead_code)]
#[path = "../examples/three_questions.rs"]
mod three_questions;

#[test]
fn three_questions_are_answered() {
    for version in support::VERSIONS {
        let (a, c) = (support::path(version, "A"), support::path(version, "C"));
        let lines = three_questions::answers(&a, &c).unwrap();
        let text = lines.join("\n");
        assert!(text.contains("big    0x"), "{version}: {text}");
        assert!(text.contains("grew   gen.rb:208 "), "{version}: {text}");
        // The Array that takes in all that leaks.
        assert!(text.contains("held   by "), "{version}: {text}");
        assert!(text.contains("Array (60) → "), "{version}: {text}");
    }
    let (a, none) = (support::path("3.1", "A"), "none.json".as_ref());
    assert!(three_questions::answers(&a, none).is_err());
}
