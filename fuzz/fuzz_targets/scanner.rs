//! What serde_json takes for a line of a dump, the scanner takes too, and
//! reads the same from it: every value of it that a heap tells.
//!
//! An even first byte is followed by the fields of a line as they stand; an
//! odd one by choices from which a line like Ruby's is made.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use rbleak_fuzz::within;
use rbleak_heap::{Heap, ObjectId, ObjectType, ReadOptions};
use rbleak_units::Address;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fmt;

/// A field of two bytes may cost a page of addresses; the buffer that a
/// stream is read through is the constant.
const FACTOR: usize = 128;
const CONSTANT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, rest)) = bytes.split_first() else {
        return;
    };
    let line = if mode % 2 == 0 {
        match std::str::from_utf8(rest) {
            Ok(fields) => format!("{{{fields}}}"),
            Err(_) => return,
        }
    } else {
        match ruby_line(&mut Unstructured::new(rest)) {
            Ok(line) => line,
            Err(_) => return,
        }
    };
    if !line.contains(['\n', '\r']) {
        compare(&line);
    }
});

/// The members of an object as they stand, in their order. A key with an
/// escape is none: the scanner compares keys as they stand.
struct Members<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pairs;
        impl<'a> Visitor<'a> for Pairs {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'a>>(
                self,
                mut map: M,
            ) -> std::result::Result<Members<'a>, M::Error> {
                let mut all = Vec::new();
                while let Some(pair) = map.next_entry::<&str, &RawValue>()? {
                    all.push(pair);
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl<'a> Members<'a> {
    /// The last value under one of these keys, as it stands.
    fn raw(&self, keys: &[&str]) -> Option<&'a str> {
        let mut all = self.0.iter().rev();
        all.find(|(key, _)| keys.contains(key))
            .map(|(_, value)| value.get())
    }

    fn integer(&self, keys: &[&str]) -> Option<u64> {
        let raw = self.raw(keys)?;
        // No sign, no fraction, no exponent.
        raw.bytes().all(|b| b.is_ascii_digit()).then_some(())?;
        raw.parse().ok()
    }

    fn text(&self, keys: &[&str]) -> Option<String> {
        serde_json::from_str(self.raw(keys)?).ok()
    }

    fn address(&self, key: &str) -> u64 {
        self.raw(&[key]).and_then(address_of).unwrap_or(0)
    }

    fn references(&self) -> Vec<u64> {
        let elements: Vec<&RawValue> = self
            .raw(&["references"])
            .and_then(|raw| serde_json::from_str(raw).ok())
            .unwrap_or_default();
        let addresses = elements.iter().filter_map(|raw| address_of(raw.get()));
        addresses.collect()
    }

    /// Whether it is within what the two agree on: once each key that is
    /// gathered, no escapes in words that are compared as they stand, strings
    /// that exist in Unicode.
    fn is_comparable(&self) -> bool {
        let count = |key: &str| self.0.iter().filter(|(k, _)| *k == key).count();
        let plain = [
            "type",
            "root",
            "address",
            "class",
            "superclass",
            "references",
        ];
        let texts = [
            "file",
            "method",
            "struct",
            "imemo_type",
            "node_type",
            "name",
            "real_class_name",
            "edge_name",
            "shape_type",
        ];
        count("references") <= 1
            && count("type") <= 1
            && self.0.iter().all(|(key, value)| {
                let raw = value.get();
                let is_plain = !plain.contains(key) || !raw.contains('\\');
                let is_text = !texts.contains(key)
                    || !raw.starts_with('"')
                    || serde_json::from_str::<String>(raw).is_ok();
                // The quick way past an array of addresses does not look for
                // strings with brackets.
                let is_flat = *key != "references"
                    || raw.matches(['[', ']']).count() == 2 && raw.starts_with('[')
                    || !raw.contains(['[', ']']);
                is_plain && is_text && is_flat
            })
    }
}

fn address_of(raw: &str) -> Option<u64> {
    let text = raw.strip_prefix('"')?.strip_suffix('"')?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then_some(())?;
    match digits.trim_start_matches('0') {
        "" => Some(0),
        digits => u64::from_str_radix(digits, 16).ok(),
    }
}

