//! `rbleak doctor` on real set-ups: each told right, and each fix, applied,
//! turns the finding green.

mod common;

use common::{Answer, Bench, answer, app, needs};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

type Variables = BTreeMap<String, String>;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// Of the variables that matter here none comes from outside.
fn clean(command: &mut Command) {
    for name in [
        "LD_PRELOAD",
        "MALLOC_ARENA_MAX",
        "MALLOC_CONF",
        "GLIBC_TUNABLES",
        "RUBY_YJIT_ENABLE",
    ] {
        command.env_remove(name);
    }
}

fn doctor(set: &Variables, arguments: &[&str]) -> Answer {
    needs("ruby");
    let bench = Bench::new();
    let mut all = vec!["doctor", "--strict", "--format", "json"];
    all.extend(arguments);
    let mut command = bench.command(&all);
    clean(&mut command);
    answer(&command.envs(set).output().expect("rbleak starts"))
}

/// The allocator, how it came, and the findings.
fn told(answer: &Answer) -> (String, String, Vec<String>) {
    let json = answer.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
    let findings = json["findings"].as_array().expect("findings");
    let ids: Vec<String> = findings.iter().map(|f| text(&f["id"])).collect();
    let expected = i32::from(!ids.is_empty());
    assert_eq!(
        answer.status, expected,
        "{}\n{}",
        answer.stdout, answer.stderr
    );
    let allocator = &json["facts"]["allocator"];
    (text(&allocator["kind"]), text(&allocator["linkage"]), ids)
}

fn check(answer: &Answer, kind: &str, linkage: &str, ids: &[&str]) {
    let told = told(answer);
    assert_eq!(
        (told.0.as_str(), told.1.as_str()),
        (kind, linkage),
        "{}",
        answer.stdout
    );
    assert_eq!(told.2, ids, "{}", answer.stdout);
}

/// What the first finding says is to be set.
fn first_fix(answer: &Answer) -> Variables {
    let json = answer.json();
    let set = json["findings"][0]["fix"]["set"]
        .as_object()
        .expect("a fix")
        .clone();
    assert!(!set.is_empty(), "{json}");
    let owned = |(name, value): (String, serde_json::Value)| {
        (name, value.as_str().expect("a text").to_owned())
    };
    set.into_iter().map(owned).collect()
}

/// Applies the fix of the first finding until there is none.
fn mended(mut set: Variables, arguments: &[&str]) -> Answer {
    for _ in 0..4 {
        let found = doctor(&set, arguments);
        if told(&found).2.is_empty() {
            return found;
        }
        set.extend(first_fix(&found));
        set.retain(|_, value| !value.is_empty());
    }
    panic!("four fixes did not mend it: {set:?}");
}

fn library(name: &str) -> String {
    let path = format!("/usr/lib/{}-linux-gnu/{name}", std::env::consts::ARCH);
    assert!(
        Path::new(&path).exists(),
        "this test needs {path}: run script/setup"
    );
    path
}

#[test]
fn plain() {
    let none = Variables::new();
    check(
        &doctor(&none, &[]),
        "glibc",
        "shared",
        &["glibc-arenas-unlimited"],
    );
    check(&mended(none, &[]), "glibc", "shared", &[]);
}

/// Debian's Ruby is one of which leaks are known; that is told and is nothing
/// that a setting could mend.
#[test]
fn what_is_known_of_its_ruby() {
    let json = doctor(&Variables::new(), &[]).json();
    let known = &json["facts"]["known_leaks"];
    let version = known["version"].as_str().expect("a version");
    let described = json["facts"]["ruby"].as_str().expect("ruby -v");
    assert!(
        described.starts_with(&format!("ruby {version}")),
        "{described}: {version}"
    );
    let advisories = known["advisories"].as_array().expect("advisories");
    assert!(!advisories.is_empty());
}

#[test]
fn a_preloaded_jemalloc() {
    let set = variables(&[("LD_PRELOAD", &library("libjemalloc.so.2"))]);
    check(&doctor(&set, &[]), "jemalloc", "preloaded", &[]);
    // What is looked at may be gone at once.
    let short = doctor(&set, &["--", "ruby", "-e", "1 + 1"]);
    check(&short, "jemalloc", "preloaded", &[]);
}

