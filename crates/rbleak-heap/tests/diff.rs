//! Diffs of real dumps find the leak and nothing else; diffs of others say
//! what is wrong with them.
#![allow(clippy::unwrap_used)]

mod support;

use rbleak_heap::diff::{DiffProblem, IdentityUsed, Severity};
use rbleak_heap::{Filter, GroupBy, Heap, Identity, diff};
use std::io::Write;
use support::{VERSIONS, heap, heaps, read};

/// Counts by class of what `Leaker.leak`, on line 208, left.
fn leaked(heaps: &[Heap]) -> Vec<(String, u64)> {
    let diff = diff(heaps, Identity::Auto).unwrap();
    assert_eq!(diff.identity(), IdentityUsed::Traced);
    assert!(diff.problems().is_empty(), "{:?}", diff.problems());
    assert!(!diff.compacted());
    let app = Filter {
        app_only: true,
        ..Filter::default()
    };
    let top = &diff.groups(GroupBy::File, &app)[0];
    assert_eq!(top.key.file, Some("gen.rb"));
    let mut found: Vec<_> = diff
        .groups(GroupBy::Site, &app)
        .into_iter()
        .filter(|group| group.key.line == 208 && !group.key.class.unwrap().contains("internal"))
        .map(|group| (group.key.class.unwrap().to_owned(), group.objects.0))
        .collect();
    found.sort();
    found
}

fn groups_of_30() -> Vec<(String, u64)> {
    let group = |class: &str, count| (class.to_owned(), count);
    vec![
        group("Array", 30),
        group("Hash", 30),
        group("String", 90),
        group("Zoo::Pt", 30),
    ]
}

#[test]
fn the_leak_is_found_in_every_version() {
    for version in VERSIONS {
        let three = heaps(version, &["A", "B", "C"]);
        assert_eq!(leaked(&three), groups_of_30(), "{version}: A B C");
        assert_eq!(leaked(&three[..2]), groups_of_30(), "{version}: A B");
        let whole = diff(&three, Identity::Auto).unwrap();
        let top = &whole.groups(GroupBy::Site, &Filter::default())[0];
        assert_eq!(
            (top.key.file, top.key.line),
            (Some("gen.rb"), 208),
            "{version}"
        );
        // The leak goes on: the last dump has as many of its own.
        let newest = whole.newest_groups(GroupBy::Site, &Filter::default());
        let strings = newest
            .iter()
            .find(|group| group.key.line == 208 && group.key.class == Some("String"));
        assert_eq!(strings.map(|group| group.objects.0), Some(90), "{version}");
        let missed = whole.address_only();
        assert!(
            missed.objects.0 >= 180 && missed.missed.0 <= 10,
            "{version} {missed:?}"
        );
    }
}

#[test]
fn compaction_is_detected_and_only_compaction() {
    for version in &VERSIONS[1..] {
        let dumps = heaps(version, &["A", "B", "C", "compact"]);
        let diff = diff(&dumps, Identity::Auto).unwrap();
        let compactions = diff.compactions();
        assert_eq!(compactions.len(), 1, "{version}: {compactions:?}");
        assert_eq!(compactions[0].from, 2, "{version}");
        assert!(compactions[0].moved.0 > 3000, "{version}: {compactions:?}");
        // By class, the growth still shows.
        let growth = diff.growth(GroupBy::Class, &Filter::default());
        let node = growth
            .iter()
            .find(|row| row.key.class == Some("Zoo::Pt"))
            .unwrap();
        assert_eq!(node.objects[2].0 - node.objects[0].0, 60, "{version}");
        assert!(node.objects[3] >= node.objects[2], "{version}");
    }
}

