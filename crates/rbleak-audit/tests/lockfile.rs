//! Lockfiles: the whole grammar, what Bundler itself reads, and every way to
//! be broken.

use proptest::prelude::*;
use rbleak_audit::lockfile::{Graph, Problem, SourceKind};
use rbleak_audit::{Lockfile, LockfileError};
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/gems")
        .join(name)
}

fn every_section() -> String {
    std::fs::read_to_string(fixture("every_section.lock")).expect("the fixture is there")
}

fn parse(text: &str) -> Lockfile {
    Lockfile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn error(text: &str) -> LockfileError {
    Lockfile::parse(text.as_bytes()).expect_err("it is broken")
}

const SMALL: &str = "\
GEM
  remote: https://rubygems.org/
  specs:
    oj (3.14.2)
    rails (6.1.7)
      oj (>= 3.0)

PLATFORMS
  ruby

DEPENDENCIES
  rails
";

#[test]
fn every_section_is_read() {
    let lockfile = parse(&every_section());
    let kinds: Vec<SourceKind> = lockfile.sources.iter().map(|source| source.kind).collect();
    use SourceKind::{Gem, Git, Path, Plugin};
    assert_eq!(kinds, [Git, Git, Path, Plugin, Gem]);
    assert_eq!(lockfile.sources[0].option("branch"), Some("patched"));
    let oj = &lockfile.gems[0];
    assert_eq!(
        (oj.name.as_str(), oj.version.as_str(), oj.line),
        ("oj", "3.14.2", 6)
    );
    assert_eq!(oj.dependencies[0].requirement.to_string(), ">= 3.0");
    let linux = lockfile
        .gems
        .iter()
        .find(|gem| gem.platform.as_deref() == Some("x86_64-linux-gnu"))
        .expect("ffi for Linux");
    assert_eq!((linux.name.as_str(), linux.line), ("ffi", 43));
    assert_eq!(lockfile.platforms.len(), 5);
    assert_eq!(lockfile.dependencies.len(), 9);
    let (ruby, line) = lockfile.ruby.expect("a Ruby");
    assert_eq!((ruby.to_string(), line), ("jruby 9.4.5.0".to_owned(), 77));
    assert_eq!(lockfile.bundler.expect("Bundler").as_str(), "2.3.15");
}

/// Name, version and platform of each gem, and what it depends on, as the real
/// Bundler reads them.
#[test]
fn bundler_reads_the_same() {
    let script = "require 'bundler'; require 'json'
      lock = Bundler::LockfileParser.new(File.read(ARGV[0]))
      rows = lock.specs.map { |s| [s.name, s.version.to_s, s.platform.to_s, s.dependencies.map { |d| [d.name, d.requirement.as_list] }] }
      puts JSON.generate([rows.sort, lock.dependencies.values.map { |d| [d.name, d.requirement.as_list] }])";
    // Without the plugin, which it would have to be able to load.
    let text = every_section();
    let start = text.find("PLUGIN SOURCE").expect("a plugin");
    let end = text.find("GEM\n").expect("gems");
    let text = format!("{}{}", &text[..start], &text[end..])
        .replace("  secret!\n", "")
        // Old RubyGems drops the libc of a platform.
        .replace("x86_64-linux-gnu", "aarch64-linux");
    // Bundler wants a Gemfile beside it.
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("Gemfile"), "").expect("a Gemfile");
    std::fs::write(folder.path().join("Gemfile.lock"), &text).expect("a lockfile");
    let output = Command::new("ruby")
        .args(["-e", script])
        .arg("Gemfile.lock")
        .current_dir(folder.path())
        .output()
        .expect("this test needs `ruby`, which is not on the PATH: run script/setup");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let lockfile = parse(&text);
    let asked = |dependencies: &[rbleak_audit::lockfile::Dependency]| -> Vec<serde_json::Value> {
        dependencies
            .iter()
            .map(|dependency| {
                let mut list: Vec<String> = dependency
                    .requirement
                    .clauses()
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                list.sort();
                serde_json::json!([dependency.name, list])
            })
            .collect()
    };
    let mut rows: Vec<serde_json::Value> = lockfile
        .gems
        .iter()
        .map(|gem| {
            let platform = gem.platform.as_deref().unwrap_or("ruby");
            serde_json::json!([
                gem.name,
                gem.version.as_str(),
                platform,
                asked(&gem.dependencies)
            ])
        })
        .collect();
    rows.sort_by_key(ToString::to_string);
    let sorted = |rows: &serde_json::Value| {
        let mut rows = rows.as_array().expect("rows").clone();
        for row in &mut rows {
            if let Some(list) = row.get_mut(3).and_then(|list| list.as_array_mut()) {
                for dependency in list {
                    if let Some(list) = dependency[1].as_array_mut() {
                        list.sort_by_key(ToString::to_string);
                    }
                }
            } else if let Some(list) = row.get_mut(1).and_then(|list| list.as_array_mut()) {
                list.sort_by_key(ToString::to_string);
            }
        }
        rows.sort_by_key(ToString::to_string);
        rows
    };
    assert_eq!(rows, sorted(&theirs[0]));
    let mut direct = asked(&lockfile.dependencies);
    direct.sort_by_key(ToString::to_string);
    assert_eq!(direct, sorted(&theirs[1]));
}

