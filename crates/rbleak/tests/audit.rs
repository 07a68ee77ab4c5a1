//! `rbleak audit`: right answers, clear refusals, every form.

mod common;
#[path = "common/desk.rs"]
mod desk;

use common::{Answer, answer, needs, repository};
use desk::{Desk, lock};
use std::fs;

/// A bundle with a bit of everything.
const APP: &str = "\
GIT
  remote: https://github.com/example/grape
  revision: 0123456789abcdef0123456789abcdef01234567
  specs:
    grape (1.3.3)

GEM
  remote: https://rubygems.org/
  specs:
    newrelic_rpm (8.0.0)
    nokogiri (1.16.2-x86_64-linux)
    oj (3.14.2)
    rails (6.1.7)
      wrapper (>= 1)
    wrapper (1.0)
      oj (~> 3.14.0)

PLATFORMS
  x86_64-linux

DEPENDENCIES
  grape!
  newrelic_rpm
  nokogiri (< 1.15)
  rails

RUBY VERSION
   ruby 3.3.0

BUNDLED WITH
   2.3.15
";

/// stdout without what changes from day to day.
fn told(answer: &Answer) -> String {
    let text = &answer.stdout;
    let start = text.find(" of 20").expect("a day");
    let end = start + text[start..].find("), ").expect("an age");
    format!("{} of DATE (AGE{}", &text[..start], &text[end..])
}

#[test]
fn what_people_read() {
    let desk = Desk::new();
    desk.write("Gemfile.lock", APP);
    let answer = desk.audit(&[]);
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    assert!(answer.stderr.is_empty(), "{}", answer.stderr);
    insta::assert_snapshot!(told(&answer));
}

#[test]
fn what_a_pull_request_reads() {
    let desk = Desk::new();
    desk.write("Gemfile.lock", lock(&["celluloid (0.17.0)"]));
    let answer = desk.audit(&["--format", "markdown"]);
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    insta::assert_snapshot!(told(&answer));
}

#[test]
fn what_leaks_is_found_and_what_does_not_is_not() {
    let desk = Desk::new();
    for leaking in [
        "celluloid (0.17.0)",
        "therubyracer (0.12.1)",
        "redis (3.3.0)",
    ] {
        let answer = desk.audit_gems(&["rack (2.2.4)", leaking]);
        assert_eq!(answer.status, 1, "{leaking}: {}", answer.stderr);
        let title = leaking.replace(['(', ')'], "");
        assert!(answer.stdout.contains(&title), "{}", answer.stdout);
    }
    let answer = desk.audit_gems(&[
        "celluloid (0.15.0)",
        "grape (0.5.0)",
        "net-http-persistent (2.9.4)",
        "redis (3.2.1)",
        "therubyracer (0.13.0)",
    ]);
    assert_eq!(answer.status, 0, "{}", answer.stdout);
    assert!(
        answer.stdout.contains("none of 5 gems"),
        "{}",
        answer.stdout
    );
}

#[test]
fn a_condition_that_is_not_met_is_told_and_one_that_is_open_too() {
    let desk = Desk::new();
    let newrelic = desk.audit_gems(&["newrelic_rpm (8.0.0)"]);
    assert_eq!(newrelic.status, 0, "{}", newrelic.stdout);
    let because = "newrelic-1518 does not apply here because curb is not in the lockfile";
    assert!(newrelic.stdout.contains(because), "{}", newrelic.stdout);
    assert_eq!(
        desk.audit_gems(&["curb (1.0.5)", "newrelic_rpm (8.0.0)"])
            .status,
        1
    );

    desk.write("Gemfile.lock", lock(&["ffi (1.15.5)"]));
    let open = desk.audit(&[]);
    assert_eq!(open.status, 1);
    assert!(
        open.stdout.contains("only if Ruby is >= 3.3.0"),
        "{}",
        open.stdout
    );
    let settled = desk.audit(&["--ruby", "4.0.5"]);
    assert_eq!(settled.status, 1);
    assert!(!settled.stdout.contains("only if"), "{}", settled.stdout);
    let old = desk.audit(&["--ruby", "2.7.8", "--format", "json"]);
    let because = &old.json()["verdict"]["not_applicable"][0]["because"];
    assert_eq!(because, "Ruby is 2.7.8, not >= 3.3.0");

    desk.write("Gemfile.lock", lock(&["puma (4.0.0-java)"]));
    assert!(desk.audit(&[]).stdout.contains("puma-2299"));
    desk.write("Gemfile.lock", lock(&["puma (4.0.0)"]));
    let here = desk.audit(&["--ruby", "4.0.5"]).stdout;
    assert!(
        here.contains("puma-2299 does not apply here because it runs on ruby, not jruby"),
        "{here}"
    );
}

