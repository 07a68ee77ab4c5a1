//! Dumps that are read together are what each is alone, whatever they have in
//! common, and differ as much.
//!
//! Three dumps are made of the input's lines: each byte before the first
//! newline takes some lines for some of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_heap::{Heap, Identity, Memory, ReadOptions, diff};
use std::fmt::Write as _;
use std::io::Write as _;

/// Bytes of a dump: few lines, taken again and again, are no more than these.
const MOST: usize = 1 << 13;

fn told(heap: &Heap) -> String {
    let mut text = format!(
        "{} {} {:?} {:?} {:?} {:?}\n",
        heap.lines(),
        heap.total_bytes(),
        heap.ruby(),
        heap.issues(),
        heap.roots(),
        heap.live_totals(),
    );
    for id in heap.ids() {
        let site = heap.site(id).map(|site| heap.site_info(site));
        let _ = writeln!(
            text,
            "{} {:?} {} {:?} {:?} {:?} {:?} {:?}",
            heap.address(id),
            heap.find(heap.address(id)),
            heap.class_name(id),
            site,
            heap.generation(id),
            heap.shallow_size(id),
            heap.length(id),
            heap.struct_name(id).or(heap.imemo_type(id)),
        );
    }
    text
}

fn compared(heaps: &[Heap]) -> String {
    let found = diff(heaps, Identity::Auto).expect("three are enough");
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        found.survivors(),
        found.newest(),
        found.reuse(),
        found.address_only(),
        found.compactions(),
        found.grown(usize::MAX),
    )
}

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
        return;
    };
    let (choices, text) = (&bytes[..end], &bytes[end + 1..]);
    let lines: Vec<_> = text.split_inclusive(|&byte| byte == b'\n').collect();
    if choices.is_empty() || lines.is_empty() {
        return;
    }
    // From which line on, how many, and for which dumps.
    let mut dumps = [const { Vec::new() }; 3];
    let mut from = 0;
    for choice in choices {
        if dumps.iter().any(|dump| dump.len() > MOST) {
            break;
        }
        let some = lines.iter().cycle().skip(from % lines.len());
        for line in some.take(usize::from(choice >> 3)) {
            for (bit, dump) in dumps.iter_mut().enumerate() {
                if choice >> bit & 1 == 0 {
                    dump.extend_from_slice(line);
                }
            }
        }
        from += usize::from(choice >> 3);
    }
    let files = dumps.each_ref().map(|dump| {
        let mut file = tempfile::NamedTempFile::new_in("/dev/shm").expect("a place for files");
        file.write_all(dump).expect("room for a file");
        file
    });
    let paths = files.each_ref().map(|file| file.path());
    let options = ReadOptions::default().references(false);
    let alone: Result<Vec<_>, _> = paths
        .iter()
        .map(|path| Heap::open(path, &options))
        .collect();
    for part in [0, 300] {
        let options = options.threads(2).part_bytes(part);
        let together = Heap::open_series(&paths, &options, &Memory::unlimited());
        match (&alone, together) {
            (Ok(alone), Ok(together)) => {
                for (alone, together) in alone.iter().zip(&together) {
                    assert_eq!(told(alone), told(together));
                }
                assert_eq!(compared(alone), compared(&together));
            }
            (Err(alone), Err(together)) => assert_eq!(alone.to_string(), together.to_string()),
            (alone, together) => panic!("{:?} {:?}", alone.is_ok(), together.is_ok()),
        }
    }
});
