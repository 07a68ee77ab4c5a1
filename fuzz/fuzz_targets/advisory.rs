//! No text makes the readers of advisories, ignores, versions and requirements
//! panic; what is read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_audit::{Advisory, GemVersion, Ignores, Requirement};

fuzz_target!(|text: &str| {
    if let Ok(advisory) = Advisory::from_yaml(text, "fuzz-1") {
        let _ = advisory.problems();
        if let Ok(again) = Advisory::try_from(advisory.to_record()) {
            assert_eq!(again.id, advisory.id);
        }
    }
    let _ = Ignores::from_yaml(text);
    if let Ok(requirement) = text.parse::<Requirement>() {
        for clause in requirement.clauses() {
            let _ = requirement.allows(&clause.bound);
        }
    }
    if let Ok(version) = text.parse::<GemVersion>() {
        assert!(version.release() < version.bump());
    }
});
