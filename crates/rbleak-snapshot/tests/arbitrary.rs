//! Memory may hold anything: whatever it says, the walk ends, does not panic, reads
//! and writes no more than a fixed factor of what is mapped, and what it writes are
//! whole lines of JSON.

use proptest::prelude::*;
use rbleak_process::maps::{self, Mapping};
use rbleak_process::memory::{Memory, Registers};
use rbleak_snapshot::{Program, SnapshotError, Subject, write, write_unchecked};
use std::cell::Cell;

const BASE: u64 = 0x7f00_0000_0000;
const PAGE: u64 = 64 << 10;
const PAGES: u64 = 4;
const LENGTH: u64 = PAGE * (PAGES + 1);
/// Where descriptions of pages are, and whatever else is no slot.
const REST: u64 = BASE + PAGE * PAGES;
/// Bytes that are written for each that is mapped, at most: every word of every
/// list may be an address, which takes some twenty.
const FACTOR: u64 = 64;

/// Of a Ruby's version: page, start and so on as `ruby_pages` has them.
const RUBIES: [(&str, u64, u64, u64, Option<u64>); 5] = [
    ("ruby 2.7.4p191 (x)", 16 << 10, 24, 0, None),
    ("ruby 3.1.2p20 (x)", 16 << 10, 32, 2, Some(0)),
    ("ruby 3.2.4 (x)", 64 << 10, 32, 2, Some(0)),
    ("ruby 3.3.8 (x)", 64 << 10, 32, 2, Some(0)),
    ("ruby 3.4.5 (x)", 64 << 10, 40, 2, Some(0)),
];

struct Fake {
    bytes: Vec<u8>,
    mappings: Vec<Mapping>,
    read: Cell<u64>,
}

impl Memory for Fake {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        self.read.set(self.read.get() + bytes.len() as u64);
        let Some(at) = address
            .checked_sub(BASE)
            .and_then(|at| usize::try_from(at).ok())
        else {
            return false;
        };
        let found = at
            .checked_add(bytes.len())
            .and_then(|end| self.bytes.get(at..end));
        found.map(|found| bytes.copy_from_slice(found)).is_some()
    }

    fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }
}

impl Fake {
    fn put(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - BASE) as usize;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// A heap all of whose pages are found, and whose words come from `random`.
fn heap(ruby: usize, random: &mut impl FnMut() -> u64) -> Fake {
    let (_, page, start_at, total_at, slot_at) = RUBIES[ruby];
    let mut words = Vec::new();
    for _ in 0..LENGTH / 8 {
        let value = random();
        // Flags of some type, addresses within, small numbers, anything.
        let word = match value % 8 {
            0 => value >> 8 & 0xffff_ffff,
            1 => BASE + (value >> 8) % LENGTH / 40 * 40,
            2..=4 => BASE + (((value >> 8) % LENGTH) & !7),
            5 => value >> 8 & 0x3f,
            6 => 0,
            _ => value,
        };
        words.extend(word.to_le_bytes());
    }
    let range = format!("{BASE:x}-{:x} rw-p 00000000 00:00 0\n", BASE + LENGTH);
    let mut fake = Fake {
        bytes: words,
        mappings: maps::parse(&range),
        read: Cell::new(0),
    };
    let head = 64 + 16;
    for number in 0..PAGE * PAGES / page {
        let (at, description) = (BASE + number * page, REST + number * 256);
        let slot = if slot_at.is_some() && number % 2 == 1 {
            80
        } else {
            40
        };
        let start = at + head;
        fake.put(at, &description.to_le_bytes());
        fake.put(
            description + total_at,
            &(((page - head) / slot) as u16).to_le_bytes(),
        );
        if let Some(slot_at) = slot_at {
            fake.put(description + slot_at, &(slot as u16).to_le_bytes());
        }
        fake.put(description + start_at, &start.to_le_bytes());
    }
    fake
}

/// xorshift64*: what makes the words need not be shrunk.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

fn walked(ruby: usize, fake: &Fake, redact: bool) -> Result<Vec<u8>, SnapshotError> {
    let threads = [Registers {
        stack_pointer: REST + 4096,
        general: vec![BASE + 80, u64::MAX],
    }];
    let subject = Subject {
        memory: fake,
        description: RUBIES[ruby].0,
        machine: Some(REST + 8000),
        shapes: Some(REST + 8192),
        data: vec![REST..REST + 4096, u64::MAX - 8..u64::MAX],
        threads: &threads,
        has_chunks: true,
        redact,
    };
    let (mut dump, mut names) = (Vec::new(), Vec::new());
    let facts = write_unchecked(&subject, &mut dump, &mut names)?;
    // What is no heap is not written, and looking at it ends, too.
    let (mut none, mut other) = (Vec::new(), Vec::new());
    let checked = write(&subject, &mut none, &mut other);
    assert!(
        matches!(checked, Err(SnapshotError::Unsound { .. })),
        "{checked:?}"
    );
    assert!(none.is_empty() && other.is_empty());
    assert!(facts.pages > 0 && facts.live() <= facts.slots);
    dump.extend(names);
    Ok(dump)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_heap_is_walked_to_its_end(seed in any::<u64>(), ruby in 0..RUBIES.len()) {
        let fake = heap(ruby, &mut numbers(seed));
        let text = walked(ruby, &fake, false).expect("it has pages");
        prop_assert!((text.len() as u64) < LENGTH * FACTOR, "{}", text.len());
        prop_assert!(fake.read.get() < LENGTH * FACTOR * 16, "{}", fake.read.get());
        for line in String::from_utf8(text).expect("UTF-8").lines() {
            let json = serde_json::from_str::<serde_json::Value>(line);
            prop_assert!(json.is_ok(), "{line}");
        }
        let redacted = walked(ruby, &fake, true).expect("it has pages");
        let redacted = String::from_utf8(redacted).expect("UTF-8");
        let has_value = |line: &&str| line.contains("\"type\":\"STRING\"") && line.contains("\"value\":");
        prop_assert_eq!(redacted.lines().find(has_value), None);
    }

    #[test]
    fn memory_of_no_ruby_has_no_heap(seed in any::<u64>(), ruby in 0..RUBIES.len()) {
        let mut fake = heap(ruby, &mut numbers(seed));
        fake.bytes.fill((seed % 256) as u8);
        let walked = walked(ruby, &fake, false);
        prop_assert!(matches!(walked, Err(SnapshotError::NoHeap)));
    }
}

#[test]
fn other_rubies_are_told_apart() {
    for (description, name) in [
        ("ruby 2.6.10p210 (x)", "ruby 2.6.10p210"),
        ("ruby 9.9.0 (x)", "ruby 9.9.0"),
        ("truffleruby 24", "truffleruby 24"),
    ] {
        let error = rbleak_snapshot::check(description).expect_err(description);
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(rbleak_snapshot::check("ruby 3.1.7p261 (x)").is_ok());
}

#[test]
fn what_is_no_ruby_has_no_program() {
    let mappings = maps::parse("7f00-7f10 r-xp 00000000 fe:00 1 /usr/bin/ruby3.1\n");
    assert_eq!(Program::find(&mappings, |_| None), None);
    assert_eq!(
        Program::find(&mappings, |_| Some(b"\x7fELF".to_vec())),
        None
    );
}
