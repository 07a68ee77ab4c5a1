//! What serde_json takes for a line of a dump, the scanner takes too, and
//! reads the same from it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_heap::{Heap, ReadOptions};
use rbleak_units::Address;
use serde_json::Value;

fuzz_target!(|fields: &[u8]| {
    let Ok(fields) = std::str::from_utf8(fields) else {
        return;
    };
    if fields.contains(['\n', '\r']) {
        return;
    }
    let line = format!("{{\"address\":\"0x28\", \"type\":\"STRING\"{fields}}}");
    let Ok(Value::Object(object)) = serde_json::from_str(&line) else {
        return;
    };
    // The scanner compares keys as they stand.
    if fields.contains("\\u00") || object.get("type") != Some(&Value::from("STRING")) {
        return;
    }
    let Some(Ok(address)) = object["address"].as_str().map(str::parse::<Address>) else {
        return;
    };
    if address.0 == 0 {
        return;
    }
    let input = std::io::Cursor::new(line.into_bytes());
    let heap = Heap::read(input, "fuzz", &ReadOptions::default()).expect("serde_json reads it");
    assert_eq!(heap.issues().skipped(), 0);
    let id = heap.ids().next().expect("one object");
    assert_eq!(heap.address(id), address);
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    if let Some(site) = heap.site(id).map(|site| heap.site_info(site)) {
        assert_eq!(Some(site.file), text("file"));
        assert_eq!(site.method, text("method"));
    }
});