fn compare(line: &str) {
    let Ok(members) = serde_json::from_str::<Members<'_>>(line) else {
        return;
    };
    if !members.is_comparable() {
        return;
    }
    let address = members.address("address");
    let references = members.references();
    // What the line refers to is in the dump, too, so that it resolves.
    let mut known: BTreeSet<u64> = references.iter().copied().collect();
    known.insert(members.address("superclass"));
    known.insert(1 << 40);
    known.insert(1 << 41);
    known.remove(&address);
    known.remove(&0);
    let mut text = String::from("{\"type\":\"ROOT\", \"root\":\"vm\", \"references\":[]}\n");
    text.push_str(line);
    text.push('\n');
    for known in &known {
        text.push_str(&format!(
            "{{\"address\":\"{known:#x}\", \"type\":\"CLASS\", \"superclass\":\"0x10000000000\", \"memsize\":40}}\n"
        ));
    }
    for keep in [true, false] {
        let options = ReadOptions::default().references(keep).threads(1);
        let bytes = text.clone().into_bytes();
        let heap = within(text.len() * FACTOR + CONSTANT, || {
            Heap::read(std::io::Cursor::new(bytes), "fuzz", &options)
        });
        let heap = heap.expect("the other lines are whole");
        assert_eq!(heap.issues().repaired(), 0, "{line}");
        assert_eq!(heap.issues().truncated(), None, "{line}");
        check(&heap, &members, line, keep);
        again(&heap, line, &options);
    }
}

/// A line that comes again, when its end is remembered, says the same.
fn again(heap: &Heap, line: &str, options: &ReadOptions) {
    if heap.issues().skipped() > 0 || heap.len() == 0 {
        return;
    }
    let bytes = format!("{line}\n").repeat(3).into_bytes();
    let Ok(again) = Heap::read(std::io::Cursor::new(bytes), "fuzz", options) else {
        return;
    };
    let told = |heap: &Heap, id| {
        (
            heap.object_type(id),
            heap.address(id),
            heap.site(id)
                .map(|site| format!("{:?}", heap.site_info(site))),
            heap.generation(id),
            heap.shallow_size(id),
            heap.length(id),
        )
    };
    for id in again.ids() {
        assert_eq!(
            told(&again, id),
            told(heap, ObjectId::from_index(0)),
            "{line}"
        );
    }
}

fn check(heap: &Heap, members: &Members<'_>, line: &str, keep: bool) {
    let address = members.address("address");
    let row = ObjectId::from_index(0);
    let is_row = heap.issues().skipped() == 0;
    match members.text(&["type"]).as_deref() {
        Some("ROOT") => match members.raw(&["root"]).filter(|raw| raw.starts_with('"')) {
            None => assert!(!is_row, "{line}"),
            Some(_) => {
                let root = &heap.roots()[1];
                assert_eq!(Some(&root.name), members.text(&["root"]).as_ref());
                let expected = if keep {
                    members.references()
                } else {
                    Vec::new()
                };
                let expected = expected
                    .into_iter()
                    .filter(|&it| it != address || heap.find(Address(it)).is_some());
                let expected: Vec<u64> = expected.filter(|&it| it != 0).collect();
                let found: Vec<u64> = root
                    .references
                    .iter()
                    .map(|&id| heap.address(id).0)
                    .collect();
                assert_eq!(found, expected, "{line}");
            }
        },
        Some("SHAPE") => match members
            .integer(&["id"])
            .and_then(|id| u32::try_from(id).ok())
        {
            None => assert!(!is_row, "{line}"),
            Some(id) => {
                let shape = heap.shapes().get(id).expect("the shape");
                let parent = members.integer(&["parent_id"]);
                assert_eq!(
                    shape.parent_id,
                    parent.and_then(|id| u32::try_from(id).ok())
                );
                assert_eq!(
                    shape.edge_name.as_deref(),
                    members.text(&["edge_name"]).as_deref()
                );
                assert_eq!(
                    *shape.shape_type,
                    *members.text(&["shape_type"]).unwrap_or_default()
                );
                assert_eq!(shape.address.0, address);
                assert_eq!(shape.memsize.0, members.integer(&["memsize"]).unwrap_or(0));
            }
        },
        Some(word) if address != 0 => {
            assert!(is_row, "{line}");
            object(heap, row, type_of(word), members, line, keep);
        }
        _ => assert!(!is_row, "{line}"),
    }
}

