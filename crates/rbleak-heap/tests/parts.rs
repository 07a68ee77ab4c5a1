//! Reading a file or a stream in parts is reading it in one: rows, references,
//! names, sites, issues and totals, of whole and of damaged dumps, in parts of
//! any size.
#![allow(clippy::unwrap_used)]

mod support;

use proptest::prelude::*;
use rbleak_heap::{Heap, Identity, Memory, ReadError, ReadOptions, diff};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// Everything that a heap says, or why there is none.
fn told(heap: Result<Heap, ReadError>) -> String {
    let heap = match heap {
        Ok(heap) => heap,
        // Names of files differ.
        Err(error) => {
            let text = error.to_string();
            let end = text
                .find(" is ")
                .or_else(|| text.find(" has "))
                .unwrap_or(0);
            return text[end..].to_owned();
        }
    };
    let mut text = format!(
        "{} {} {} {} {} {:?} {:?}\n{:?}\n{:?}\n{:?}\n{:?}\n",
        heap.lines(),
        heap.total_bytes(),
        heap.reference_count(),
        heap.dangling_references(),
        heap.duplicate_addresses(),
        heap.max_generation(),
        heap.ruby(),
        heap.issues(),
        heap.roots(),
        heap.shapes().all(),
        heap.counts_by_type(),
    );
    for id in heap.ids() {
        writeln!(
            text,
            "{} {:?} {:?} {:?} {} {:?} {:?} {:?} {:?} {:?} {} {:?} {:?} {:?} {:?} {:?}",
            heap.address(id),
            heap.find(heap.address(id)),
            heap.object_type(id),
            heap.class(id),
            heap.class_name(id),
            heap.class_id(id),
            heap.superclass(id),
            heap.name(id),
            heap.struct_name(id).or(heap.imemo_type(id)),
            heap.site(id).map(|site| (site, heap.site_info(site))),
            heap.is_singleton(id),
            heap.generation(id),
            heap.shallow_size(id),
            heap.length(id).or(heap.ivar_count(id)),
            heap.shape_id(id),
            heap.references(id),
        )
        .unwrap();
    }
    text
}

fn streamed(bytes: &[u8], options: &ReadOptions) -> String {
    told(Heap::read(
        std::io::Cursor::new(bytes.to_vec()),
        "text",
        options,
    ))
}

/// A file with these bytes, twice: one that stays open for writing is read, one
/// that is closed is mapped where that can be.
fn read_and_mapped(bytes: &[u8]) -> [tempfile::NamedTempFile; 2] {
    [(); 2].map(|()| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    })
}

fn check(bytes: &[u8], part_bytes: &[u64]) {
    let [file, other] = read_and_mapped(bytes);
    let other = other.into_temp_path();
    for references in [true, false] {
        let options = ReadOptions::default().references(references);
        let expected = streamed(bytes, &options);
        for &part_bytes in part_bytes {
            let options = options.threads(3).part_bytes(part_bytes);
            let file = told(Heap::open(file.path(), &options));
            let mapped = told(Heap::open(&other, &options));
            let stream = streamed(bytes, &options);
            for (what, found) in [("file", file), ("mapped", mapped), ("stream", stream)] {
                assert!(
                    expected == found,
                    "{what} in parts of {part_bytes}, references {references}: {:?}",
                    expected.lines().zip(found.lines()).find(|(a, b)| a != b)
                );
            }
        }
    }
}

/// Everything that a diff says, apart from what it is of.
fn compared(heaps: &[Heap]) -> String {
    let mut text = String::new();
    for identity in [Identity::Auto, Identity::Address] {
        let found = diff(heaps, identity).unwrap();
        writeln!(
            text,
            "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
            found.survivors(),
            found.newest(),
            found.reuse(),
            found.address_only(),
            found.compactions(),
            found.grown(usize::MAX),
        )
        .unwrap();
    }
    text
}

