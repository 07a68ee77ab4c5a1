//! `rbleak path` on real dumps.

mod common;

use common::{Answer, Bench, fixture, repository};
use std::path::PathBuf;

/// The last dump of the demo's hunt, with its names beside it.
fn recorded() -> PathBuf {
    repository().join("crates/rbleak/recorded/C.ndjson.zst")
}

fn path(dump: PathBuf, arguments: &[&str]) -> Answer {
    let mut all = vec!["path", dump.to_str().expect("UTF-8")];
    all.extend(arguments);
    Bench::new().run(&all)
}

fn told(dump: PathBuf, arguments: &[&str]) -> String {
    let answer = path(dump, arguments);
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
    answer.stdout
}

#[test]
fn what_holds_a_class() {
    insta::assert_snapshot!(told(recorded(), &["--class", "Leaky::Session"]), @r"
    1  Leaky::Session  2 402 objects, 96 kB
       held by        Leaky::STORE
                      └ Array (2 402)
                        └ Leaky::Session × 2 402
       shared by      2 402 of 2 402
    ");
}

#[test]
fn what_holds_what_a_line_allocated() {
    insta::assert_snapshot!(told(recorded(), &["--site", "app.rb:45"]), @r"
    1  /tmp/leaky/app.rb:45  600 objects, 73 kB
       held by        Leaky::STORE
                      └ Array (2 402)
                        └ Leaky::Session × 600
                          └ @token → String × 600
       shared by      600 of 600
    ");
}

#[test]
fn what_holds_one_object() {
    let json = path(recorded(), &["--site", "app.rb:45", "--format", "json"]).json();
    assert_eq!(json["findings"][0]["objects"], 600, "{json:#}");
    // Any one of them.
    let text = String::from_utf8(
        zstd::stream::decode_all(std::fs::File::open(recorded()).expect("a dump")).expect("a dump"),
    )
    .expect("UTF-8");
    let address = text
        .lines()
        .find(|line| line.contains("/app.rb\", \"line\":45"))
        .and_then(|line| line.split('"').nth(3))
        .expect("an address");
    let answer = told(recorded(), &[address]).replace(address, "0xADDRESS");
    insta::assert_snapshot!(answer, @r"
    1  String  0xADDRESS · 121 B · /tmp/leaky/app.rb:45 · generation 53
       held by        Leaky::STORE
                      └ Array (2 402)
                        └ Leaky::Session
                          └ @token → String
    ");
    let json = path(recorded(), &[address, "--format", "json"]).json();
    let found = &json["findings"][0];
    assert_eq!(json["schema"], "rbleak/path/v1");
    assert_eq!(found["holder"], "Leaky::STORE", "{json:#}");
    assert_eq!(found["root"], "vm");
    assert_eq!(found["line"], 45);
    assert_eq!(found["steps"][2]["edge"], "@token");
    assert_eq!(found["steps"][2]["address"], address);
    assert_eq!(found["steps"][2]["class"], "String");
}

#[test]
fn all_paths_are_one_tree() {
    let arguments = ["--class", "Leaky::Session", "--all"];
    insta::assert_snapshot!(told(recorded(), &arguments), @r"
    1  Leaky::Session  2 402 objects, 96 kB
       held by        Leaky::STORE  [2 402]
                      └ Array (2 402)  [2 402]
                        └ Leaky::Session × 2 402  [2 402]
    ");
    let json = path(
        recorded(),
        &[
            "--class", "String", "--all", "--limit", "3", "--format", "json",
        ],
    )
    .json();
    let found = &json["findings"][0];
    let rows = found["rows"].as_array().expect("rows");
    let here: u64 = rows
        .iter()
        .filter_map(|row| row["objects_here"].as_u64())
        .sum();
    let unreached = found["unreached_objects"].as_u64().expect("a count");
    assert_eq!(
        here + unreached,
        found["objects"].as_u64().expect("a count")
    );
}

#[test]
fn without_names_it_says_so_and_takes_the_class() {
    let dump = repository().join("crates/rbleak/recorded/B.ndjson.zst");
    insta::assert_snapshot!(told(dump, &["--class", "Leaky::Session"]), @r"
    1  Leaky::Session  2 202 objects, 88 kB
       held by        Leaky (the class itself)
                      └ Array (2 202)
                        └ Leaky::Session × 2 202
       shared by      2 202 of 2 202

    no names beside this dump: constants, variables of classes and blocks are told by their class only (--names FILE)
    ");
}

#[test]
fn names_may_lie_elsewhere() {
    let bench = Bench::new();
    let dump = bench.home.path().join("heap.zst");
    std::fs::copy(recorded(), &dump).expect("a copy");
    let names = repository().join("crates/rbleak/recorded/C.names.ndjson.zst");
    let names = names.to_str().expect("UTF-8");
    let answer = told(
        dump.clone(),
        &["--class", "Leaky::Session", "--names", names],
    );
    assert!(answer.contains("Leaky::STORE"), "{answer}");
    let class = ["--class", "Leaky::Session", "--names", "none.zst"];
    path(dump.clone(), &class).assert_refused("cannot read the names in none.zst");
    let class = [
        "--class",
        "Leaky::Session",
        "--names",
        dump.to_str().expect("UTF-8"),
    ];
    path(dump.clone(), &class).assert_refused("has no names");
}

#[test]
fn every_ruby_s_leaker_is_held_by_its_log() {
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        let dump = fixture(&format!("{version}/C.ndjson.zst"));
        let answer = told(dump, &["--site", "gen.rb:208"]);
        let variable = if version < "3.2" { "" } else { "@log → " };
        let expected = format!(
            "\
     held by        Object (the class itself)
                    └ Leaker
                      └ {variable}Array (60)
                        └ Hash × 60
"
        );
        assert!(answer.contains(&expected), "{version}: {answer}");
    }
}

#[test]
fn what_nothing_holds_is_told_to_be_garbage() {
    let json = path(
        fixture("3.4/C.ndjson.zst"),
        &["--class", "String", "--format", "json"],
    )
    .json();
    let found = &json["findings"][0];
    assert!(found["unreached_objects"].as_u64() > Some(0), "{json:#}");
    let dump = r#"{"type":"ROOT", "root":"vm", "references":["0x1000"]}
{"address":"0x1000", "type":"CLASS", "class":"0x1000", "name":"Foo", "memsize":500}
{"address":"0x2000", "type":"OBJECT", "class":"0x1000", "memsize":40}
"#;
    let bench = Bench::new();
    let file = bench.home.path().join("heap.json");
    std::fs::write(&file, dump).expect("written");
    insta::assert_snapshot!(told(file.clone(), &["0x2000"]), @r"
    1  Foo  0x2000 · 40 B
       held by        nothing in this dump: garbage when it was taken, or held by what dumps do not tell

    no names beside this dump: constants, variables of classes and blocks are told by their class only (--names FILE)
    ");
    insta::assert_snapshot!(told(file, &["--class", "Foo"]), @r"
    1  Foo  2 objects, 540 B
       held by        the VM
                      └ Foo
       shared by      1 of 2
       not held       1: nothing in this dump: garbage when it was taken, or held by what dumps do not tell

    no names beside this dump: constants, variables of classes and blocks are told by their class only (--names FILE)
    ");
    let since = bench.home.path().join("since.json");
    let (_, rootless) = dump.split_once('\n').expect("lines");
    std::fs::write(&since, rootless).expect("written");
    let since = told(since, &["0x2000"]);
    assert!(
        since.contains("a dump taken with since: has no roots"),
        "{since}"
    );
}

#[test]
fn what_is_not_there_is_refused_in_a_sentence() {
    for (arguments, words) in [
        (&["0x1234"][..], "has no object at 0x1234"),
        (&["Leaky"], "'Leaky' is not an address"),
        (&["--class", "Leaky::Sesion"], "did you mean Leaky::Session"),
        (&["--class", "session"], "did you mean Leaky::Session"),
        (
            &["--class", "Nowhere::Near::Anything"],
            "no instance of a class",
        ),
        (
            &["--site", "app.rb:44"],
            "did you mean /tmp/leaky/app.rb:45",
        ),
        (
            &["--site", "none.rb:1"],
            "has no object allocated at none.rb:1",
        ),
        (&["--site", "app.rb"], "expected FILE:LINE"),
    ] {
        path(recorded(), arguments).assert_refused(words);
    }
    path(fixture("3.1/notrace.ndjson.zst"), &["--site", "a.rb:1"])
        .assert_refused("has no allocation sites");
    path(fixture("3.4/since.ndjson.zst"), &["--class", "String"])
        .assert_refused("a dump taken with since:");
    let clap = path(recorded(), &[]);
    assert_eq!(clap.status, 2, "{}", clap.stderr);
    let clap = path(recorded(), &["0x1", "--class", "Foo"]);
    assert_eq!(clap.status, 2, "{}", clap.stderr);
}

#[test]
fn an_output_is_never_written_over_an_input() {
    let bench = Bench::new();
    let dump = bench.home.path().join("heap.zst");
    std::fs::copy(recorded(), &dump).expect("a copy");
    let before = std::fs::read(&dump).expect("the dump");
    let text = dump.to_str().expect("UTF-8").to_owned();
    path(dump.clone(), &["--class", "String", "-o", &text]).assert_refused("would overwrite");
    assert_eq!(std::fs::read(&dump).expect("the dump"), before);
    let out = bench.home.path().join("out.txt");
    let answer = path(
        dump,
        &["--class", "String", "-o", out.to_str().expect("UTF-8")],
    );
    assert_eq!((answer.status, &*answer.stdout), (0, ""));
    assert!(
        std::fs::read_to_string(out)
            .expect("the answer")
            .contains("held by")
    );
}

/// Three Hashes, with a String, a Symbol and a class as key.
#[test]
fn keys_of_hashes_are_named_and_shown_on_request() {
    let bench = Bench::new();
    let dump = bench.home.path().join("A.ndjson");
    let hash = |at: &str, key: &str, value: &str| {
        format!(
            r#"{{"address":"{at}", "type":"HASH", "class":"0x1028", "size":1, "references":["{key}", "{value}"], "memsize":168}}
"#
        )
    };
    let text = format!(
        r#"{{"type":"ROOT", "root":"vm", "references":["0x1000"]}}
{{"address":"0x1000", "type":"CLASS", "class":"0x1000", "name":"Foo", "references":["0x2000"], "memsize":500}}
{{"address":"0x1028", "type":"CLASS", "class":"0x1000", "name":"Hash", "memsize":500}}
{{"address":"0x1050", "type":"CLASS", "class":"0x1000", "name":"String", "memsize":500}}
{{"address":"0x1078", "type":"CLASS", "class":"0x1000", "name":"Symbol", "memsize":500}}
{}{}{}{{"address":"0x3000", "type":"STRING", "class":"0x1050", "value":"secret \"key\"", "memsize":40}}
{{"address":"0x3028", "type":"SYMBOL", "class":"0x1078", "value":"made_late", "memsize":40}}
{{"address":"0x3050", "type":"STRING", "class":"0x1050", "value":"x", "memsize":40}}
"#,
        hash("0x2000", "0x3000", "0x2028"),
        hash("0x2028", "0x3028", "0x2050"),
        hash("0x2050", "0x1000", "0x3050"),
    );
    std::fs::write(&dump, text).expect("a file");
    let path = |more: &[&str]| {
        let answer = bench.run(&[&["path", "A.ndjson", "0x3050"], more].concat());
        assert_eq!(answer.status, 0, "{}", answer.stderr);
        answer.stdout
    };
    let text = path(&[]);
    for words in ["[a String key]", "[a Symbol key]", "[Foo]"] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("secret"), "{text}");
    let text = path(&["--show-values"]);
    for words in [r#"["secret \"key\""]"#, "[:made_late]"] {
        assert!(text.contains(words), "{text}");
    }
    let text = bench.run(&["show", "A.ndjson", "0x2000"]).stdout;
    assert!(
        text.contains("[a String key]") && text.contains("a key"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    bench
        .run(&["path", "-", "0x3050", "--show-values"])
        .assert_refused("--show-values reads the dump a second time");
}