fn object(
    heap: &Heap,
    id: ObjectId,
    object_type: ObjectType,
    members: &Members<'_>,
    line: &str,
    keep: bool,
) {
    let address = members.address("address");
    assert_eq!(heap.address(id).0, address, "{line}");
    assert_eq!(heap.find(Address(address)), Some(id), "{line}");
    assert_eq!(heap.object_type(id), object_type, "{line}");
    let is_live = heap.is_live(id);
    let class = Some(members.address("class")).filter(|&it| it != 0 && is_live);
    let told = class.filter(|_| object_type != ObjectType::Imemo);
    assert_eq!(heap.class(id).map(|it| it.0), told, "{line}");
    let memsize = members.integer(&["memsize"]);
    let size = match memsize {
        Some(memsize) => memsize,
        None if is_live => members.integer(&["slot_size"]).unwrap_or(40),
        None => 0,
    };
    assert_eq!(heap.shallow_size(id).0, size, "{line}");
    let length = members.integer(&["length", "size", "bytesize", "ivars"]);
    let (ivars, length) = match object_type {
        ObjectType::Object => (length, None),
        _ => (None, length),
    };
    assert_eq!(
        (heap.ivar_count(id), heap.length(id)),
        (ivars, length),
        "{line}"
    );
    let generation = members.integer(&["generation"]);
    let generation = generation.map(|it| it.min(u64::from(u32::MAX - 1)) as u32);
    assert_eq!(heap.generation(id).map(|it| it.0), generation, "{line}");
    if keep {
        let shape = members.integer(&["shape_id"]);
        let shape = shape
            .and_then(|id| u32::try_from(id).ok())
            .filter(|&id| id != u32::MAX);
        assert_eq!(heap.shape_id(id), shape, "{line}");
        let found: Vec<u64> = heap
            .references(id)
            .iter()
            .map(|&it| heap.address(it).0)
            .collect();
        let expected = members.references().into_iter().filter(|&it| it != 0);
        assert_eq!(found, expected.collect::<Vec<_>>(), "{line}");
    }
    // Ruby to 2.7 writes "(null)" for no file.
    let file = members.text(&["file"]).filter(|file| file != "(null)");
    let site = heap.site(id).map(|site| heap.site_info(site));
    assert_eq!(site.map(|site| site.file), file.as_deref(), "{line}");
    if let Some(site) = site {
        assert_eq!(site.method, members.text(&["method"]).as_deref(), "{line}");
        let number = members
            .integer(&["line"])
            .and_then(|it| u32::try_from(it).ok());
        assert_eq!(site.line, number.unwrap_or(0), "{line}");
    }
    let detail = members.text(&["struct", "imemo_type", "node_type"]);
    let of = |wanted| detail.as_deref().filter(|_| object_type == wanted);
    assert_eq!(heap.struct_name(id), of(ObjectType::Data), "{line}");
    assert_eq!(heap.imemo_type(id), of(ObjectType::Imemo), "{line}");
    let is_module = matches!(object_type, ObjectType::Class | ObjectType::Module);
    let has_class_fields = is_module || object_type == ObjectType::Iclass;
    let singleton = has_class_fields && members.raw(&["singleton"]).is_some_and(|it| it == "true");
    assert_eq!(heap.is_singleton(id), singleton, "{line}");
    if is_module && !singleton {
        assert_eq!(heap.name(id), members.text(&["name"]).as_deref(), "{line}");
    }
    let above = Some(members.address("superclass")).filter(|&it| it != 0 && has_class_fields);
    let told = heap.superclass(id).map(|it| heap.address(it).0);
    assert_eq!(told, above, "{line}");
    let _ = heap.class_name(id);
}

fn type_of(word: &str) -> ObjectType {
    let all = ObjectType::ALL.iter();
    let mut known = all.filter(|known| known.as_str() == word);
    known.next().copied().unwrap_or(ObjectType::Unknown)
}

