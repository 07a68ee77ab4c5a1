//! Lines of megabytes are read to the same result as any, and what no heap
//! keeps of them takes no memory.
#![allow(clippy::unwrap_used)]

mod support;

use rbleak_heap::{Heap, ObjectType, ReadOptions};
use std::io::{Read, Write as _};

const LONG: usize = 24 << 20;

/// A dump with a string of many megabytes, an array of a million references
/// and garbage in one long line; what Ruby could have written, or nearly.
fn dump() -> Vec<u8> {
    let mut text = Vec::new();
    text.extend_from_slice(
        b"{\"type\":\"ROOT\", \"root\":\"vm\", \"references\":[\"0x7f0000000028\"]}\n",
    );
    text.extend_from_slice(b"{\"address\":\"0x7f0000000028\", \"type\":\"ARRAY\", \"length\":1200000, \"references\":[");
    for at in 0..1_200_000 {
        let address = if at % 2 == 0 {
            "0x7f0000000050"
        } else {
            "0x7f0000000078"
        };
        write!(text, "{}\"{address}\"", if at > 0 { ", " } else { "" }).unwrap();
    }
    text.extend_from_slice(b"], \"memsize\":9600040, \"flags\":{\"old\":true}}\n");
    text.extend_from_slice(b"{\"address\":\"0x7f0000000050\", \"type\":\"STRING\", \"bytesize\":25165824, \"value\":\"");
    text.resize(text.len() + LONG, b'x');
    text.extend_from_slice(b"\\\"\", \"encoding\":\"UTF-8\", \"file\":\"app.rb\", \"line\":7, \"memsize\":25165865, \"flags\":{}}\n");
    text.extend_from_slice(
        b"{\"address\":\"0x7f0000000078\", \"type\":\"STRING\", \"memsize\":40}\n",
    );
    text.resize(text.len() + LONG, b'y');
    text.push(b'\n');
    text.extend_from_slice(
        b"{\"address\":\"0x7f00000000a0\", \"type\":\"STRING\", \"memsize\":40}\n",
    );
    text
}

fn check(heap: &Heap, bytes: usize, references: bool) {
    assert_eq!(heap.len(), 4);
    assert_eq!(heap.issues().skipped(), 1, "{:?}", heap.issues());
    assert_eq!(heap.issues().details()[0].line, 5);
    assert_eq!(heap.issues().repaired(), 0);
    assert_eq!((heap.lines(), heap.total_bytes()), (6, bytes as u64));
    let mut ids = heap.ids();
    let array = ids.next().unwrap();
    assert_eq!(heap.object_type(array), ObjectType::Array);
    assert_eq!(heap.shallow_size(array).0, 9_600_040);
    let found = if references { 1_200_000 } else { 0 };
    assert_eq!(heap.references(array).len(), found);
    let string = ids.next().unwrap();
    assert_eq!(heap.length(string), Some(25_165_824));
    assert_eq!(heap.site_info(heap.site(string).unwrap()).line, 7);
}

#[test]
fn long_lines_are_read_from_files_and_streams() {
    let bytes = dump();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&bytes).unwrap();
    for references in [true, false] {
        for (threads, part_bytes) in [(1, 0), (3, 0), (3, 100_000), (2, 5 << 20)] {
            let options = ReadOptions::default()
                .references(references)
                .threads(threads)
                .part_bytes(part_bytes);
            let heap = Heap::open(file.path(), &options).unwrap();
            check(&heap, bytes.len(), references);
            let stream = std::io::Cursor::new(bytes.clone());
            let heap = Heap::read(stream, "stream", &options).unwrap();
            check(&heap, bytes.len(), references);
        }
    }
}

#[test]
fn a_line_without_end_is_no_dump() {
    for byte in [b'a', b'{', b'[', b'"', b' '] {
        let endless = std::io::repeat(byte).take(40 << 20);
        let heap = Heap::read(endless, "endless", &ReadOptions::default());
        assert!(heap.is_err(), "{}", char::from(byte));
    }
}
