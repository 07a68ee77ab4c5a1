//! Lines that no JSON parser takes: what real Rubies write is repaired to
//! the letter, the rest is skipped and counted.
#![allow(clippy::unwrap_used)]

mod support;

use rbleak_heap::{Heap, IssueKind, ObjectId, ReadError, ReadOptions, Reason};
use std::collections::BTreeSet;
use std::io::{Cursor, Write};
use support::{VERSIONS, heap, read, try_read};

fn files(heap: &Heap) -> BTreeSet<&str> {
    let sites = heap.ids().filter_map(|id| heap.site(id));
    sites.map(|site| heap.site_info(site).file).collect()
}

fn methods(heap: &Heap) -> BTreeSet<&str> {
    let sites = heap.ids().filter_map(|id| heap.site(id));
    sites
        .filter_map(|site| heap.site_info(site).method)
        .collect()
}

#[test]
fn the_broken_dumps_read_as_they_were_meant() {
    for version in VERSIONS {
        let heap = heap(version, "broken");
        let files = files(&heap);
        for file in ["fi\"le.rb", "a\nb.rb", "C:\\temp\\u.rb", "bad\u{fffd}.rb"] {
            assert!(files.contains(file), "{version}: {file:?} in {files:?}");
        }
        let methods = methods(&heap);
        for method in ["we\"ird", "new\nline", "bin\u{fffd}", "esc\u{1b}\u{1f}"] {
            assert!(
                methods.contains(method),
                "{version}: {method:?} in {methods:?}"
            );
        }
        let structs: BTreeSet<_> = heap.ids().filter_map(|id| heap.struct_name(id)).collect();
        assert!(
            structs.contains("we\"ird\\type\nname"),
            "{version}: {structs:?}"
        );
        let issues = heap.issues();
        assert_eq!(issues.skipped(), 0, "{version}: {issues:?}");
        assert!(issues.truncated().is_none());
        assert_eq!(issues.details().len() as u64, issues.repaired());
    }
}

#[test]
fn a_dump_that_was_cut_says_at_which_line() {
    for version in VERSIONS {
        let heap = heap(version, "cut");
        let issues = heap.issues();
        assert_eq!(issues.skipped(), 0, "{version}: {issues:?}");
        // Those of 2.1 and 2.7 happen to end with a line.
        let is_cut = !matches!(version, "2.1" | "2.7");
        assert_eq!(
            issues.truncated().is_some(),
            is_cut,
            "{version}: {issues:?}"
        );
        if let Some(cut) = issues.truncated() {
            assert_eq!(cut.line, heap.lines(), "{version}");
            assert!(cut.to_string().contains("middle of line"));
        }
    }
}

/// One object with raw text where `{}` stands.
fn object(fields: &str) -> String {
    format!("{{\"address\":\"0x28\", \"type\":\"DATA\", {fields}, \"memsize\":40}}\n")
}

#[track_caller]
fn check(text: impl Into<Vec<u8>>, repaired: &[(u64, Reason)], skipped: &[(u64, Reason)]) -> Heap {
    let heap = read(text);
    let of = |kind| -> Vec<_> {
        let issues = heap.issues().details().iter();
        issues
            .filter(|issue| issue.kind == kind)
            .map(|issue| (issue.line, issue.reason))
            .collect()
    };
    assert_eq!(of(IssueKind::Repaired), repaired);
    assert_eq!(of(IssueKind::Skipped), skipped);
    heap
}

#[test]
fn raw_fields_end_where_a_key_follows() {
    let good = object("\"file\":\"a.rb\", \"line\":1");
    let cases = [
        ("\"struct\":\"a\\\", \"file\":\"x\"", "a\\"),
        ("\"struct\":\"a\"b\", \"generation\":1", "a\"b"),
        ("\"struct\":\"a\", b\", \"references\":[]", "a\", b"),
        ("\"struct\":\"}\"", "}"),
        ("\"struct\":\"\"\"", "\""),
    ];
    for (fields, name) in cases {
        let heap = read(object(fields) + &good);
        assert_eq!(
            heap.struct_name(ObjectId::from_index(0)),
            Some(name),
            "{fields}"
        );
        assert_eq!(heap.len(), 2);
        assert_eq!(heap.issues().skipped(), 0);
    }
}

#[test]
fn a_newline_joins_lines_but_never_swallows_the_next_object() {
    let good = object("\"struct\":\"good\"");
    let split = object("\"file\":\"a\n\nb}\nc\", \"line\":3");
    let heap = check(
        format!("{good}{split}{good}"),
        &[(2, Reason::SplitLine)],
        &[],
    );
    assert_eq!((heap.len(), heap.lines()), (3, 6));
    assert_eq!(files(&heap), BTreeSet::from(["a\n\nb}\nc"]));

    let unfinished = "{\"address\":\"0x50\", \"type\":\"STRING\", \"file\":\"a\n";
    let heap = check(
        format!("{good}{unfinished}{good}"),
        &[],
        &[(2, Reason::NotJson)],
    );
    assert_eq!(heap.len(), 2);
}

#[test]
fn stale_bytes_of_3_0_are_one_unknown_character_each() {
    for stale in ["\0\", \"m", "\0abcde", "\0\n{\"ty", "\0\\\\\\\\\\"] {
        let stale = &stale.as_bytes()[..6.min(stale.len())];
        let mut text = b"{\"address\":\"0x28\", \"type\":\"STRING\", \"file\":\"a.rb\", \"line\":1, \"method\":\"caf".to_vec();
        for _ in 0..2 {
            text.extend(b"\\u00ff");
            text.extend(stale);
            text.resize(text.len() + 6 - stale.len(), b'x');
        }
        text.extend(b"?\", \"generation\":7, \"memsize\":40}\n");
        let heap = read(text);
        assert_eq!(
            methods(&heap),
            BTreeSet::from(["caf\u{fffd}\u{fffd}?"]),
            "{stale:?}"
        );
        assert_eq!(heap.issues().repaired(), 1, "{stale:?}");
        assert_eq!(heap.issues().details()[0].reason, Reason::StaleBytes);
    }
}

