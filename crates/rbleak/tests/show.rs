//! `rbleak show` on real dumps.

mod common;

use common::{Answer, Bench, fixture, repository};
use std::process::Stdio;

fn recorded() -> String {
    let path = repository().join("crates/rbleak/recorded/C.ndjson.zst");
    path.to_str().expect("UTF-8").to_owned()
}

fn show(arguments: &[&str]) -> Answer {
    let mut all = vec!["show"];
    all.extend(arguments);
    Bench::new().run(&all)
}

fn told(arguments: &[&str]) -> String {
    let answer = show(arguments);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    answer.stdout
}

#[test]
fn what_people_read_of_a_constant() {
    insta::assert_snapshot!(told(&[&recorded(), "Leaky::STORE", "--limit", "3"]));
}

#[test]
fn a_module_by_its_name_and_an_object_by_its_address() {
    let json = show(&[&recorded(), "Leaky", "--format", "json"]).json();
    assert_eq!(json["schema"], "rbleak/show/v1");
    assert_eq!(json["facts"]["object"]["type"], "MODULE", "{json:#}");
    let store = show(&[&recorded(), "Leaky::STORE", "--format", "json"]).json();
    let address = store["facts"]["object"]["address"].as_str().expect("one");
    let same = show(&[&recorded(), address, "--format", "json"]).json();
    assert_eq!(store, same);
    assert_eq!(store["facts"]["held_by"]["name"], "Leaky::STORE");
    // Session → @token, and back.
    let session = &store["tables"]["references"]["rows"][1];
    assert_eq!(session["object"], "Leaky::Session", "{session}");
    let session = session["address"].as_str().expect("one");
    let json = show(&[&recorded(), session, "--format", "json"]).json();
    let token = &json["tables"]["references"]["rows"][1];
    assert_eq!(token["edge"], "@token", "{json:#}");
    let referrer = &json["tables"]["referrers"]["rows"][0];
    assert_eq!(referrer["address"], address, "{json:#}");
    let class = &json["tables"]["references"]["rows"][0];
    assert_eq!(class["edge"], "class");
    let class = class["address"].as_str().expect("one");
    let json = show(&[&recorded(), class, "--format", "json"]).json();
    assert_eq!(json["facts"]["instances"], 2402, "{json:#}");
}

#[test]
fn values_are_shown_only_if_asked_for() {
    let store = show(&[&recorded(), "Leaky::STORE", "--format", "json"]).json();
    let session = &store["tables"]["references"]["rows"][1]["address"];
    let session = session.as_str().expect("one");
    let json = show(&[&recorded(), session, "--format", "json"]).json();
    let token = &json["tables"]["references"]["rows"][1]["address"];
    let token = token.as_str().expect("one");
    let text = told(&[&recorded(), token]);
    assert!(!text.contains("xxxx"), "{text}");
    assert!(text.contains("--show-values"), "{text}");
    let text = told(&[&recorded(), token, "--show-values"]);
    assert!(text.contains("xxxx"), "{text}");
}

#[test]
fn an_object_of_a_stream() {
    let bench = Bench::new();
    let store = show(&[&recorded(), "Leaky::STORE", "--format", "json"]).json();
    let address = store["facts"]["object"]["address"].as_str().expect("one");
    let names = recorded().replace("C.ndjson", "C.names.ndjson");
    let output = bench
        .command(&["show", "--names", &names, "--format", "json", "-", address])
        .stdin(Stdio::from(
            std::fs::File::open(recorded()).expect("a dump"),
        ))
        .output()
        .expect("rbleak starts");
    let streamed = common::answer(&output).json();
    for key in ["object", "held_by", "dominated_by", "fields", "flags"] {
        assert_eq!(streamed["facts"][key], store["facts"][key], "{key}");
    }
}

#[test]
fn any_object_of_any_dump_can_be_shown() {
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        let path = fixture(&format!("{version}/C.ndjson.zst"));
        let path = path.to_str().expect("UTF-8");
        let json = show(&[path, "Leaker", "--format", "json"]).json();
        let rows = json["tables"]["references"]["rows"]
            .as_array()
            .expect("rows");
        assert!(rows.len() > 1, "{version}: {json:#}");
        for row in rows.iter().take(8) {
            let address = row["address"].as_str().expect("one");
            let json = show(&[path, address, "--format", "json"]).json();
            let referrers = json["tables"]["referrers"]["rows"].as_array();
            let leaker = &json["facts"]["dominated_by"];
            // A singleton class is referred to by what it is the class of.
            let is_class = json["facts"]["instances"].as_u64() > Some(0);
            let is_referred = referrers.is_some_and(|rows| !rows.is_empty());
            assert!(is_referred || is_class, "{json:#}");
            assert!(leaker.is_object(), "{version}: {json:#}");
        }
    }
}

#[test]
fn what_is_not_there_is_refused_with_a_hint() {
    let c = recorded();
    let store = show(&[&c, "Leaky::STORE", "--format", "json"]).json();
    let address = store["facts"]["object"]["address"].as_str().expect("one");
    let inside = u64::from_str_radix(&address[2..], 16).expect("hex") + 8;
    show(&[&c, &format!("{inside:#x}")])
        .assert_refused(&format!("next to it in the page lie {address} (Array)"));
    show(&[&c, "0x10"]).assert_refused("in none of the heap's pages");
    show(&[&c, "0xnope"]).assert_refused("not an address");
    show(&[&c, "Nope"]).assert_refused("no object that is called Nope");
    show(&["missing.json", "0x10"]).assert_refused("cannot open missing.json");
    show(&["-o", &c, &c, "0x10"]).assert_refused("would overwrite");
    let full = fixture("4.0/full.ndjson.zst");
    let full = full.to_str().expect("UTF-8");
    let text = zstd::decode_all(std::fs::File::open(full).expect("a dump")).expect("a dump");
    let text = String::from_utf8_lossy(&text);
    let free = text.lines().find(|line| line.contains("\"type\":\"NONE\""));
    let free = free
        .and_then(|line| line.split('"').nth(3))
        .expect("a free slot");
    show(&[full, free]).assert_refused("is a free slot");
}
