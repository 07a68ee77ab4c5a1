//! What holds for every input: the scanner agrees with a JSON parser on valid
//! lines, and nothing makes it panic.
#![allow(clippy::unwrap_used)]

mod support;

use proptest::prelude::*;
use rbleak_heap::{Heap, ObjectId};
use rbleak_units::Address;
use serde_json::{Map, Value, json};
use support::{read, try_read};

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_/.]{0,12}",
        "\\PC{0,8}",
        // What JSON escapes, and what Ruby should have.
        proptest::collection::vec(
            prop_oneof![
                Just('"'),
                Just('\\'),
                Just('\n'),
                Just('\u{1}'),
                Just('\u{7f}'),
                Just('{'),
                Just(','),
                Just('\u{1f600}'),
                Just('a'),
            ],
            0..8
        )
        .prop_map(|chars| chars.into_iter().collect::<String>()),
    ]
}

fn unknown() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| json!(number)),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("x[a-z]{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn address() -> impl Strategy<Value = u64> {
    prop_oneof![(1_u64..40).prop_map(|slot| slot * 8), 1..=u64::MAX]
}

/// A line of a dump with some of its fields, in any order, among others.
fn line() -> impl Strategy<Value = Map<String, Value>> {
    let hex = |address: u64| Value::from(format!("{address:#x}"));
    let fields = vec![
        ("class", address().prop_map(hex).boxed()),
        ("file", word().prop_map(Value::from).boxed()),
        ("line", (0..100_000_u32).prop_map(Value::from).boxed()),
        ("method", word().prop_map(Value::from).boxed()),
        ("generation", (0..100_000_u32).prop_map(Value::from).boxed()),
        ("memsize", any::<u64>().prop_map(Value::from).boxed()),
        ("slot_size", (40..2000_u64).prop_map(Value::from).boxed()),
        ("shape_id", (0..1000_u32).prop_map(Value::from).boxed()),
        ("bytesize", any::<u64>().prop_map(Value::from).boxed()),
        ("flags", unknown().boxed()),
        ("value", word().prop_map(Value::from).boxed()),
        ("xtra", unknown().boxed()),
        (
            "references",
            proptest::collection::vec(address().prop_map(hex), 0..5)
                .prop_map(Value::from)
                .boxed(),
        ),
    ];
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(key, value)| proptest::option::of(value).prop_map(move |value| (key, value)))
        .collect();
    (
        address(),
        prop_oneof![Just("STRING"), Just("ARRAY"), Just("CLASS"), Just("DATA")],
        fields.prop_shuffle(),
    )
        .prop_map(move |(address, object_type, fields)| {
            let mut line = Map::new();
            line.insert("address".into(), hex(address));
            line.insert("type".into(), object_type.into());
            for (key, value) in fields {
                if let Some(value) = value {
                    line.insert(key.into(), value);
                }
            }
            line
        })
}

fn check(heap: &Heap, id: ObjectId, line: &Map<String, Value>) {
    let number = |key: &str| line.get(key).and_then(Value::as_u64);
    let text = |key: &str| line.get(key).and_then(Value::as_str);
    let at = |key: &str| text(key).map(|hex| hex.parse::<Address>().unwrap());
    assert_eq!(Some(heap.address(id)), at("address"));
    assert_eq!(Some(heap.object_type(id).as_str()), text("type"));
    assert_eq!(heap.class(id), at("class"));
    assert_eq!(heap.length(id), number("bytesize"));
    assert_eq!(
        heap.generation(id).map(|g| u64::from(g.0)),
        number("generation")
    );
    assert_eq!(heap.shape_id(id).map(u64::from), number("shape_id"));
    let site = heap.site(id).map(|site| heap.site_info(site));
    assert_eq!(site.map(|site| site.file), text("file"));
    if let Some(site) = site {
        assert_eq!(site.method, text("method"));
        assert_eq!(u64::from(site.line), number("line").unwrap_or(0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        // No files of failures in the repository.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn valid_lines_are_read_as_json(
        lines in proptest::collection::vec(line(), 1..12),
        pretty in any::<bool>(),
    ) {
        let mut text = String::new();
        for line in &lines {
            let line = serde_json::to_string(line).unwrap();
            text.push_str(&line);
            text.push_str(if pretty { " \r\n" } else { "\n" });
        }
        let heap = read(text);
        prop_assert!(heap.issues().is_empty(), "{:?}", heap.issues());
        prop_assert_eq!(heap.len(), lines.len());
        let mut references = 0;
        for (id, line) in heap.ids().zip(&lines) {
            check(&heap, id, line);
            let found: Vec<_> = line.get("references").and_then(Value::as_array).into_iter()
                .flatten()
                .map(|hex| hex.as_str().unwrap().parse().unwrap())
                .inspect(|_| references += 1)
                .filter_map(|address| heap.find(address))
                .collect();
            prop_assert_eq!(heap.references(id), &found[..]);
        }
        prop_assert_eq!(heap.reference_count() as u64 + heap.dangling_references(), references);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = try_read(bytes.clone());
        let mut after = b"{\"address\":\"0x8\", \"type\":\"STRING\", \"file\":\"".to_vec();
        after.extend(bytes);
        let _ = try_read(after);
    }

    #[test]
    fn no_damage_to_real_lines_makes_it_panic(
        start in 0..3_000_000_usize,
        edits in proptest::collection::vec((0..20_000_usize, any::<u8>()), 0..30),
    ) {
        let text = sample();
        let mut text = text[start..(start + 20_000).min(text.len())].to_vec();
        for (at, byte) in edits {
            if let Some(target) = text.get_mut(at) {
                *target = byte;
            }
        }
        if let Ok(heap) = try_read(text) {
            for id in heap.ids() {
                let _ = (heap.class_name(id), heap.shallow_size(id), heap.references(id));
            }
        }
    }

    #[test]
    fn a_dump_cut_anywhere_is_truncated_or_ends_clean(cut in 1..3_000_000_usize) {
        let text = &sample()[..cut];
        let heap = read(text);
        prop_assert_eq!(heap.issues().skipped(), 0);
        match heap.issues().truncated() {
            None => assert!(text.ends_with(b"\n") || text.ends_with(b"}")),
            Some(truncation) => {
                assert!(!text.ends_with(b"}}\n"));
                prop_assert!(truncation.line <= heap.lines());
            }
        }
    }
}

/// A real dump with broken lines.
fn sample() -> &'static [u8] {
    static SAMPLE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    SAMPLE.get_or_init(|| support::bytes("3.4", "broken"))
}