/// Dumps that are read together are what each is alone, and differ as much.
fn check_series(dumps: &[&[u8]], part_bytes: &[u64]) {
    let files = dumps.iter().map(|bytes| read_and_mapped(bytes));
    let (files, others): (Vec<_>, Vec<_>) = files
        .map(|[file, other]| (file, other.into_temp_path()))
        .unzip();
    let paths: Vec<_> = files.iter().map(|file| file.path()).collect();
    check_paths(&paths, part_bytes);
    let paths: Vec<_> = others.iter().map(|path| &**path).collect();
    check_paths(&paths, part_bytes);
}

fn check_paths(paths: &[&Path], part_bytes: &[u64]) {
    let options = ReadOptions::default().references(false);
    let alone = |path| told(Heap::open(path, &options));
    let expected: Vec<_> = paths.iter().map(alone).collect();
    let heaps: Result<Vec<_>, _> = paths
        .iter()
        .map(|path| Heap::open(path, &options))
        .collect();
    let differences = heaps.ok().map(|heaps| compared(&heaps));
    let failure = paths
        .iter()
        .position(|path| Heap::open(path, &options).is_err());
    for threads in [1, 3] {
        for &part_bytes in part_bytes {
            let options = options.threads(threads).part_bytes(part_bytes);
            let heaps = match Heap::open_series(paths, &options, &Memory::unlimited()) {
                Ok(heaps) => heaps,
                Err(error) => {
                    let error = told(Err(error));
                    assert_eq!(Some(&error), failure.map(|at| &expected[at]));
                    continue;
                }
            };
            assert_eq!(failure, None);
            if threads > 1 {
                assert!(differences.as_ref() == Some(&compared(&heaps)));
            }
            for (heap, expected) in heaps.into_iter().zip(&expected) {
                let found = told(Ok(heap));
                assert!(
                    *expected == found,
                    "together in parts of {part_bytes}: {:?}",
                    expected.lines().zip(found.lines()).find(|(a, b)| a != b)
                );
            }
        }
    }
}

#[test]
fn every_fixture_with_others_is_what_it_is_alone() {
    for version in support::VERSIONS {
        let all = support::all().into_iter();
        let names = all.filter(|(other, ..)| other == version);
        let dumps: Vec<_> = names
            .map(|(_, name, _)| support::bytes(version, &name))
            .collect();
        for some in dumps.windows(3) {
            let some: Vec<_> = some.iter().map(Vec::as_slice).collect();
            println!("{version}");
            check_series(&some, &[0, some[0].len() as u64 / 5 + 1]);
        }
    }
}

#[test]
fn dumps_that_were_read_together_are_compared_in_any_order() {
    let files = ["A", "B", "C"].map(|name| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&support::bytes("3.1", name)).unwrap();
        file
    });
    let options = ReadOptions::default().references(false);
    for order in [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 1, 0]] {
        let paths = [0, 1, 2].map(|at| files[at].path());
        let mut heaps = Heap::open_series(&paths, &options, &Memory::unlimited())
            .unwrap()
            .into_iter()
            .map(Some)
            .collect::<Vec<_>>();
        let together = order.map(|at| heaps[at].take().unwrap());
        let alone = order.map(|at| Heap::open(paths[at], &options).unwrap());
        assert!(compared(&together) == compared(&alone), "{order:?}");
    }
}

#[test]
fn every_fixture_in_parts_is_the_whole() {
    for (version, name, path) in support::all() {
        let bytes = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
        println!("{version} {name}");
        let length = bytes.len() as u64;
        check(&bytes, &[length / 7 + 1]);
    }
}

#[test]
fn lines_out_of_order_in_parts_are_the_whole() {
    let bytes = support::bytes("2.7", "broken");
    let mut lines: Vec<_> = bytes
        .split_inclusive(|&byte| byte == b'\n')
        .take(3000)
        .collect();
    lines.reverse();
    check(&lines.concat(), &[5_000, 100_000]);
    // Twice the same address, in different parts.
    lines.extend_from_within(..500);
    check(&lines.concat(), &[5_000, 100_000]);
}