#[test]
fn the_ruby_is_audited_too() {
    let desk = Desk::new();
    desk.write("Gemfile.lock", lock(&["rack (2.2.4)"]));
    assert_eq!(desk.audit(&[]).status, 0);
    assert_eq!(desk.audit(&["--ruby", "4.0.5"]).status, 0);
    let old = desk.audit(&["--ruby", "3.3.0", "--format", "json"]);
    assert_eq!(old.status, 1);
    let finding = &old.json()["findings"][0];
    assert_eq!(
        (&finding["kind"], &finding["fixed_in"]),
        (&"ruby".into(), &"4.0.0".into())
    );
    assert_eq!(desk.audit(&["--ruby", "jruby-9.4.5.0"]).status, 0);
    for wrong in ["3.3", "newest", ""] {
        desk.audit(&["--ruby", wrong])
            .assert_refused("--ruby wants a full version");
    }
}

#[test]
fn a_fork_is_neither_clean_nor_leaky() {
    let desk = Desk::new();
    let git = "GIT\n  remote: https://github.com/me/oj\n  revision: 89abcdef0123\n  specs:\n    oj (3.14.2)\n\nDEPENDENCIES\n  oj!\n";
    desk.write("Gemfile.lock", git);
    let answer = desk.audit(&["--format", "json"]);
    assert_eq!(answer.status, 0);
    let json = answer.json();
    assert_eq!(json["verdict"]["unknown"][0]["revision"], "89abcdef0123");
    assert_eq!(json["verdict"]["unknown"][0]["line"], 5);
    assert!(
        desk.audit(&[])
            .stdout
            .contains("whether that code leaks is not known")
    );
}

#[test]
fn the_lockfile_is_found_as_bundler_finds_it() {
    let desk = Desk::new();
    let leaking = lock(&["celluloid (0.17.0)"]);
    desk.write("app/gems.locked", &leaking);
    desk.write("app/lib/deep/x", "");
    let from = |folder: &str| {
        answer(
            &desk
                .command(&[])
                .current_dir(desk.path(folder))
                .output()
                .expect("rbleak"),
        )
    };
    assert_eq!(from("app/lib/deep").status, 1);
    assert_eq!(desk.audit(&["app"]).status, 1);
    desk.audit(&[])
        .assert_refused("no Gemfile.lock and no gems.locked");
    desk.audit(&["home"])
        .assert_refused("no gems.locked in home");
    desk.audit(&["nothing.lock"])
        .assert_refused("cannot read nothing.lock");
    desk.write("Gemfile.next.lock", &leaking);
    let next = desk
        .command(&[])
        .env("BUNDLE_GEMFILE", "Gemfile.next")
        .output();
    assert_eq!(answer(&next.expect("rbleak")).status, 1);
    let mut piped = desk.command(&["-"]);
    piped.stdin(fs::File::open(desk.path("Gemfile.next.lock")).expect("a file"));
    assert_eq!(answer(&piped.output().expect("rbleak")).status, 1);
}