#[test]
fn a_preloaded_file_that_is_missing() {
    let set = variables(&[("LD_PRELOAD", "/opt/nowhere/libjemalloc.so.2")]);
    let found = doctor(&set, &[]);
    check(
        &found,
        "glibc",
        "shared",
        &["preload-not-mapped", "glibc-arenas-unlimited"],
    );
    assert!(
        found.stdout.contains("there is no such file"),
        "{}",
        found.stdout
    );
    check(&mended(set, &[]), "jemalloc", "preloaded", &[]);
}

#[test]
fn a_preloaded_file_that_is_no_library_or_for_another_machine() {
    let bench = Bench::new();
    let text = bench.home.path().join("libtext.so");
    std::fs::write(&text, "nothing").expect("a file");
    let other = bench.home.path().join("libother.so");
    let mut bytes = std::fs::read(library("libjemalloc.so.2")).expect("jemalloc");
    bytes[18] = 0xf3; // EM_RISCV
    std::fs::write(&other, bytes).expect("a file");
    for (path, words) in [(text, "no shared library"), (other, "another machine")] {
        let set = variables(&[("LD_PRELOAD", path.to_str().expect("UTF-8"))]);
        let found = doctor(&set, &[]);
        assert_eq!(told(&found).2[0], "preload-not-mapped");
        assert!(found.stdout.contains(words), "{words}: {}", found.stdout);
        assert_eq!(told(&mended(set, &[])).2, [""; 0]);
    }
}

#[test]
fn a_wrapper_that_clears_it() {
    let set = variables(&[("LD_PRELOAD", &library("libjemalloc.so.2"))]);
    let wrapper = ["--", "env", "-u", "LD_PRELOAD"];
    let found = doctor(&set, &[&wrapper[..], &["ruby", "-e", "sleep"]].concat());
    check(
        &found,
        "glibc",
        "shared",
        &["preload-lost", "glibc-arenas-unlimited"],
    );
    // The fix goes behind the wrapper.
    let fix = first_fix(&found);
    let behind = format!("LD_PRELOAD={}", fix["LD_PRELOAD"]);
    let fixed = doctor(
        &set,
        &[&wrapper[..], &["env", &behind, "ruby", "-e", "sleep"]].concat(),
    );
    check(&fixed, "jemalloc", "preloaded", &[]);
}

#[test]
fn limited_arenas() {
    let set = variables(&[("MALLOC_ARENA_MAX", "2")]);
    check(&doctor(&set, &[]), "glibc", "shared", &[]);
    for (value, id) in [
        ("two", "arena-max-invalid"),
        ("64", "glibc-arenas-unlimited"),
    ] {
        let set = variables(&[("MALLOC_ARENA_MAX", value)]);
        check(&doctor(&set, &[]), "glibc", "shared", &[id]);
        check(&mended(set, &[]), "glibc", "shared", &[]);
    }
}

/// tcmalloc and mimalloc are fine as they are; settings that are another
/// allocator's are not.
#[test]
fn tcmalloc_and_mimalloc() {
    for (file, kind) in [
        ("libtcmalloc_minimal.so.4", "tcmalloc"),
        ("libmimalloc.so.2", "mimalloc"),
    ] {
        let mut set = variables(&[("LD_PRELOAD", &library(file))]);
        check(&doctor(&set, &[]), kind, "preloaded", &[]);
        set.insert("MALLOC_ARENA_MAX".into(), "2".into());
        check(
            &doctor(&set, &[]),
            kind,
            "preloaded",
            &["arena-max-without-effect"],
        );
        check(&mended(set, &[]), kind, "preloaded", &[]);
    }
}

#[test]
fn a_jemalloc_that_is_linked_in() {
    needs("cc");
    let bench = Bench::new();
    let host = host(&bench);
    let host = host.to_str().expect("UTF-8");
    let mut set = Variables::new();
    check(&doctor(&set, &["--", host]), "jemalloc", "static", &[]);
    set.insert("MALLOC_ARENA_MAX".into(), "2".into());
    let found = doctor(&set, &["--", host]);
    check(&found, "jemalloc", "static", &["arena-max-without-effect"]);
    check(&mended(set, &["--", host]), "jemalloc", "static", &[]);
}

