//! A heap as Ruby 3.2 lays it out, built by hand from what its headers say: no live 3.2
//! is at hand. The virtual machine has the list of shapes, a class's name is among its
//! variables, shapes of other kinds lie between those of variables, and what has too
//! many has a table.

use rbleak_process::maps::{self, Mapping};
use rbleak_process::memory::Memory;
use rbleak_snapshot::{Checked, Subject, write_unchecked};
use serde_json::Value;

const BASE: u64 = 0x7f00_0000_0000;
const PAGE: u64 = 64 << 10;
/// Behind two pages of slots.
const REST: u64 = BASE + 2 * PAGE;
const LENGTH: u64 = 4 * PAGE;
/// Of the first slot in a page.
const HEAD: u64 = 80;

const T_OBJECT: u64 = 1;
const T_CLASS: u64 = 2;
const T_STRING: u64 = 5;
const T_ARRAY: u64 = 7;
/// ROBJECT_EMBED.
const EMBEDDED: u64 = 1 << 13;

/// Numbers of names.
const CLASSPATH: u64 = 300;
const FIRST: u64 = 301;
const SECOND: u64 = 302;
/// `enum shape_type` of 3.2.
const ROOT: u8 = 0;
const IVAR: u8 = 1;
const CAPACITY_CHANGE: u8 = 3;
const OF_OBJECT: u8 = 5;
const OBJ_TOO_COMPLEX: u8 = 6;

struct Heap {
    bytes: Vec<u8>,
    mappings: Vec<Mapping>,
    small: u64,
    free: u64,
}

impl Memory for Heap {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        let at = address.checked_sub(BASE).map(|at| at as usize);
        let found = at.and_then(|at| self.bytes.get(at..at.checked_add(bytes.len())?));
        found.map(|found| bytes.copy_from_slice(found)).is_some()
    }

    fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }
}

impl Heap {
    /// One page of slots of 40 bytes, one of 160.
    fn new() -> Heap {
        let range = format!("{BASE:x}-{:x} rw-p 00000000 00:00 0\n", BASE + LENGTH);
        let mut heap = Heap {
            bytes: vec![0; LENGTH as usize],
            mappings: maps::parse(&range),
            small: BASE + HEAD,
            free: REST + 4096,
        };
        for (page, slot) in [(BASE, 40), (BASE + PAGE, 160)] {
            let description = REST + (page - BASE) / PAGE * 256;
            heap.words(page, &[description]);
            heap.put(description, &(slot as u16).to_le_bytes());
            let slots = ((PAGE - HEAD) / slot) as u16;
            heap.put(description + 2, &slots.to_le_bytes());
            heap.words(description + 32, &[page + HEAD]);
        }
        heap
    }

    fn put(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - BASE) as usize;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn words(&mut self, address: u64, words: &[u64]) {
        for (index, word) in (0..).zip(words) {
            self.put(address + index * 8, &word.to_le_bytes());
        }
    }

    /// In a slot of its own.
    fn slot(&mut self, words: &[u64]) -> u64 {
        let at = self.small;
        self.small += 40;
        self.words(at, words);
        at
    }

    /// As malloc gives it.
    fn beside(&mut self, words: &[u64]) -> u64 {
        let at = self.free;
        self.free += (words.len() as u64 * 8).next_multiple_of(16) + 16;
        self.words(at, words);
        at
    }

    /// Embedded: its length, then its bytes.
    fn string(&mut self, text: &str) -> u64 {
        let at = self.slot(&[T_STRING, 0, text.len() as u64]);
        self.put(at + 24, text.as_bytes());
        at
    }

