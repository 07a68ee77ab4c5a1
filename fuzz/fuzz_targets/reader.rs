//! Any bytes, compressed or not, are read or refused, never a panic; every
//! accessor works on what was read, and it can be compared with itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_heap::{Filter, GroupBy, Heap, Identity, ReadOptions, diff, heapy_rows};

fuzz_target!(|bytes: &[u8]| {
    let read = |bytes: &[u8]| {
        let input = std::io::Cursor::new(bytes.to_vec());
        Heap::read(input, "fuzz", &ReadOptions::default())
    };
    let (before, after) = bytes.split_at(bytes.len() / 2);
    let (Ok(before), Ok(after)) = (read(before), read(after)) else {
        return;
    };
    for id in after.ids() {
        assert_eq!(after.find(after.address(id)).is_some(), true);
        let _ = (
            after.class_name(id),
            after.class_id(id),
            after.superclass(id),
        );
        let _ = (after.shallow_size(id), after.references(id), after.name(id));
    }
    heapy_rows(&before, &after, None);
    let heaps = [before, after];
    if let Ok(diff) = diff(&heaps, Identity::Auto) {
        diff.groups(GroupBy::Site, &Filter::default());
        diff.growth(GroupBy::Gem, &Filter::default());
        diff.grown(10);
    }
});