#[test]
fn what_is_no_line_of_a_dump_is_skipped_and_counted() {
    let good = object("\"struct\":\"good\"");
    let text = format!(
        "{good}\nhello\n{{\"a\":1}}\n[1]\n\n{{\"address\":\"0x28\"}}\n{{\"type\":\"STRING\"}}\n{good}"
    );
    let heap = check(
        text,
        &[],
        &[
            (3, Reason::NotJson),
            (4, Reason::NotADumpLine),
            (5, Reason::NotJson),
            (7, Reason::NotADumpLine),
            (8, Reason::NotADumpLine),
        ],
    );
    assert_eq!(heap.len(), 2);
    assert_eq!(heap.duplicate_addresses(), 1);
    // Totals stay exact beyond the details that are kept.
    let heap = read(good + &"junk\n".repeat(5000));
    assert_eq!(heap.issues().skipped(), 5000);
    assert_eq!(heap.issues().details().len(), 1000);
}

#[test]
fn other_tools_spacing_and_order_are_read_too() {
    let heap = read(
        "{\"type\":\"STRING\",\"memsize\":80,\"address\":\"0x28\",\"references\":[ \"0x28\" , \"0x50\" ],\"x\":{\"y\":[1,\"]}\"]}}\r\n{ \"address\" : \"0x0050\" , \"type\" : \"NEWTYPE\" }",
    );
    assert_eq!(heap.len(), 2);
    assert!(heap.issues().is_empty(), "{:?}", heap.issues());
    let rows: Vec<_> = heap.ids().collect();
    assert_eq!(heap.references(rows[0]), &rows[..]);
    assert_eq!(heap.shallow_size(rows[0]).0, 80);
}

#[test]
fn a_line_of_many_megabytes_is_read() {
    let mut text =
        String::from("{\"address\":\"0x28\", \"type\":\"ARRAY\", \"references\":[\"0x28\"");
    for _ in 0..1_000_000 {
        text.push_str(", \"0x28\"");
    }
    text.push_str("], \"memsize\":8000040}\n");
    assert!(text.len() > 8_000_000);
    assert_eq!(read(text).reference_count(), 1_000_001);
}

#[test]
fn files_that_are_no_dumps_are_refused_with_a_hint() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "is empty"),
        (b"\n\n\n", "blank lines"),
        (b"\x7fELF\x02\x01", "ELF"),
        (b"BZh91AY", "bzip2"),
        (b"PNG\0\0\0", "binary"),
        (b"[{\"address\":1}]", "no line"),
        (b"[1, 2]\n", "JSON array"),
        (b"{\"nodes\": []}\n", "some other JSON"),
        (b"gem 'rack'\n", "some other text"),
        (b"{\"type\":\"object\"}\n", "no line"),
    ];
    for (bytes, hint) in cases {
        let error = try_read(*bytes).unwrap_err();
        assert!(error.to_string().contains(hint), "{error} for {hint}");
        assert!(error.to_string().contains("text"), "{error}");
    }
    let options = ReadOptions::default();
    let error = Heap::open("/no/such/dump", &options).unwrap_err();
    assert!(matches!(error, ReadError::Open { .. }), "{error}");
    let error = Heap::open("/", &options).unwrap_err();
    assert!(matches!(error, ReadError::Directory { .. }), "{error}");
    let error = Heap::open("/dev/null", &options).unwrap_err();
    assert!(matches!(error, ReadError::Empty { .. }), "{error}");
}

#[test]
fn compressed_files_that_are_cut_give_what_is_there() {
    let plain = support::bytes("3.3", "A");
    let whole = read(plain.clone());
    let zst = std::fs::read(support::path("3.3", "A")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&plain[..5_000_000]).unwrap();
    let mut gz = gz.finish().unwrap();
    // A second member, as `cat a.gz b.gz` makes it.
    let mut second = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    second.write_all(&plain[5_000_000..]).unwrap();
    gz.extend(second.finish().unwrap());
    for packed in [zst, gz] {
        assert_eq!(read(packed.clone()).len(), whole.len());
        let heap = read(&packed[..packed.len() / 2]);
        let truncation = heap.issues().truncated().unwrap();
        assert!(
            matches!(truncation.cause, rbleak_heap::Cut::Decompression(_)),
            "{truncation}"
        );
        assert!(heap.len() > whole.len() / 4 && heap.len() < whole.len());
        let error = try_read(&packed[..20]).unwrap_err();
        assert!(matches!(error, ReadError::Decompress { .. }), "{error}");
    }
}

#[test]
fn a_reader_that_fails_is_an_error_with_the_place() {
    struct Failing(Cursor<Vec<u8>>);
    impl std::io::Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::other("unplugged")),
                count => Ok(count),
            }
        }
    }
    let line = object("\"struct\":\"x\"");
    let failing = Failing(Cursor::new(line.clone().into_bytes()));
    let error = Heap::read(failing, "disk", &ReadOptions::default()).unwrap_err();
    let expected = format!("cannot read disk at byte {}: unplugged", line.len());
    assert_eq!(error.to_string(), expected);
}
