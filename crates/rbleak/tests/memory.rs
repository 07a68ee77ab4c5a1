//! `--memory`: what needs more is refused with the figure, before it is read
//! or while it is, and what is not refused stays below.

mod common;

use common::{Answer, Bench};
use std::fmt::Write as _;
use std::process::Stdio;

/// A dump of so many objects, as sparse in references and sites as real ones.
fn dump(objects: u64) -> String {
    let mut text = String::new();
    let base = 0x7f00_0000_0000_u64;
    let at = |object: u64| base + object / 400 * 0x1_0000 + object % 400 * 40;
    let class = at(0);
    let _ = writeln!(
        text,
        r#"{{"type":"ROOT", "root":"vm", "references":["{class:#x}", "{:#x}"]}}"#,
        at(1)
    );
    let _ = writeln!(
        text,
        r#"{{"address":"{class:#x}", "type":"CLASS", "name":"Thing", "superclass":"{class:#x}", "references":["{:#x}"], "memsize":512, "flags":{{}}}}"#,
        at(1)
    );
    for object in 1..objects {
        let (child, other) = (at((object * 2) % objects), at((object * 2 + 1) % objects));
        let line = object % 5000;
        let _ = writeln!(
            text,
            r#"{{"address":"{:#x}", "type":"OBJECT", "shape_id":7, "class":"{class:#x}", "ivars":2, "references":["{child:#x}", "{other:#x}"], "file":"/srv/app/models/thing_{}.rb", "line":{line}, "method":"build", "generation":{}, "memsize":40, "flags":{{"wb_protected":true, "old":true, "uncollectible":true, "marked":true}}}}"#,
            at(object),
            line % 50,
            10 + object % 30,
        );
    }
    text
}

/// The megabytes in `about 127 MB of memory`.
fn figure(answer: &Answer) -> u64 {
    let words: Vec<&str> = answer.stderr.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| *word == "MB")
        .expect("a figure");
    words[at - 1].parse().expect("a number")
}

#[test]
fn what_is_told_is_what_it_takes() {
    let bench = Bench::new();
    std::fs::write(bench.home.path().join("A"), dump(300_000)).expect("a file");
    std::fs::write(bench.home.path().join("B"), dump(400_000)).expect("a file");
    for arguments in [
        &["diff", "A", "B"][..],
        &["diff", "--holders", "A", "B"],
        &["retained", "B"],
        &["retained", "--base", "A", "B"],
        &["path", "B", "--class", "Thing"],
    ] {
        let refused = bench.run(&[arguments, &["--memory", "5MB"]].concat());
        refused.assert_refused("--memory allows 5.0 MB: allow more");
        let told = figure(&refused);
        let size = format!("{}MB", told + 1);
        let (peak, answer) = bench.peak(&[arguments, &["--memory", &size]].concat());
        assert!(answer.status < 2, "{arguments:?}: {}", answer.stderr);
        let taken = peak / 1_000_000;
        println!("{arguments:?}: {told} MB told, {taken} MB taken");
        assert!(taken <= told, "{arguments:?}: {taken} MB of {told}");
        assert!(taken * 2 > told, "{arguments:?}: {taken} MB of {told}");
    }
}

#[test]
fn what_cannot_be_told_before_is_stopped_while_it_is_read() {
    let bench = Bench::new();
    let text = dump(400_000);
    let packed = zstd::encode_all(text.as_bytes(), 1).expect("Zstandard");
    std::fs::write(bench.home.path().join("B.zst"), packed).expect("a file");
    let (taken, answer) = bench.peak(&["retained", "B.zst", "--memory", "70MB"]);
    answer.assert_refused("B.zst needs about");
    assert!(taken < 70_000_000, "{taken}");
    // Of a pipe nobody knows how much is to come.
    let output = bench
        .command(&["retained", "-", "--memory", "70MB"])
        .stdin(Stdio::from(pipe(text)))
        .output()
        .expect("rbleak starts");
    common::answer(&output).assert_refused("standard input needs more than");
    let all = bench.run(&["retained", "B.zst", "--memory", "1GB"]);
    assert_eq!(all.status, 0, "{}", all.stderr);
}

/// A pipe that `text` comes out of, as far as somebody reads it.
fn pipe(text: String) -> std::process::ChildStdout {
    let mut cat = std::process::Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat");
    let mut stdin = cat.stdin.take().expect("stdin");
    let stdout = cat.stdout.take().expect("stdout");
    std::thread::spawn(move || {
        use std::io::Write;
        // The reader may have had enough.
        let _ = stdin.write_all(text.as_bytes());
        drop(stdin);
        let _ = cat.wait();
    });
    stdout
}

#[test]
fn a_hunt_keeps_its_verdict_where_the_dumps_take_too_much() {
    common::needs("ruby");
    let app = common::leaky();
    let app = app.to_str().expect("UTF-8");
    let answer = Bench::new().run(&["hunt", "-C", app, "--path", "/leak", "--memory", "10MB"]);
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    assert!(answer.stdout.contains("LEAK"), "{}", answer.stdout);
    let said = answer.stderr.contains("who holds what grows is not told");
    assert!(
        said && answer.stderr.contains("10 MB are allowed"),
        "{}",
        answer.stderr
    );
}

#[test]
fn a_size_needs_its_unit() {
    let bench = Bench::new();
    for size in ["2", "lots", "0MB", "-1GB"] {
        let memory = format!("--memory={size}");
        let answer = bench.run(&["retained", "x", &memory]);
        assert_eq!(answer.status, 2);
        assert!(
            answer.stderr.contains("such as 2GiB, 500MB or 1.5G"),
            "{}",
            answer.stderr
        );
    }
}