/// The same dumps as if allocations had not been traced.
fn untraced(version: &str, name: &str) -> Heap {
    let text = support::bytes(version, name);
    let traced =
        regex::bytes::Regex::new(r#", "(file|method)":"[^"]*"|, "(line|generation)":\d+"#).unwrap();
    read(traced.replace_all(&text, &b""[..]).into_owned())
}

#[test]
fn without_generations_the_identity_is_weaker_and_says_so() {
    for version in VERSIONS {
        let dumps: Vec<_> = ["A", "B", "C"].map(|name| untraced(version, name)).into();
        let diff = diff(&dumps, Identity::Auto).unwrap();
        assert_eq!(diff.identity(), IdentityUsed::Untraced);
        assert!(
            diff.problems().is_empty(),
            "{version} {:?}",
            diff.problems()
        );
        let nodes = diff.groups(GroupBy::Class, &Filter::default());
        let nodes = nodes
            .iter()
            .find(|group| group.key.class == Some("Zoo::Pt"))
            .unwrap();
        assert_eq!(nodes.objects.0, 30, "{version}");
        assert_eq!(diff.untraced_survivors().0, diff.survivors().len() as u64);
    }
    // 3.4 moves no code, and data may as well be other data.
    for version in ["2.7", "3.1", "3.2", "3.3", "4.0"] {
        let dumps: Vec<_> = ["C", "compact"].map(|name| untraced(version, name)).into();
        assert!(
            diff(&dumps, Identity::Auto).unwrap().compacted(),
            "{version}"
        );
    }
}

fn only_problem(heaps: &[Heap]) -> (Severity, String) {
    let diff = diff(heaps, Identity::Auto).unwrap();
    let problems = diff.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    (problems[0].severity(), problems[0].to_string())
}

#[test]
fn dumps_that_do_not_belong_together_are_told() {
    for version in VERSIONS {
        let (severity, message) = only_problem(&heaps(version, &["A", "A"]));
        assert_eq!(severity, Severity::Error);
        assert!(message.contains("same content"), "{message}");

        let dumps = heaps(version, &["B", "C", "A"]);
        let shuffled = diff(&dumps, Identity::Auto).unwrap();
        let DiffProblem::WrongOrder { order, .. } = &shuffled.problems()[0] else {
            panic!("{version}: {:?}", shuffled.problems());
        };
        assert_eq!(order, &[2, 0, 1], "{version}");

        let dumps = vec![heap(version, "A"), heap(version, "broken")];
        let strangers = diff(&dumps, Identity::Auto).unwrap();
        let first = &strangers.problems()[0];
        assert!(
            matches!(first, DiffProblem::DifferentProcesses { .. }),
            "{version}: {first}"
        );
    }
    assert_eq!(
        diff(&[heap("3.1", "A")], Identity::Auto).unwrap_err().given,
        1
    );
}

#[test]
fn a_partial_dump_is_said_to_be_one() {
    for version in ["3.1", "3.2", "3.3", "3.4", "4.0"] {
        let dumps = heaps(version, &["A", "B", "since"]);
        let (severity, message) = only_problem(&dumps);
        assert_eq!(severity, Severity::Warning, "{version}: {message}");
        assert!(message.contains("no roots"), "{message}");
    }
}

const STRING: &str = r#""type":"STRING", "class":"0x10", "file":"a.rb", "line":1"#;

/// A process with one class and strings at addresses, each with a generation.
fn process(strings: impl IntoIterator<Item = (u64, u32)>) -> Heap {
    let mut text = String::from(
        r#"{"type":"ROOT", "root":"vm", "references":["0x10"]}
{"address":"0x10", "type":"CLASS", "class":"0x10", "name":"String", "memsize":40}
"#,
    );
    for (address, generation) in strings {
        text.push_str(&format!(
            "{{\"address\":\"{address:#x}\", {STRING}, \"generation\":{generation}, \"memsize\":40}}\n"
        ));
    }
    read(text)
}

#[test]
fn the_same_slot_in_another_generation_is_another_object() {
    let dumps = [process([(0x100, 3)]), process([(0x100, 4)])];
    let strict = diff(&dumps, Identity::Auto).unwrap();
    assert_eq!(strict.survivors().len(), 1);
    assert_eq!(strict.reused_slots().0, 1);
    assert_eq!(strict.address_only().missed.0, 1);
    let loose = diff(&dumps, Identity::Address).unwrap();
    assert_eq!(loose.survivors().len(), 0);
}

#[test]
fn a_bounded_cache_that_is_replaced_retains_nothing() {
    // A is before the cache; from B on it is full and replaced in place.
    let cache = |generation| (0..1000).map(move |i| (0x1000 + i * 40, generation));
    let dumps = [process([]), process(cache(5)), process(cache(9))];
    let strict = diff(&dumps, Identity::Auto).unwrap();
    assert_eq!(strict.survivors().len(), 0);
    assert_eq!(strict.newest().len(), 1000);
    assert_eq!(strict.reused_slots().0, 1000);
    assert_eq!(strict.address_only().objects.0, 1000);
    assert_eq!(strict.address_only().wrong.0, 1000);
    let loose = diff(&dumps, Identity::Address).unwrap();
    assert_eq!(loose.survivors().len(), 1000);
}

#[test]
fn an_object_that_grows_in_place_is_listed() {
    let dump = |size: u64, other: u64| {
        read(format!(
            r#"{{"type":"ROOT", "root":"vm", "references":["0x100"]}}
{{"address":"0x100", "type":"ARRAY", "length":3, "generation":1, "memsize":{size}}}
{{"address":"0x128", "type":"ARRAY", "length":3, "generation":1, "memsize":{other}}}
"#
        ))
    };
    let dumps = [dump(40, 40), dump(80, 200), dump(400, 200)];
    let diff = diff(&dumps, Identity::Auto).unwrap();
    let grown = diff.grown(10);
    assert_eq!(grown.len(), 1);
    assert_eq!(grown[0].growth().0, 360);
    assert_eq!(diff.grown(0).len(), 0);
}

#[test]
fn filters_take_by_file_class_and_origin() {
    let three = heaps("3.3", &["A", "B", "C"]);
    let diff = diff(&three, Identity::Auto).unwrap();
    let count = |filter: &Filter| -> u64 {
        let groups = diff.groups(GroupBy::Gem, filter);
        groups.iter().map(|group| group.objects.0).sum()
    };
    let only = |text: &str| Filter {
        only: Some(regex::Regex::new(text).unwrap()),
        ..Filter::default()
    };
    assert_eq!(count(&Filter::default()), diff.survivors().len() as u64);
    assert_eq!(count(&only("^Zoo::Pt$")), 30);
    assert_eq!(count(&only("no such thing")), 0);
    assert!(count(&only(r"gen\.rb$")) >= 180);
    let shares: f64 = diff
        .groups(GroupBy::Method, &Filter::default())
        .iter()
        .map(|group| group.share)
        .sum();
    assert!(shares > 0.0 && shares < 0.05, "{shares}");
}

#[test]
fn lines_are_copied_as_they_stand() {
    let path = support::path("3.3", "broken");
    let heap = heap("3.3", "broken");
    let mut copy = Vec::new();
    let copied = rbleak_heap::copy_lines(&path, |_| true, &mut copy).unwrap();
    // Everything but the roots.
    let text = support::bytes("3.3", "broken");
    let roots: usize = text
        .split_inclusive(|&b| b == b'\n')
        .take_while(|line| line.starts_with(br#"{"type":"ROOT""#))
        .map(<[u8]>::len)
        .sum();
    assert!(copy == text[roots..]);
    assert_eq!(copied as usize, heap.len() + heap.shapes().all().len());

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"{\"type\":\"STRING\", \"address\":\"0x8\"}\n{\"address\":\"0x10\"}")
        .unwrap();
    let mut copy = Vec::new();
    rbleak_heap::copy_lines(file.path(), |address| address.0 == 16, &mut copy).unwrap();
    assert_eq!(copy, b"{\"address\":\"0x10\"}\n");
}
