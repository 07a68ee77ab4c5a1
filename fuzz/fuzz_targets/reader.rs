//! Any bytes, compressed or not, are read or refused, never a panic, and in
//! memory of no more than a fixed factor of their number (decompressed); every
//! accessor works on what was read, and so does everything built on it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_fuzz::{COPY, copies, within};
use rbleak_heap::graph::{Dominators, GraphInput};
use rbleak_heap::trace::Paths;
use rbleak_heap::{Filter, GroupBy, Heap, Identity, Names, ReadOptions, diff, heapy_rows};

/// A line of some thirty bytes may begin a page of addresses of its own, of
/// 330 bytes, in a list that doubles as it grows.
const FACTOR: usize = 64;
/// Buffers, of which a stream has a few.
const CONSTANT: usize = 2 << 20;

fn read(bytes: Vec<u8>) -> Option<Heap> {
    let is_compressed =
        bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let most = match is_compressed {
        // What comes out is known afterwards only.
        true => usize::MAX,
        false => bytes.len() * FACTOR + CONSTANT,
    };
    let read = || Heap::read(std::io::Cursor::new(bytes), "fuzz", &ReadOptions::default());
    within(most, read).ok()
}

fuzz_target!(|bytes: &[u8]| {
    // Seldom, since it takes its time.
    if bytes.len() < 512 && bytes.contains(&COPY) {
        read(copies(bytes, 64));
    }
    let (before, after) = bytes.split_at(bytes.len() / 2);
    let (Some(before), Some(after)) = (read(before.to_vec()), read(after.to_vec())) else {
        return;
    };
    for id in after.ids() {
        assert!(after.find(after.address(id)).is_some());
        let _ = (
            after.class_name(id),
            after.class_id(id),
            after.superclass(id),
        );
        let _ = (after.shallow_size(id), after.references(id), after.name(id));
        let _ = (
            after.site(id).map(|site| after.site_info(site)),
            after.generation(id),
        );
        if let Some(shape) = after.shape_id(id) {
            after.shapes().ivar_names(shape);
        }
    }
    let names = Names::default();
    let paths = Paths::new(&after, &names);
    paths.tree(after.ids());
    after.ids().for_each(|id| drop(paths.to(id)));
    let input = GraphInput {
        heap: &after,
        names: &names,
        is_tool_file: &|file| file.starts_with('t'),
    };
    if let Ok(dominators) = Dominators::new(input) {
        let (_, whole) = after.live_totals();
        for by in [GroupBy::Class, GroupBy::Site, GroupBy::Gem] {
            dominators.totals(by);
        }
        for id in dominators.top() {
            assert!(dominators.retained_size(id) <= whole);
            dominators.accumulation_point(id);
        }
        dominators.unreached();
    }
    heapy_rows(&before, &after, None);
    let heaps = [before, after];
    if let Ok(diff) = diff(&heaps, Identity::Auto) {
        diff.groups(GroupBy::Site, &Filter::default());
        diff.growth(GroupBy::Gem, &Filter::default());
        diff.grown(10);
    }
});
