//! Any memory is walked as a Ruby's heap: never a panic, never without end, and
//! what is written is no more than a fixed factor of what is mapped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_process::maps::{self, Mapping};
use rbleak_process::memory::Memory;
use rbleak_snapshot::{Subject, write, write_unchecked};

const BASE: u64 = 0x7f00_0000_0000;
const PAGE: u64 = 64 << 10;
const LENGTH: u64 = 2 * PAGE;
/// As `ruby_pages` has them: version, page, start, total, size of a slot.
const RUBIES: [(&str, u64, u64, u64, Option<u64>); 5] = [
    ("ruby 2.7.4p191 (x)", 16 << 10, 24, 0, None),
    ("ruby 3.1.2p20 (x)", 16 << 10, 32, 2, Some(0)),
    ("ruby 3.2.4 (x)", 64 << 10, 32, 2, Some(0)),
    ("ruby 3.3.8 (x)", 64 << 10, 32, 2, Some(0)),
    ("ruby 3.4.5 (x)", 64 << 10, 40, 2, Some(0)),
];
const FACTOR: usize = 64;

struct Fake {
    bytes: Vec<u8>,
    mappings: Vec<Mapping>,
}

impl Memory for Fake {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        let at = address.checked_sub(BASE).map(|at| at as usize);
        let range = at.and_then(|at| Some(at..at.checked_add(bytes.len())?));
        let found = range.and_then(|range| self.bytes.get(range));
        found.map(|found| bytes.copy_from_slice(found)).is_some()
    }

    fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }
}

fuzz_target!(|input: (u8, Vec<u64>)| {
    let (which, words) = input;
    let (description, page, start, total, slot) = RUBIES[usize::from(which) % RUBIES.len()];
    let mut bytes = vec![0; LENGTH as usize];
    // Small ones are places within; others are what they are.
    for (place, word) in bytes.chunks_exact_mut(8).zip(&words) {
        let word = if word % 3 == 0 {
            BASE + word % LENGTH / 8 * 8
        } else {
            *word
        };
        place.copy_from_slice(&word.to_le_bytes());
    }
    let mut put = |at: u64, word: &[u8]| bytes[at as usize..][..word.len()].copy_from_slice(word);
    let head = 80;
    put(0, &(BASE + PAGE).to_le_bytes());
    put(PAGE + total, &(((page - head) / 40) as u16).to_le_bytes());
    if let Some(slot) = slot {
        put(PAGE + slot, &40_u16.to_le_bytes());
    }
    put(PAGE + start, &(BASE + head).to_le_bytes());
    let range = format!("{BASE:x}-{:x} rw-p 00000000 00:00 0\n", BASE + LENGTH);
    let memory = Fake {
        bytes,
        mappings: maps::parse(&range),
    };
    let subject = Subject {
        memory: &memory,
        description,
        machine: Some(BASE + PAGE + 512),
        shapes: Some(BASE + PAGE + 520),
        data: vec![BASE + PAGE + 1024..BASE + PAGE + 2048],
        threads: &[],
        has_chunks: true,
        redact: false,
    };
    let (mut dump, mut names) = (Vec::new(), Vec::new());
    let _ = write_unchecked(&subject, &mut dump, &mut names);
    assert!(dump.len() + names.len() < LENGTH as usize * FACTOR);
    let (mut dump, mut names) = (Vec::new(), Vec::new());
    let _ = write(&subject, &mut dump, &mut names);
    assert!(dump.is_empty() == names.is_empty());
});
