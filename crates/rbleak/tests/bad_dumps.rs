//! Dumps that are cut, damaged, unfinished or absurd: each is one sentence and
//! exit code 2, or a result that is marked as partial in text and in JSON.

mod common;

use common::{Answer, Bench, answer, fixture};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The lines of a fixture.
fn lines(name: &str) -> Vec<u8> {
    let file = File::open(fixture(name)).expect("a fixture");
    zstd::decode_all(file).expect("Zstandard")
}

fn write(bench: &Bench, name: &str, bytes: &[u8]) -> PathBuf {
    let path = bench.home.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    path
}

/// Runs `retained` as text and as JSON: both say how the dump is partial.
fn assert_partial(
    bench: &Bench,
    dump: &str,
    cause: Option<&str>,
    words: &str,
) -> serde_json::Value {
    let text = bench.run(&["retained", dump]);
    assert_eq!(text.status, 0, "{}", text.stderr);
    let mark = text
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with("partial"));
    let mark = mark.unwrap_or_else(|| panic!("no mark in {}", text.stdout));
    let whole = text.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(whole.contains(words), "no `{words}` near {mark}");
    assert!(!text.stderr.contains("panicked"), "{}", text.stderr);
    let json = bench.run(&["retained", "--format", "json", dump]).json();
    let partial = json["facts"]["partial"][0].clone();
    assert_eq!(partial["name"], dump);
    assert_eq!(partial["cut"]["cause"].as_str(), cause, "{partial}");
    let summary = bench.run(&["summary", "--format", "json", dump]).json();
    assert_eq!(summary["facts"]["partial"][0], partial);
    partial
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .args(["-1", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip");
    let mut stdin = child.stdin.take().expect("stdin");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().expect("gzip ends");
    writer.join().expect("no panic").expect("gzip reads");
    output.stdout
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("Zstandard")
}

#[test]
fn a_compressed_file_cut_in_the_middle() {
    let bench = Bench::new();
    let bytes = lines("3.1/A.ndjson.zst");
    for (name, packed) in [("cut.zst", zstd_of(&bytes)), ("cut.gz", gzip(&bytes))] {
        write(&bench, name, &packed[..packed.len() / 2]);
        let partial = assert_partial(
            &bench,
            name,
            Some("decompression"),
            "the compressed file ends early or is damaged",
        );
        assert!(partial["cut"]["line"].as_u64() > Some(1000));
        write(&bench, "head", &packed[..30]);
        bench
            .run(&["retained", "head"])
            .assert_refused("cannot decompress head");
    }
}

#[test]
fn garbage_behind_a_compressed_file() {
    let bench = Bench::new();
    let bytes = lines("3.1/A.ndjson.zst");
    let last = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
    for (name, mut packed) in [("tail.zst", zstd_of(&bytes)), ("tail.gz", gzip(&bytes))] {
        packed.extend_from_slice(b"garbage behind the end");
        write(&bench, name, &packed);
        let partial = assert_partial(
            &bench,
            name,
            Some("decompression"),
            "ends early or is damaged",
        );
        assert_eq!(partial["cut"]["line"], last + 1);
    }
}

#[test]
fn concatenated_members_are_one_dump() {
    let bench = Bench::new();
    let bytes = lines("3.1/A.ndjson.zst");
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    write(&bench, "whole", &bytes);
    let told = |dump: &str| {
        let json = bench.run(&["retained", "--format", "json", dump]).json();
        assert_eq!(json["facts"]["partial"], serde_json::Value::Null);
        json["tables"].clone()
    };
    let expected = told("whole");
    let mut gz = gzip(head);
    gz.extend(gzip(tail));
    write(&bench, "two.gz", &gz);
    assert_eq!(told("two.gz"), expected);
    let mut zst = zstd_of(head);
    zst.extend(zstd_of(tail));
    write(&bench, "two.zst", &zst);
    assert_eq!(told("two.zst"), expected);
}

#[test]
fn pages_of_nuls() {
    let bench = Bench::new();
    let bytes = lines("3.4/A.ndjson.zst");
    let hole = [0_u8; 4096];
    // In the middle, as a crash leaves it where it lost a page.
    let mut holed = bytes.clone();
    for at in [40, 41, 90, 200] {
        holed[at * 4096..(at + 1) * 4096].copy_from_slice(&hole);
    }
    write(&bench, "holes", &holed);
    let partial = assert_partial(&bench, "holes", None, "3 lines were left out");
    assert_eq!(partial["skipped_lines"], 3);
    let answer = bench.run(&["retained", "holes"]);
    assert!(
        answer
            .stderr
            .contains("NUL bytes where a part of the file was never written"),
        "{}",
        answer.stderr
    );
    // At the end, after a whole line and within one.
    let mut padded = bytes.clone();
    padded.extend_from_slice(&hole);
    write(&bench, "padded", &padded);
    assert_partial(
        &bench,
        "padded",
        Some("mid_line"),
        "the dump ends in the middle of line",
    );
    let mut torn = bytes[..bytes.len() - 50].to_vec();
    torn.extend_from_slice(&hole);
    write(&bench, "torn", &torn);
    assert_partial(
        &bench,
        "torn",
        Some("mid_line"),
        "the dump ends in the middle of line",
    );
    // At the beginning nothing tells that it is a dump.
    let mut headless = hole.to_vec();
    headless.extend_from_slice(&bytes);
    write(&bench, "headless", &headless);
    bench
        .run(&["retained", "headless"])
        .assert_refused("headless is no heap dump: it is binary");
}

#[test]
fn a_line_of_half_a_gigabyte_takes_little_memory() {
    const LONG: u64 = 500 << 20;
    let bench = Bench::new();
    let path = bench.home.path().join("long");
    let mut file = File::create(&path).expect("a file");
    let dump = lines("3.1/A.ndjson.zst");
    file.write_all(&dump).expect("a disk");
    file.write_all(b"{\"address\":\"0x7fffff000000\", \"type\":\"STRING\", \"value\":\"")
        .expect("a disk");
    let block = vec![b'x'; 1 << 20];
    for _ in 0..LONG >> 20 {
        file.write_all(&block).expect("a disk");
    }
    file.write_all(b"\", \"memsize\":524288040, \"flags\":{\"old\":true}}\n")
        .expect("a disk");
    drop(file);
    let (bytes, answer) = bench.peak(&["path", "--format", "json", "long", "0x7fffff000000"]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains("524288040"), "{}", answer.stdout);
    assert_eq!(answer.json()["facts"]["partial"], serde_json::Value::Null);
    assert!(bytes < 128 << 20, "{bytes}");
    // The same as one line that never ends.
    let file = File::options().write(true).open(&path).expect("the file");
    file.set_len(dump.len() as u64 + LONG).expect("a disk");
    let (bytes, answer) = bench.peak(&["retained", "--format", "json", "long"]);
    assert_eq!(
        answer.json()["facts"]["partial"][0]["cut"]["cause"],
        "mid_line"
    );
    assert!(bytes < 128 << 20, "{bytes}");
    std::fs::remove_file(path).expect("it was there");
}

/// A dump of so many bytes, large enough to be stopped while it is read.
fn large(bench: &Bench, bytes: usize) -> PathBuf {
    let path = bench.home.path().join("large");
    let mut file = File::create(&path).expect("a file");
    let dump = lines("3.1/A.ndjson.zst");
    let (roots, objects) = dump.split_at(memchr(&dump, b"{\"address\""));
    file.write_all(roots).expect("a disk");
    let mut written = roots.len();
    while written < bytes {
        file.write_all(objects).expect("a disk");
        written += objects.len();
    }
    path
}

fn memchr(bytes: &[u8], wanted: &[u8]) -> usize {
    let mut all = bytes.windows(wanted.len());
    all.position(|window| window == wanted)
        .expect("it is there")
}

/// Stops rbleak while it reads, changes the file, and lets it go on.
fn change_while_read(bench: &Bench, dump: &Path, change: impl Fn(&File)) -> Answer {
    use rustix::process::{Pid, Signal, kill_process};
    let length = dump.metadata().expect("the dump").len();
    // As long as it is open for writing it is not mapped.
    let file = File::options().append(true).open(dump).expect("the dump");
    for attempt in 1.. {
        let mut child = bench
            .command(&["retained", "--format", "json", "large"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rbleak starts");
        let pid = Pid::from_raw(child.id() as i32).expect("a pid");
        let start = Instant::now();
        let read = || -> Option<u64> {
            let text = std::fs::read_to_string(format!("/proc/{}/io", child.id())).ok()?;
            text.lines().next()?.strip_prefix("rchar: ")?.parse().ok()
        };
        while read().is_some_and(|read| read < length / 8) {
            assert!(start.elapsed() < Duration::from_secs(60), "it never reads");
        }
        kill_process(pid, Signal::STOP).expect("a signal");
        let is_in_time = read().is_some_and(|read| read < length / 2);
        if is_in_time {
            change(&file);
        }
        kill_process(pid, Signal::CONT).expect("a signal");
        if is_in_time {
            return answer(&child.wait_with_output().expect("it ends"));
        }
        // It was faster than this test.
        child.kill().expect("a signal");
        child.wait().expect("its end");
        assert!(attempt < 50, "never stopped in time");
    }
    unreachable!()
}

fn cause(answer: &Answer) -> String {
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
    let cut = &answer.json()["facts"]["partial"][0]["cut"]["cause"];
    cut.as_str().unwrap_or("none").to_owned()
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    let bench = Bench::new();
    let dump = large(&bench, 100 << 20);
    let length = dump.metadata().expect("the dump").len();
    let shrunk = change_while_read(&bench, &dump, |file| {
        file.set_len(length * 3 / 4).expect("a disk");
    });
    assert_eq!(cause(&shrunk), "shrunk");
    let growing = change_while_read(&bench, &dump, |mut file| {
        file.write_all(b"{\"address\":\"0x10\", \"type\":\"STR")
            .expect("a disk");
    });
    assert_eq!(cause(&growing), "growing");
    // What is there now was cut by its writer.
    let cut = bench.run(&["retained", "--format", "json", "large"]);
    assert_eq!(cause(&cut), "mid_line");
    let rewritten = change_while_read(&bench, &dump, |_| {
        let mut file = File::options().write(true).open(&dump).expect("the dump");
        file.seek(SeekFrom::Start(0)).expect("a file");
        file.write_all(b" ").expect("a disk");
    });
    assert_eq!(cause(&rewritten), "rewritten");
}

#[test]
fn a_file_that_is_cut_while_it_is_mapped() {
    let bench = Bench::new();
    let whole = large(&bench, 100 << 20);
    let length = whole.metadata().expect("the dump").len();
    let dump = bench.home.path().join("mapped");
    for _ in 0..50 {
        std::fs::copy(&whole, &dump).expect("a disk");
        let child = bench
            .command(&["retained", "--format", "json", "mapped"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rbleak starts");
        let start = Instant::now();
        let has_lease = || {
            let all = std::fs::read_to_string("/proc/locks").expect("what Linux has");
            let of_child = format!(" {} ", child.id());
            all.lines()
                .any(|line| line.contains("LEASE") && line.contains(&of_child))
        };
        while !has_lease() {
            let waited = start.elapsed();
            assert!(
                waited < Duration::from_secs(60),
                "it is never mapped: is there a lease on this file system?"
            );
        }
        // Waits until rbleak gives the file free, which it does while it reads.
        let file = File::options().write(true).open(&dump).expect("the dump");
        file.set_len(length / 2).expect("a disk");
        assert!(start.elapsed() < Duration::from_secs(40), "nobody gave way");
        let answer = answer(&child.wait_with_output().expect("it ends"));
        // It may have read all before; or it had looked only at the file's first
        // bytes, which it does under a lease of their own, and opened it again when
        // it was cut, or was just being cut.
        match &*cause(&answer) {
            "shrunk" => return,
            other => assert!(
                ["none", "mid_line", "rewritten"].contains(&other),
                "{other}"
            ),
        }
    }
    unreachable!("it always was faster");
}

#[test]
fn a_pipe_that_ends_in_the_middle_of_a_line() {
    let bench = Bench::new();
    let bytes = lines("3.1/A.ndjson.zst");
    let mut child = bench
        .command(&["retained", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rbleak starts");
    let mut stdin = child.stdin.take().expect("stdin");
    let writer = std::thread::spawn(move || {
        // As slowly as a process that is dumping.
        for block in bytes[..bytes.len() - 20].chunks(1 << 18) {
            stdin.write_all(block).expect("rbleak reads");
            stdin.flush().expect("rbleak reads");
        }
    });
    let mut out = String::new();
    child
        .stdout
        .take()
        .expect("stdout")
        .read_to_string(&mut out)
        .expect("text");
    writer.join().expect("no panic");
    let told = Answer {
        status: child.wait().expect("its end").code().unwrap_or(-1),
        stdout: out,
        stderr: String::new(),
    };
    assert_eq!(cause(&told), "mid_line");
}