    fn shape(&mut self, list: u64, id: u64, shape: (u64, u32, u8, u32)) {
        let (edge, variables, kind, parent) = shape;
        let at = list + id * 32;
        self.words(at + 8, &[edge]);
        self.put(at + 16, &variables.to_le_bytes());
        self.put(at + 24, &[kind]);
        self.put(at + 28, &parent.to_le_bytes());
    }
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn shapes_and_names_are_where_3_2_has_them() {
    let mut heap = Heap::new();
    // What symbols are called: an Array of Arrays, of which nobody knows.
    let names = [(CLASSPATH, "__classpath__"), (FIRST, "@a"), (SECOND, "@b")];
    let mut entries = Vec::new();
    for number in 0..512 {
        let name = names.iter().find(|(own, _)| *own == number);
        let string = name.map_or(4, |(_, name)| heap.string(name));
        entries.extend([string, number << 8 | 0x0c]);
    }
    let entries = heap.beside(&entries);
    let block = heap.slot(&[T_ARRAY, 0, 1024, 1024, entries]);
    let blocks = heap.beside(&[block]);
    heap.slot(&[T_ARRAY, 0, 1, 1, blocks]);

    let list = heap.beside(&[0; 64]);
    for (id, shape) in [
        (0, (0, 0, ROOT, u32::MAX)),
        (1, (CLASSPATH, 1, IVAR, 0)),
        (5, (0, 0, OF_OBJECT, 0)),
        (6, (FIRST, 1, IVAR, 5)),
        (7, (0, 1, CAPACITY_CHANGE, 6)),
        (8, (SECOND, 2, IVAR, 7)),
        (9, (0, 0, OBJ_TOO_COMPLEX, 0)),
    ] {
        heap.shape(list, id, shape);
    }
    // rb_vm_struct.shape_list.
    let machine = heap.beside(&[0; 1200]);
    heap.words(machine + 376, &[list]);
    let variable = heap.beside(&[machine]);

    // A class has its methods and then the rest of it behind itself.
    let name = heap.string("Foo");
    let variables = heap.beside(&[name]);
    let class = BASE + PAGE + HEAD;
    heap.words(class, &[T_CLASS | 1 << 32, class, 0, 0, variables]);
    let (one, two) = (heap.string("one"), heap.string("two"));
    let here = heap.slot(&[T_OBJECT | EMBEDDED | 8 << 32, class, one, two]);
    let values = heap.beside(&[two, one]);
    let there = heap.slot(&[T_OBJECT | 8 << 32, class, values]);
    let pairs = heap.beside(&[7, FIRST, two]);
    let table = heap.beside(&[0, 0, 1, 0, 0, 1, pairs]);
    let complex = heap.slot(&[T_OBJECT | 9 << 32, class, table]);

    let subject = Subject {
        memory: &heap,
        description: "ruby 3.2.2 (2023-03-30 revision e51014f9c0) [x86_64-linux]",
        machine: Some(variable),
        shapes: None,
        data: Vec::new(),
        threads: &[],
        has_chunks: true,
        redact: false,
    };
    let (mut dump, mut sidecar) = (Vec::new(), Vec::new());
    let facts = write_unchecked(&subject, &mut dump, &mut sidecar).expect("a heap");
    assert_eq!(facts.checked, Some(Checked::Derived));
    assert!(!facts.absent.contains(&"instance variables"), "{facts:?}");
    assert!(facts.caveat().is_some());

    let dump = lines(&dump);
    let line = |address: u64| {
        let address = format!("{address:#x}");
        let found = dump.iter().find(|line| line["address"] == *address);
        found.unwrap_or_else(|| panic!("{address} is in the dump"))
    };
    let hex = |list: &[u64]| -> Value { list.iter().map(|it| format!("{it:#x}")).collect() };
    assert_eq!(line(class)["name"], "Foo");
    assert_eq!(line(class)["slot_size"], 160);
    assert_eq!(line(class)["references"], hex(&[name]));
    assert_eq!(line(name)["value"], "Foo");
    assert_eq!(line(here)["references"], hex(&[one, two]));
    assert_eq!(line(here)["ivars"], 2);
    assert_eq!(line(here)["shape_id"], 8);
    assert_eq!(line(there)["references"], hex(&[two, one]));
    assert_eq!(line(complex)["references"], hex(&[two]));

    let sidecar = lines(&sidecar);
    let has = |object: u64, name: &str, value: u64| {
        let (object, value) = (format!("{object:#x}"), format!("{value:#x}"));
        sidecar.iter().any(|line| {
            line["object"] == *object && line["name"] == *name && line["value"] == *value
        })
    };
    assert!(has(here, "@a", one) && has(here, "@b", two), "{sidecar:#?}");
    assert!(
        has(there, "@a", two) && has(there, "@b", one),
        "{sidecar:#?}"
    );
}