/// `tests/apps/host.c` with jemalloc's archive in it.
fn host(bench: &Bench) -> PathBuf {
    let config = |key: &str| {
        let code = format!("print RbConfig::CONFIG['{key}']");
        let output = Command::new("ruby")
            .args(["-rrbconfig", "-e", &code])
            .output();
        String::from_utf8(output.expect("ruby").stdout).expect("UTF-8")
    };
    let path = bench.home.path().join("host");
    let output = Command::new("cc")
        .arg(app("host.c"))
        .arg(format!("-I{}", config("rubyhdrdir")))
        .arg(format!("-I{}", config("rubyarchhdrdir")))
        .arg("-o")
        .arg(&path)
        .arg(library("libjemalloc_pic.a"))
        .arg(format!("-L{}", config("libdir")))
        .args([
            &format!("-l{}", config("RUBY_SO_NAME")),
            "-lstdc++",
            "-lpthread",
            "-ldl",
            "-lm",
        ])
        .output()
        .expect("cc starts");
    assert!(
        output.status.success(),
        "this test needs ruby-dev and libjemalloc-dev (script/setup): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    path
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn running(program: &str, arguments: &[&str], set: &Variables) -> Running {
    let mut command = Command::new(program);
    clean(&mut command);
    let mut child = command
        .args(arguments)
        .envs(set)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let out = child.stdout.take().expect("stdout");
    BufReader::new(out).read_line(&mut line).expect("a line");
    Running(child)
}

#[test]
fn a_running_process_and_its_arenas() {
    let code = "$stdout.sync = true
        threads = 6.times.map { Thread.new { 2000.times.map { 'x' * 5000 }; sleep } }
        sleep 0.05 until threads.all? { |t| t.status == 'sleep' }
        puts 'up'
        sleep";
    let free = running("ruby", &["-e", code], &Variables::new());
    let pid = free.0.id().to_string();
    let found = doctor(&Variables::new(), &[&pid]);
    check(&found, "glibc", "shared", &["glibc-arenas-unlimited"]);
    let arenas = found.json()["facts"]["arenas"].as_u64();
    assert!(arenas >= Some(3), "{}", found.stdout);

    let limited = running(
        "ruby",
        &["-e", code],
        &variables(&[("MALLOC_ARENA_MAX", "2")]),
    );
    let pid = limited.0.id().to_string();
    let found = doctor(&Variables::new(), &[&pid]);
    check(&found, "glibc", "shared", &[]);
    assert!(
        found.json()["facts"]["arenas"].as_u64() <= Some(2),
        "{}",
        found.stdout
    );
}

#[test]
fn settings_are_shown_and_nothing_else_of_the_environment() {
    let set = variables(&[
        ("MALLOC_ARENA_MAX", "2"),
        ("RUBY_GC_HEAP_GROWTH_FACTOR", "1.1"),
        ("SECRET_KEY_BASE", "hunter2"),
    ]);
    let found = doctor(&set, &[]);
    let facts = &found.json()["facts"];
    assert_eq!(facts["settings"]["RUBY_GC_HEAP_GROWTH_FACTOR"], "1.1");
    assert!(
        facts["ruby"]
            .as_str()
            .is_some_and(|r| r.starts_with("ruby ")),
        "{facts}"
    );
    assert!(!found.stdout.contains("hunter2"));
}

#[test]
fn without_strict_it_only_tells() {
    let bench = Bench::new();
    let mut command = bench.command(&["doctor"]);
    clean(&mut command);
    let told = answer(&command.output().expect("rbleak starts"));
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(told.stdout.contains("1 FINDING"), "{}", told.stdout);
    for place in ["docker", "heroku", "systemd", "shell"] {
        assert!(told.stdout.contains(place), "{place}: {}", told.stdout);
    }
}

#[test]
fn what_cannot_be_looked_at_is_one_sentence() {
    let none = Variables::new();
    doctor(&none, &["4194304000"]).assert_refused("no process");
    let sleeping = Command::new("sleep").arg("60").spawn().expect("sleep");
    let sleeping = Running(sleeping);
    let pid = sleeping.0.id().to_string();
    doctor(&none, &[&pid]).assert_refused("is no Ruby");
    doctor(&none, &["--", "no-such-program"]).assert_refused("no-such-program");
    doctor(&none, &["--", "true"]).assert_refused("no Ruby was seen");
    doctor(&none, &["--boot-timeout", "1", "--", "sleep", "60"]).assert_refused("within 1 s");
}
