//! Injection into real Rubies that were not prepared for it, wherever their
//! main threads happen to be.

mod common;
#[path = "common/live.rs"]
mod live;

use common::Bench;
use live::{Live, captured, copy_program, names_in, rows, run, until};
use std::path::Path;
use std::process::Command;

/// Code of which `up` prints that it is there; `heart` is another thread, lest
/// Ruby takes it for a deadlock.
fn ruby(code: &str) -> Live {
    let code = format!(
        "$stdout.sync = true\n\
         def up; puts 1; end\n\
         def heart; Thread.new {{ loop {{ sleep 1 }} }}; end\n\
         {code}"
    );
    Live::plain(&code)
}

const BLOCKED: [(&str, &str); 11] = [
    ("sleep", "up; sleep"),
    (
        "join",
        "heart; t = Thread.new { loop { sleep 1 } }; up; t.join",
    ),
    ("queue", "heart; q = Queue.new; up; q.pop"),
    ("select", "r, w = IO.pipe; up; IO.select([r]); p w"),
    ("read", "r, w = IO.pipe; up; r.read; p w"),
    (
        "accept",
        "require 'socket'; s = TCPServer.new(0); up; s.accept",
    ),
    (
        "mutex",
        "m = Mutex.new; q = Queue.new; Thread.new { m.lock; q << 1; loop { sleep 1 } }; q.pop; up; m.lock",
    ),
    (
        "condition",
        "heart; m = Mutex.new; c = ConditionVariable.new; m.synchronize { up; c.wait(m) }",
    ),
    ("child", "c = fork { sleep 60 }; up; Process.wait(c)"),
    ("busy", "up; loop {}"),
    ("collecting", "up; loop { GC.start }"),
];

/// Waits for a lock that nobody gives back, with the interpreter's in its hand.
const STUCK: &str = "require 'fiddle'
    lock = Fiddle::Function.new(Fiddle.dlopen(nil)['pthread_mutex_lock'], [Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT, need_gvl: true)
    mutex = Fiddle::Pointer.malloc(64)
    mutex[0, 64] = 0.chr * 64
    lock.call(mutex)
    up
    lock.call(mutex)";

fn is_built() -> bool {
    cfg!(any(target_arch = "aarch64", target_arch = "x86_64"))
}

#[test]
fn blocked_main_threads_are_woken_and_go_on_as_they_were() {
    assert!(
        is_built(),
        "injection is for x86-64 and aarch64 alone: this test needs it"
    );
    std::thread::scope(|scope| {
        for (name, code) in BLOCKED {
            scope.spawn(move || {
                let bench = Bench::new();
                let mut ruby = ruby(code);
                let told = run(&bench, &["capture", &ruby.text(), "-o", "out"]);
                assert_eq!(told.status, 0, "{name}: {}", told.stderr);
                assert!(told.stdout.contains("injection"), "{name}: {}", told.stdout);
                let again = run(&bench, &["capture", &ruby.text(), "-o", "again"]);
                assert_eq!(again.status, 0, "{name}: {}", again.stderr);
                assert!(ruby.is_alive(), "{name} has ended");
            });
        }
        scope.spawn(|| {
            let bench = Bench::new();
            let mut ruby = ruby(STUCK);
            let arguments = ["capture", "--via", "inject", &ruby.text(), "-o", "out"];
            let told = run(&bench, &arguments);
            told.assert_refused("is stuck in C code");
            assert!(ruby.is_alive());
            assert_eq!(names_in(bench.home.path()), [] as [&str; 0]);
        });
    });
}

fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

fn guests_of(pid: u32) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).expect("sockets");
    let lines = maps.lines().filter(|line| line.contains("rbleak-guest-"));
    lines.map(str::to_owned).collect()
}

#[test]
fn nothing_stays_of_it_but_code() {
    let bench = Bench::new();
    // Started beforehand: Ruby keeps threads that have ended for a while.
    let ruby = ruby("Thread.new {}.join; up; sleep");
    let before = threads(ruby.pid());
    let out = captured(
        &bench,
        &["--count", "2", "--every", "200ms", &ruby.text(), "-o", "o"],
    );
    assert_eq!(rows(&out).len(), 2, "{out:#}");
    assert!(
        out["facts"]["via"]["stopped_ms"]
            .as_f64()
            .is_some_and(|ms| ms > 0.0),
        "{out:#}"
    );
    let manifest = std::fs::read_to_string(bench.home.path().join("o/manifest.json"));
    let manifest: serde_json::Value =
        serde_json::from_str(&manifest.expect("a manifest")).expect("JSON");
    let folder = manifest["app"]["agent_directory"]
        .as_str()
        .expect("a folder");
    assert!(folder.contains("rbleak-guest-"), "{folder}");
    until("its folder to go", || !Path::new(folder).exists());
    until("its thread to go", || threads(ruby.pid()) <= before);
    until("its socket to go", || {
        !guests_of(ruby.pid())
            .iter()
            .any(|line| line.contains(folder))
    });
}

#[test]
fn who_is_traced_already_is_left_alone() {
    let bench = Bench::new();
    let mut traced = ruby("up; sleep");
    let tracer = Live::tracing(traced.pid());
    let told = run(&bench, &["capture", &traced.text(), "-o", "out"]);
    told.assert_refused("is traced already");
    assert!(told.stderr.contains(&tracer.text()), "{}", told.stderr);
    assert!(!bench.home.path().join("out").exists());
    drop(tracer);
    captured(&bench, &[&traced.text(), "-o", "out"]);
    assert!(traced.is_alive());
}

#[test]
fn a_program_that_only_looks_like_ruby_is_refused() {
    let bench = Bench::new();
    let fake = bench.home.path().join("ruby");
    copy_program(Path::new("/bin/sleep"), &fake);
    let mut process = Command::new(&fake).arg("60").spawn().expect("it starts");
    let pid = process.id().to_string();
    // Its link is there before its program is mapped.
    let path = fake.to_str().expect("UTF-8");
    let is_it = || {
        std::fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains(path))
    };
    until("it to run", is_it);
    let told = run(&bench, &["capture", &pid, "-o", "out"]);
    process.kill().expect("killed");
    process.wait().expect("ended");
    told.assert_refused("does not export rb_eval_string");
}