#[test]
fn what_is_broken_is_an_error_with_its_place_and_never_clean() {
    let desk = Desk::new();
    let good = lock(&["rack (2.2.4)"]);
    let cases: &[(&str, Vec<u8>)] = &[
        ("line 1, column 1: the file is empty", vec![]),
        (
            "line 1, column 1: there is no gem in it",
            b"GEM\n  specs:\n\nDEPENDENCIES\n  rack\n".to_vec(),
        ),
        (
            "line 4, column 1: a merge conflict",
            good.replace("    rack", "<<<<<<< HEAD\n    rack")
                .into_bytes(),
        ),
        (
            "line 4, column 11: '2..4' is no version",
            good.replace("2.2.4", "2..4").into_bytes(),
        ),
        (
            "line 4, column 4: indented by 3 spaces",
            good.replace("    rack", "   rack").into_bytes(),
        ),
        (
            "line 1, column 1: a byte order mark",
            format!("\u{feff}{good}").into_bytes(),
        ),
        (
            "line 4, column 5: bytes that are not UTF-8",
            [
                &good.as_bytes()[..good.find("rack").expect("rack")],
                b"\xff (1)\n",
            ]
            .concat(),
        ),
    ];
    for (words, bytes) in cases {
        desk.write("Gemfile.lock", bytes);
        for format in ["text", "json", "sarif", "markdown", "github"] {
            let answer = desk.audit(&["--format", format]);
            answer.assert_refused(words);
            assert!(answer.stdout.is_empty(), "{}", answer.stdout);
        }
    }
    // A misspelt flag is no audit.
    desk.write("Gemfile.lock", &good);
    let answer = desk.audit(&["--updat"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (2, ""));
}

#[test]
fn ignores_have_an_end_and_are_told() {
    let desk = Desk::new();
    desk.write("Gemfile.lock", lock(&["celluloid (0.17.0)"]));
    let ignore = |id: &str, until: &str| {
        let text = format!(
            "audit:\n  ignore:\n    - id: {id}\n      reason: no actors here\n      until: {until}\n"
        );
        desk.write(".rbleak.yml", text);
        desk.audit(&[])
    };
    let ignored = ignore("celluloid-670", "2999-01-01");
    assert_eq!(ignored.status, 0);
    assert!(
        ignored
            .stdout
            .contains("celluloid-670 is ignored until 2999-01-01: no actors here"),
        "{}",
        ignored.stdout
    );
    let expired = ignore("celluloid-670", "2020-01-01");
    assert_eq!(expired.status, 1);
    assert!(
        expired
            .stdout
            .contains("the ignore of celluloid-670 has expired on 2020-01-01"),
        "{}",
        expired.stdout
    );
    let unused = ignore("oj-1027", "2999-01-01");
    assert_eq!(unused.status, 1);
    assert!(
        unused
            .stdout
            .contains("the ignore of oj-1027 is of no use any more"),
        "{}",
        unused.stdout
    );
    ignore("x", "tomorrow").assert_refused(".rbleak.yml: ");
    desk.write(".rbleak.yml", "audit: {ignroe: []}\n");
    desk.audit(&[]).assert_refused("unknown field `ignroe`");
    desk.audit(&["--config", "none.yml"])
        .assert_refused("cannot read none.yml");
}

#[test]
fn annotations_point_at_the_lockfile_s_line() {
    let desk = Desk::new();
    desk.write("Gemfile.lock", APP);
    let github = desk.audit(&["--format", "github"]);
    assert_eq!(github.status, 1);
    let line = github
        .stdout
        .lines()
        .find(|line| line.contains("oj-1027") || line.contains("pull/1027"));
    let line = line.expect("oj-1027");
    assert!(
        line.starts_with("::error file=Gemfile.lock,line=12,title=oj 3.14.2::"),
        "{line}"
    );
    assert!(
        line.contains("bundle update --conservative oj wrapper"),
        "{line}"
    );

    // Below the root of the sources, as the service knows it.
    desk.write("repo/.git/HEAD", "");
    desk.write("repo/apps/web/Gemfile.lock", APP);
    let sarif = desk.audit(&["--format", "sarif", "repo/apps/web"]).json();
    let result = sarif["runs"][0]["results"]
        .as_array()
        .expect("results")
        .iter()
        .find(|result| result["ruleId"] == "oj-1027")
        .expect("oj-1027");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "apps/web/Gemfile.lock");
    assert_eq!(place["region"]["startLine"], 12);
    assert_eq!(result["level"], "error");
}