#[test]
fn line_ends_of_windows_make_no_difference() {
    let windows = parse(&every_section().replace('\n', "\r\n"));
    let unix = parse(&every_section());
    assert_eq!(format!("{windows:?}"), format!("{unix:?}"));
}

#[test]
fn the_way_in_is_the_shortest() {
    let text = SMALL.replace(
        "    rails (6.1.7)\n      oj (>= 3.0)\n",
        "    rails (6.1.7)\n      a\n      b\n    a (1)\n      c\n    b (1)\n      oj (~> 3.0)\n    c (1)\n      oj\n      rails\n",
    );
    let lockfile = parse(&text);
    let graph = Graph::new(&lockfile);
    assert_eq!(graph.way_to("oj"), ["rails", "b", "oj"]);
    assert_eq!(graph.way_to("rails"), ["rails"]);
    assert!(graph.is_direct("rails") && !graph.is_direct("oj"));
    assert!(graph.way_to("nobody").is_empty());
    let asked: Vec<String> = graph
        .asked_by("oj")
        .iter()
        .map(|(who, what)| format!("{who:?} {}", what.requirement))
        .collect();
    assert_eq!(asked, ["Some(\"b\") ~> 3.0", "Some(\"c\") >= 0"]);
}

#[test]
fn what_is_broken_is_named_with_its_place() {
    let at = |error: &LockfileError| (error.line, error.column);
    let broken = |from: &str, to: &str| {
        assert!(SMALL.contains(from), "{from}");
        error(&SMALL.replacen(from, to, 1))
    };
    let found = error("");
    assert_eq!((at(&found), found.problem), ((1, 1), Problem::Empty));
    assert_eq!(error(" \n\n").problem, Problem::Empty);
    let found = error("GEM\n  remote: https://rubygems.org/\n  specs:\n\nDEPENDENCIES\n  oj\n");
    assert_eq!((at(&found), found.problem), ((1, 1), Problem::NoGems));
    assert_eq!(error("DEPENDENCIES\n  oj\n").problem, Problem::NoGems);

    let found = broken(
        "    oj (3.14.2)\n",
        "<<<<<<< HEAD\n    oj (3.14.2)\n=======\n",
    );
    assert_eq!(
        (at(&found), found.problem),
        ((4, 1), Problem::MergeConflict)
    );
    let found = broken("PLATFORMS", ">>>>>>> feature\nPLATFORMS");
    assert_eq!(
        (at(&found), found.problem),
        ((8, 1), Problem::MergeConflict)
    );

    let found = broken("3.14.2", "3..2");
    assert_eq!(at(&found), (4, 9));
    assert_eq!(found.to_string(), "line 4, column 9: '3..2' is no version");
    assert_eq!(at(&broken("3.14.2", "banana")), (4, 9));
    assert!(matches!(
        broken(" (3.14.2)", "").problem,
        Problem::NotAGem(_)
    ));
    assert!(matches!(
        broken("(3.14.2)", "(3.14.2").problem,
        Problem::NotAGem(_)
    ));
    assert!(matches!(
        broken("(3.14.2)", "()").problem,
        Problem::NotAGem(_)
    ));
    assert!(matches!(
        broken("(3.14.2)", "(3.14.2-)").problem,
        Problem::NotAGem(_)
    ));
    assert!(matches!(
        broken("(3.14.2)", "(3.14.2) x").problem,
        Problem::NotAGem(_)
    ));
    let found = broken(">= 3.0", "=> 3.0");
    assert_eq!(at(&found), (6, 11));

    for (spaces, expected) in [(1, (4, 2)), (3, (4, 4)), (5, (4, 6)), (7, (4, 8))] {
        let found = broken("    oj (3", &format!("{}oj (3", " ".repeat(spaces)));
        assert_eq!(at(&found), expected);
        assert!(
            matches!(found.problem, Problem::Indentation { .. }),
            "{found}"
        );
    }
    assert_eq!(
        broken("    oj (3", "\toj (3").problem,
        Problem::ControlCharacter(9)
    );
    assert!(matches!(
        broken("    oj (3", "  oj (3").problem,
        Problem::Indentation { .. }
    ));
    assert!(matches!(
        broken("    oj (3", "oj (3").problem,
        Problem::NotAHeading(_)
    ));
    assert_eq!(broken("    oj (3", "      oj (3").problem, Problem::OfNoGem);
    assert!(matches!(
        broken("  rails\n", " rails\n").problem,
        Problem::Indentation { .. }
    ));

    let found = broken("GEM\n", "GEM \n");
    assert_eq!(
        (at(&found), found.problem),
        ((1, 4), Problem::TrailingSpace)
    );
    assert_eq!(at(&broken("(3.14.2)", "(3.14.2)  ")), (4, 16));
    assert!(matches!(
        broken("GEM\n", "gem\n").problem,
        Problem::NotAHeading(_)
    ));
    assert!(matches!(
        broken("GEM\n", "").problem,
        Problem::OutsideSection(_)
    ));
    assert_eq!(broken("  specs:\n", "").problem, Problem::BeforeSpecs);
    assert!(matches!(
        broken("  remote: h", "  remote h").problem,
        Problem::NotAnOption(_)
    ));

    let found = error(&format!("\u{feff}{SMALL}"));
    assert_eq!(
        (at(&found), found.problem),
        ((1, 1), Problem::ByteOrderMark)
    );
    let mut bytes = SMALL.as_bytes().to_vec();
    bytes[SMALL.find("oj").expect("oj")] = 0xff;
    let found = Lockfile::parse(&bytes).expect_err("not UTF-8");
    assert_eq!((at(&found), found.problem), ((4, 5), Problem::NotUtf8));
    let wide: Vec<u8> = SMALL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(Lockfile::parse(&wide).is_err());
    assert!(matches!(
        error(&SMALL.replace('\n', "\r")).problem,
        Problem::ControlCharacter(13)
    ));

    let tail = |section: &str| error(&format!("{SMALL}\n{section}"));
    assert_eq!(at(&tail("RUBY VERSION\n   3.1.7\n")), (15, 4));
    assert_eq!(at(&tail("BUNDLED WITH\n   two\n")), (15, 4));
    assert_eq!(
        tail("BUNDLED WITH\n   2.3.15\n   2.4.0\n").problem,
        Problem::SecondLine
    );
}

#[test]
fn sections_to_come_are_skipped_and_named() {
    let lockfile = parse(&format!("{SMALL}\nSIGNATURES\n  whatever it says\n"));
    assert_eq!(lockfile.unknown_sections, [("SIGNATURES".to_owned(), 14)]);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes: Vec<u8>) {
        let _ = Lockfile::parse(&bytes);
    }

    /// A cut or disturbed lockfile is read, or refused with a place in it.
    #[test]
    fn a_disturbed_lockfile_has_its_place(at in 0usize..1600, put in "[ -~\\n\u{e9}]{0,3}") {
        let text = every_section();
        let at = at.min(text.len());
        for text in [text[..at].to_owned(), format!("{}{put}{}", &text[..at], &text[at..])] {
            if let Err(error) = Lockfile::parse(text.as_bytes()) {
                let lines = text.split('\n').count() as u32;
                prop_assert!(error.line >= 1 && error.line <= lines);
                let line = text.split('\n').nth(error.line as usize - 1).unwrap_or("");
                prop_assert!(error.column as usize <= line.chars().count() + 1);
            }
        }
    }
}
