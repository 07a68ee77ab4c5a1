//! Whatever a process puts into its names, arguments, variables and sockets, which
//! the kernel hands on as it stands, no reader of `/proc` panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_fuzz::within;
use rbleak_process::{
    available, cmdline, environ, listening, local_sockets, maps, smaps, smaps_rollup, stat, status,
    thp,
};

/// A mapping of a line of few letters is some hundred bytes, in a list that
/// doubles as it grows.
const FACTOR: usize = 64;
const CONSTANT: usize = 16 << 10;

fuzz_target!(|bytes: &[u8]| {
    let most = bytes.len() * FACTOR + CONSTANT;
    within(most, || environ::parse(bytes));
    let text = String::from_utf8_lossy(bytes);
    let mappings = within(most, || maps::parse(&text));
    let files = mappings.iter().filter_map(|mapping| mapping.file());
    assert!(files.map(|file| file.path.len()).sum::<usize>() <= text.len());
    let resident = within(most, || smaps::parse(&text));
    let _ = smaps::rollup(&resident);
    within(most, || {
        let _ = (
            cmdline::parse(&text),
            listening::parse(&text),
            local_sockets::parse(&text),
        );
        let _ = (
            stat::parse(&text),
            status::parse(&text),
            smaps_rollup::parse(&text),
        );
        let _ = (available::parse(&text), thp::parse(&text));
    });
});
