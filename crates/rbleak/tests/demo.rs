//! `rbleak demo`: with a Ruby, and without one.

mod common;

use common::{Bench, answer, needs};

#[test]
fn with_a_ruby_the_app_is_really_hunted() {
    needs("ruby");
    let bench = Bench::new();
    let found = bench.run(&["demo"]);
    assert_eq!(found.status, 0, "{}\n{}", found.stdout, found.stderr);
    for words in [
        "LEAK",
        "+2.00 Ruby objects",
        "1  Leaky::STORE",
        "app.rb:45",
        "in process",
    ] {
        assert!(
            found.stdout.contains(words),
            "no `{words}` in {}",
            found.stdout
        );
    }
    assert!(!found.stdout.contains("warning"), "{}", found.stdout);
    assert_eq!(bench.manifest()["status"], "complete");
}

/// The samples and dumps of the binary, analysed by the same code: the same
/// words each time.
#[test]
fn without_a_ruby_the_recorded_hunt_is_analysed_and_says_so() {
    let bench = Bench::new();
    let output = bench
        .command(&["demo"])
        .env("PATH", bench.home.path())
        .output()
        .expect("rbleak starts");
    let found = answer(&output);
    assert_eq!(found.status, 0, "{}\n{}", found.stdout, found.stderr);
    assert_eq!(found.stderr, "");
    insta::assert_snapshot!(found.stdout);
    assert_eq!(
        std::fs::read_dir(bench.home.path())
            .expect("a folder")
            .count(),
        0
    );
}

#[test]
fn json_carries_its_schema_and_the_finding() {
    let found = Bench::new().run(&["demo", "--recorded", "--format", "json"]);
    let json = found.json();
    assert_eq!(json["schema"], "rbleak/hunt/v1");
    assert_eq!(json["verdict"]["verdict"], "leak");
    assert_eq!(json["findings"][0]["holder"], "Leaky::STORE");
    assert_eq!(json["findings"][0]["sites"][0]["line"], 45);
}