/// A line such as Ruby writes, or nearly: keys that mean something, values of
/// their kind or of another.
fn ruby_line(u: &mut Unstructured<'_>) -> Result<String> {
    const KEYS: &[(&str, u8)] = &[
        ("class", b'a'),
        ("superclass", b'a'),
        ("default", b'a'),
        ("receiver_class", b'a'),
        ("shape_id", b'n'),
        ("slot_size", b'n'),
        ("length", b'n'),
        ("size", b'n'),
        ("bytesize", b'n'),
        ("capacity", b'n'),
        ("ivars", b'n'),
        ("line", b'n'),
        ("generation", b'n'),
        ("memsize", b'n'),
        ("id", b'n'),
        ("parent_id", b'n'),
        ("fd", b'n'),
        ("frozen", b'b'),
        ("fstring", b'b'),
        ("embedded", b'b'),
        ("shared", b'b'),
        ("chilled", b'b'),
        ("singleton", b'b'),
        ("struct", b's'),
        ("imemo_type", b's'),
        ("node_type", b's'),
        ("name", b's'),
        ("real_class_name", b's'),
        ("value", b's'),
        ("encoding", b's'),
        ("coderange", b's'),
        ("root", b's'),
        ("edge_name", b's'),
        ("shape_type", b's'),
        ("file", b's'),
        ("method", b's'),
        ("references", b'r'),
        ("flags", b'f'),
    ];
    const TYPES: &[&str] = &[
        "STRING", "ARRAY", "HASH", "OBJECT", "CLASS", "MODULE", "ICLASS", "DATA", "IMEMO", "NODE",
        "STRUCT", "SYMBOL", "FLOAT", "BIGNUM", "REGEXP", "MATCH", "FILE", "RATIONAL", "COMPLEX",
        "NONE", "ZOMBIE", "MOVED", "ROOT", "SHAPE", "NEW_ONE", "",
    ];
    let mut line = String::from("{");
    if !u.ratio(1, 16)? {
        line.push_str(&format!("\"address\":{}, ", address(u)?));
    }
    line.push_str(&format!("\"type\":\"{}\"", u.choose(TYPES)?));
    while !u.is_empty() && line.len() < 4096 {
        let (key, kind) = u.choose(KEYS)?;
        line.push_str(if u.ratio(1, 16)? { " ,\t" } else { ", " });
        line.push_str(&format!("\"{key}\":"));
        let kind = if u.ratio(1, 24)? {
            *u.choose(b"anbsrfx")?
        } else {
            *kind
        };
        line.push_str(&value(u, kind)?);
    }
    line.push('}');
    Ok(line)
}

fn value(u: &mut Unstructured<'_>, kind: u8) -> Result<String> {
    Ok(match kind {
        b'a' => address(u)?,
        b'n' => match u.int_in_range(0..=7_u8)? {
            0 => u.arbitrary::<i64>()?.to_string(),
            1 => u.arbitrary::<u64>()?.to_string(),
            2 => format!("{}.5", u.arbitrary::<u16>()?),
            3 => format!("{}e3", u.arbitrary::<u8>()?),
            4 => format!("{}", u64::from(u16::MAX) - u.int_in_range(0..=3)?),
            5 => format!("{}{}", u64::MAX, u.arbitrary::<u8>()?),
            _ => u.arbitrary::<u16>()?.to_string(),
        },
        b'b' => "true".to_owned(),
        b's' => {
            let text: &str = u.arbitrary()?;
            let text: String = text.chars().take(80).collect();
            serde_json::to_string(&text).expect("text")
        }
        b'r' => {
            let count = u.int_in_range(0..=20_u8)?;
            let all: Result<Vec<String>> = (0..count).map(|_| address(u)).collect();
            format!("[{}]", all?.join(", "))
        }
        b'f' => "{\"wb_protected\":true, \"old\":true}".to_owned(),
        _ => "{\"x\":[1, {\"y\":\"}]\"}, null], \"z\":-1.5e-3}".to_owned(),
    })
}

fn address(u: &mut Unstructured<'_>) -> Result<String> {
    let number = match u.int_in_range(0..=3_u8)? {
        0 => u64::from(u.arbitrary::<u8>()?) * 8,
        1 => 0x7f7b_0000_0000 + u64::from(u.arbitrary::<u32>()?) * 8,
        2 => u.arbitrary()?,
        _ => u64::from(u.arbitrary::<u16>()?),
    };
    Ok(match u.int_in_range(0..=9_u8)? {
        0 => format!("\"{number:x}\""),
        1 => format!("\"0x{number:016x}\""),
        2 => format!("\"0x{number:X}\""),
        3 => "null".to_owned(),
        4 => format!("\"0x{number:020x}\""),
        _ => format!("\"{number:#x}\""),
    })
}