#[test]
fn sarif_holds_to_its_schema() {
    let file = repository().join("fixtures/sarif/sarif-schema-2.1.0.json.zst");
    let text = zstd::decode_all(fs::File::open(file).expect("the schema")).expect("Zstandard");
    let schema = serde_json::from_slice(&text).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let desk = Desk::new();
    for text in [APP.to_owned(), lock(&["rack (2.2.4)"])] {
        desk.write("Gemfile.lock", text);
        let sarif = desk.audit(&["--format", "sarif", "--ruby", "3.1.7"]).json();
        let errors: Vec<String> = schema.iter_errors(&sarif).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

#[test]
fn two_thousand_gems_are_audited() {
    let desk = Desk::new();
    let gems: Vec<String> = (0..2000)
        .map(|n| format!("gem-{n:04} ({}.{}.1)", n % 9, n % 7))
        .collect();
    let mut gems: Vec<&str> = gems.iter().map(String::as_str).collect();
    gems.push("oj (3.14.2)");
    let answer = desk.audit_gems(&gems);
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    assert!(
        answer.stdout.contains("1 of 2 001 gems"),
        "{}",
        answer.stdout
    );
}

#[test]
fn a_hunt_shows_how_many_gems_are_known_to_leak() {
    needs("ruby");
    let desk = Desk::new();
    let hunt = |format: &str| {
        let mut command = desk
            .bench
            .command(&["hunt", "--each", "1", "--rounds", "8", "--format", format]);
        command
            .env_remove("XDG_DATA_HOME")
            .env("HOME", desk.path("home"));
        answer(&command.output().expect("rbleak starts"))
    };
    desk.write(
        "Gemfile.lock",
        lock(&["rack (2.2.4)", "celluloid (0.17.0)"]),
    );
    let text = hunt("text");
    let line = text.stdout.lines().find(|line| line.contains("gems "));
    let line = line.unwrap_or_else(|| panic!("{}{}", text.stdout, text.stderr));
    assert!(
        line.contains("1 of 2 is known to leak: celluloid 0.17.0, fixed in 0.17.3"),
        "{line}"
    );
    assert!(line.ends_with("→ rbleak audit"), "{line}");
    let gems = &hunt("json").json()["facts"]["gems"];
    assert_eq!(gems["leaking"][0]["advisories"][0], "celluloid-670");
    // A broken one is no reason not to hunt.
    desk.write("Gemfile.lock", "GEM\n");
    let text = hunt("text").stdout;
    assert!(
        text.contains("not known: Gemfile.lock: line 1, column 1: there is no gem in it"),
        "{text}"
    );
}

#[test]
fn a_hunt_that_finds_native_growth_shows_what_is_known_of_the_ruby() {
    needs("ruby");
    let desk = Desk::new();
    let app = common::leaky();
    let mut command = desk.bench.command(&[
        "hunt",
        "-C",
        app.to_str().expect("UTF-8"),
        "--path",
        "/native",
        "--format",
        "json",
    ]);
    command
        .env_remove("XDG_DATA_HOME")
        .env("HOME", desk.path("home"));
    let json = answer(&command.output().expect("rbleak starts")).json();
    assert_eq!(json["verdict"]["cause"], "native", "{json:#}");
    let of = &json["facts"]["ruby"];
    let running = json["facts"]["app"]["ruby"].as_str().expect("a version");
    // A newer Ruby may be free of all that is known.
    if !of.is_null() || running.starts_with("3.1.") {
        assert_eq!(of["version"], running);
        assert!(!of["advisories"].as_array().expect("a list").is_empty());
    }
}
