//! Every advisory that rbleak carries: readable, sensible, in its place.

use rbleak_audit::advisory::Subject;
use rbleak_audit::{Advisory, Database, GemVersion, Store};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../advisories")
}

/// Every file: its kind and folder (`gems`, `oj`), its path, and its advisory.
fn all() -> Vec<(String, String, PathBuf, Advisory)> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        entries
    };
    let name = |path: &Path| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let mut all = Vec::new();
    for kind in ["gems", "rubies"] {
        for subject in entries(&folder().join(kind)) {
            for file in entries(&subject) {
                let text = std::fs::read_to_string(&file).expect("UTF-8");
                let stem = name(&file).strip_suffix(".yml").expect("*.yml").to_owned();
                let advisory = Advisory::from_yaml(&text, &stem)
                    .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                all.push((kind.to_owned(), name(&subject), file, advisory));
            }
        }
    }
    all
}

#[test]
fn every_file_holds_to_the_schema_and_does_not_contradict_itself() {
    let all = all();
    let mut ids = HashSet::new();
    for (kind, subject, file, advisory) in &all {
        let file = file.display();
        assert_eq!(advisory.problems(), [""; 0], "{file}");
        let expected = match kind.as_str() {
            "gems" => Subject::Gem(subject.clone()),
            _ => Subject::Ruby(subject.clone()),
        };
        assert_eq!(advisory.subject, expected, "{file}");
        assert!(ids.insert(&advisory.id), "{file}: the id is taken");
    }
    assert!(all.len() >= 100, "{} advisories", all.len());
}

#[test]
fn at_least_twelve_were_measured_and_have_their_case() {
    let all = all();
    let measured: Vec<&Advisory> = all
        .iter()
        .map(|(.., advisory)| advisory)
        .filter(|advisory| advisory.measured.is_some())
        .collect();
    assert!(measured.len() >= 12, "{}", measured.len());
    let cases = folder().join("../script/recheck.d");
    for advisory in &measured {
        let case = cases.join(format!("{}.rb", advisory.id));
        assert!(case.is_file(), "no case {}", case.display());
    }
    let count = std::fs::read_dir(&cases).expect("cases").count();
    assert_eq!(count, measured.len(), "a case without its figure");
}

#[test]
fn a_store_gives_back_what_it_was_made_of() {
    let database: Database = all().into_iter().map(|(.., advisory)| advisory).collect();
    let date = jiff::civil::date(2026, 11, 23);
    let json = Store::new(None, None, date, true, &database)
        .to_json()
        .expect("JSON");
    let mut again = Database::default();
    Store::from_json(&json)
        .expect("a store")
        .into_database(&mut again)
        .expect("whole");
    assert_eq!(again.len(), database.len());
    for advisory in database.iter() {
        let name = advisory.subject.name();
        let known = match advisory.subject {
            Subject::Gem(_) => again.about_gem(name),
            Subject::Ruby(_) => again.about_ruby(name),
        };
        assert!(known.contains(advisory), "{}", advisory.id);
    }
    for end in [0, 1, json.len() / 2, json.len() - 1] {
        assert!(Store::from_json(&json[..end]).is_err(), "cut at {end}");
    }
}

/// The ids of what is known of this version of a gem, conditions left aside.
fn leaks(gem: &str, version: &str) -> Vec<String> {
    let version: GemVersion = version.parse().expect("a version");
    all()
        .into_iter()
        .filter(|(_, subject, _, advisory)| subject == gem && advisory.affects(&version))
        .map(|(.., advisory)| advisory.id)
        .collect()
}

#[test]
fn versions_that_others_get_wrong_are_right() {
    for (gem, version) in [
        ("celluloid", "0.15.0"),
        ("redis", "3.2.1"),
        ("net-http-persistent", "2.9.4"),
        ("therubyracer", "0.13.0"),
        ("grape", "0.5.0"),
        ("oj", "3.17.5"),
        ("ruby", "4.0.5"),
    ] {
        assert_eq!(leaks(gem, version), [""; 0], "{gem} {version}");
    }
    assert_eq!(leaks("celluloid", "0.17.0"), ["celluloid-670"]);
    assert_eq!(leaks("therubyracer", "0.12.1"), ["therubyracer-336"]);
    assert_eq!(leaks("redis", "3.3.0"), ["redis-612"]);
}

/// The schema that bundler-leak reads.
#[test]
fn files_of_ruby_mem_advisory_db_are_read() {
    let text = "---\ngem: therubyracer\nurl: https://github.com/cowboyd/therubyracer/pull/336\ntitle: It leaks\ndate: 2015-06-14\ndescription: |\n  Weak values.\nleaky_versions:\n  - \"< 0.12.2\"\npatched_versions:\n  - \"~> 0.12.3\"\n";
    let advisory = Advisory::from_yaml(text, "therubyracer-336").expect("it is one");
    let affects = |version: &str| advisory.affects(&version.parse().expect("a version"));
    assert!(affects("0.12.1"));
    assert!(!affects("0.12.2") && !affects("0.13.0"));
    // Without leaky_versions all that is neither patched nor unaffected leaks.
    let text = "gem: a\nurl: https://example.com\ntitle: t\npatched_versions: ['>= 2']\nunaffected_versions: ['< 1']\n";
    let advisory = Advisory::from_yaml(text, "a-1").expect("it is one");
    let affects = |version: &str| advisory.affects(&version.parse().expect("a version"));
    assert!(affects("1.0") && affects("2.0.rc1") && !affects("2") && !affects("0.9"));
    for (text, words) in [
        ("", "end of input"),
        ("gem: a\n", "missing field"),
        (
            "gem: a\nurl: u\ntitle: t\nleaky_versions: ['=< 1']\n",
            "leaky_versions: '=< 1'",
        ),
        ("gem: a\nurl: u\ntitle: t\nleaky_versions: 1\n", "line 4"),
        ("gem: [a\n", "line"),
    ] {
        let error = Advisory::from_yaml(text, "a").expect_err(text).to_string();
        assert!(
            error.contains(words) && !error.contains('\n'),
            "{text}: {error}"
        );
    }
}
