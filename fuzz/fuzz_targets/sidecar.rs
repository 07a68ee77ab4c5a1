//! Any bytes are read as a sidecar of names, never a panic, and in memory of
//! no more than a fixed factor of their number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_fuzz::{COPY, copies, within};
use rbleak_heap::Names;
use rbleak_units::Address;

/// A line of JSON is taken apart before it is known what it is: two bytes of
/// an array become 32, in a list that doubles as it grows.
const FACTOR: usize = 64;
const CONSTANT: usize = 16 << 10;

fuzz_target!(|bytes: &[u8]| {
    let read = |bytes: &[u8]| {
        let most = bytes.len() * FACTOR + CONSTANT;
        within(most, || Names::read(bytes).expect("memory does not fail"))
    };
    let names = read(bytes);
    let lines = bytes.split(|&byte| byte == b'\n').count();
    assert!(names.skipped_lines() <= lines);
    // Everything can be asked for, whatever was read.
    for number in (0..=0x100).step_by(8).chain([u64::MAX]) {
        let address = Address(number);
        assert!(names.of_value(address).is_none() || !names.is_empty());
        let _ = (names.ivar(address, address), names.thread(address));
        let _ = (names.variables_of_class(address), names.code(address));
        let _ = names.is_own(address);
    }
    // Seldom, since it takes its time.
    if bytes.len() < 512 && bytes.contains(&COPY) {
        read(&copies(bytes, 64));
    }
});