#[test]
fn what_is_no_dump_in_parts_is_none() {
    let junk = "{\"type\":1}\n".repeat(12_000);
    let line = "{\"address\":\"0x7f00dead0000\", \"type\":\"STRING\"}\n";
    for text in [
        junk.clone(),
        junk.clone() + line,
        junk[..5_000 * 11].to_owned() + line,
        line.to_owned() + &junk,
        (line.to_owned() + &junk[..11 * 3]).repeat(300),
        // Not one line that is whole, and a rest that begins none.
        format!(
            "{}{{\"address\":\"0x8\", \"type\":}}\nrest",
            "{\"address\":\"0x1}\n".repeat(9)
        ),
    ] {
        check(text.as_bytes(), &[100, 30_000]);
    }
}

fn damaged() -> &'static [u8] {
    static SAMPLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(|| support::bytes("3.1", "broken"))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damage_in_parts_is_damage_in_the_whole(
        start in 0..2_000_000_usize,
        length in 1..30_000_usize,
        edits in proptest::collection::vec(
            (0..30_000_usize, prop_oneof![Just(b'\n'), Just(b'"'), Just(b'\\'), Just(b'}'), any::<u8>()]),
            0..40,
        ),
        part in 1..4_000_u64,
    ) {
        let bytes = damaged();
        let start = start % bytes.len();
        let mut text = bytes[start..(start + length).min(bytes.len())].to_vec();
        for (at, byte) in edits {
            if let Some(target) = text.get_mut(at) {
                *target = byte;
            }
        }
        check(&text, &[part, part * 5]);
    }

    #[test]
    fn damaged_dumps_together_are_what_each_is_alone(
        start in 0..2_000_000_usize,
        length in 1..60_000_usize,
        edits in proptest::collection::vec(
            (
                0..3_usize,
                0..60_000_usize,
                prop_oneof![Just(b'\n'), Just(b'"'), Just(b'}'), Just(b'7'), any::<u8>()],
            ),
            0..60,
        ),
        cuts in proptest::collection::vec((0..3_usize, 0..60_000_usize, 0..5_000_usize), 0..6),
        part in 1_000..20_000_u64,
    ) {
        let bytes = damaged();
        let start = start % bytes.len();
        let text = &bytes[start..(start + length).min(bytes.len())];
        let mut dumps = [text.to_vec(), text.to_vec(), text.to_vec()];
        for (dump, at, byte) in edits {
            if let Some(target) = dumps[dump].get_mut(at) {
                *target = byte;
            }
        }
        // Gone here, or moved from one to another.
        for (dump, at, length) in cuts {
            let at = at.min(dumps[dump].len());
            let end = (at + length).min(dumps[dump].len());
            let gone: Vec<_> = dumps[dump].drain(at..end).collect();
            let other = &mut dumps[(dump + 1) % 3];
            let place = at.min(other.len());
            other.splice(place..place, gone);
        }
        let dumps: Vec<_> = dumps.iter().map(Vec::as_slice).collect();
        check_series(&dumps, &[0, part]);
    }
}
#[test]
fn lines_that_come_again_are_read_again() {
    let bytes = damaged();
    let text: Vec<_> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let [one, other] = [&text[1_000..1_028], &text[1_028..1_040]].map(|lines| lines.concat());
    let broken = b"{\"address\":\"0x7f9b271d4{\n";
    // What the third repeats is what the second last had in common with it.
    let first = [&one[..], &other].concat();
    let second = [&one[..], &broken[..], &other].concat();
    let third = [&one[..], &other, &broken[..], &other, &other].concat();
    check_series(&[&first, &second, &third], &[0, 1_000]);
    check_series(&[&second, &first, &third], &[0, 1_000]);
}
