//! No lockfile makes the parser panic; what it refuses has its place in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_audit::Lockfile;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = Lockfile::parse(bytes) {
        let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
        assert!(error.line >= 1 && error.line as usize <= lines);
        assert!(error.column >= 1);
    }
});
