//! What the crate says of real Ruby processes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rbleak_process::allocator::{self, AllocatorKind, ArenaMax, Linkage, Preload};
use rbleak_process::environ::{self, Environment};
use rbleak_process::kinds::{self, Kind, Kinds};
use rbleak_process::ruby_pages::Layout;
use rbleak_process::{
    Pid, ProcessError, listening, maps, ruby, smaps, smaps_rollup, stat, status, tree,
};

/// A Ruby program that runs until the test is over.
struct Ruby {
    child: Child,
    first_line: String,
}

impl Ruby {
    /// Starts a program and waits for the line that it prints when it is up.
    fn start(program: &str, variables: &[(&str, &str)]) -> Ruby {
        let mut command = Command::new("ruby");
        for name in [
            "LD_PRELOAD",
            "MALLOC_ARENA_MAX",
            "MALLOC_CONF",
            "GLIBC_TUNABLES",
        ] {
            command.env_remove(name);
        }
        let mut child = command
            .args(["-e", &format!("$stdout.sync = true; {program}")])
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()) // a failed preload warns there
            .spawn()
            .expect("this test needs `ruby` in PATH: run script/setup");
        let mut first_line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut first_line)
            .expect("ruby's output can be read");
        assert!(!first_line.is_empty(), "ruby ended early: {program}");
        Ruby { child, first_line }
    }

    fn sleeping(variables: &[(&str, &str)]) -> Ruby {
        Ruby::start("puts 'up'; sleep", variables)
    }

    fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// The number that the program printed first.
    fn number<N: std::str::FromStr>(&self) -> N {
        let number = self.first_line.trim().parse().ok();
        number.expect("the program prints a number")
    }
}

impl Drop for Ruby {
    fn drop(&mut self) {
        // Either may fail when the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn jemalloc_library() -> String {
    let path = format!(
        "/usr/lib/{}-linux-gnu/libjemalloc.so.2",
        std::env::consts::ARCH
    );
    assert!(
        Path::new(&path).exists(),
        "this test needs {path}: run script/setup"
    );
    path
}

fn within_seconds(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn plain_ruby_uses_glibc() {
    let ruby = Ruby::sleeping(&[]);
    let allocator = allocator::read(ruby.pid()).unwrap();
    assert_eq!(allocator.kind, AllocatorKind::Glibc);
    assert_eq!(allocator.preload, Preload::NotSet);
    let version = allocator
        .version
        .clone()
        .expect("glibc's file has a version");
    assert_eq!(
        allocator.summary(),
        format!("glibc {version}: jemalloc is not loaded, MALLOC_ARENA_MAX is not set")
    );
}

#[test]
fn a_preloaded_jemalloc_is_found() {
    let variables = [
        ("LD_PRELOAD", &*jemalloc_library()),
        ("MALLOC_CONF", "narenas:2"),
    ];
    let ruby = Ruby::sleeping(&variables);
    let allocator = allocator::read(ruby.pid()).unwrap();
    assert_eq!(allocator.kind, AllocatorKind::Jemalloc);
    assert_eq!(allocator.linkage, Linkage::Preloaded);
    assert_eq!(allocator.preload, Preload::Loaded);
    let version = allocator
        .version
        .clone()
        .expect("jemalloc's file has a version");
    assert_eq!(
        allocator.summary(),
        format!("jemalloc {version}: loaded by LD_PRELOAD, MALLOC_CONF is narenas:2")
    );
}

#[test]
fn a_jemalloc_by_another_name_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let renamed = folder.path().join("faster.so");
    std::fs::copy(jemalloc_library(), &renamed).unwrap();
    let ruby = Ruby::sleeping(&[("LD_PRELOAD", renamed.to_str().unwrap())]);
    let allocator = allocator::read(ruby.pid()).unwrap();
    assert_eq!(allocator.kind, AllocatorKind::Jemalloc);
    assert_eq!(allocator.linkage, Linkage::Preloaded);
}

#[test]
fn a_preload_that_failed_is_not_believed() {
    let path = "/nonexistent/libjemalloc.so.2";
    let ruby = Ruby::sleeping(&[("LD_PRELOAD", path)]);
    let allocator = allocator::read(ruby.pid()).unwrap();
    assert_eq!(allocator.kind, AllocatorKind::Glibc);
    assert_eq!(
        allocator.preload,
        Preload::NotMapped {
            path: path.to_owned()
        }
    );
}

#[test]
fn the_limit_of_arenas_is_read() {
    let ruby = Ruby::sleeping(&[("MALLOC_ARENA_MAX", "2")]);
    assert_eq!(
        allocator::read(ruby.pid()).unwrap().arena_max,
        ArenaMax::Limit {
            arenas: 2,
            variable: "MALLOC_ARENA_MAX"
        }
    );
}

#[test]
fn a_long_title_loses_the_environment() {
    let program = "$0 = 'puma: cluster worker ' * 200; puts 'up'; sleep";
    let ruby = Ruby::start(program, &[("MALLOC_ARENA_MAX", "2")]);
    assert_eq!(environ::read(ruby.pid()).unwrap(), Environment::Overwritten);
    let allocator = allocator::read(ruby.pid()).unwrap();
    assert_eq!(allocator.kind, AllocatorKind::Glibc);
    assert_eq!(allocator.arena_max, ArenaMax::Unknown);
    assert_eq!(allocator.preload, Preload::Unknown);
}

#[test]
fn memory_and_threads_of_a_process() {
    let program = "s = 'x' * 50_000_000; Thread.new { sleep }; puts s.size; sleep";
    let ruby = Ruby::start(program, &[]);
    let memory = smaps_rollup::read(ruby.pid()).unwrap();
    let status = status::read(ruby.pid()).unwrap();
    assert!(memory.private.0 > 50_000_000, "{memory:?}");
    assert!(memory.anonymous.0 > 50_000_000, "{memory:?}");
    assert!(status.peak_rss.unwrap().0 > 50_000_000, "{status:?}");
    assert!(status.threads >= 2, "{status:?}");
    assert!(status.catches(2), "Ruby handles SIGINT: {status:?}");
}

#[test]
fn parent_and_child_share_a_listening_socket() {
    // The child ends when the parent's end of the pipe does.
    let program = "require 'socket'; server = TCPServer.new('127.0.0.1', 0); r, w = IO.pipe; \
                   fork { w.close; r.read; exit! }; puts server.addr[1]; sleep";
    let ruby = Ruby::start(program, &[]);
    let port: u16 = ruby.number();

    let processes: Vec<Pid> = tree::read(ruby.pid())
        .unwrap()
        .iter()
        .map(|stat| stat.pid)
        .collect();
    assert_eq!(processes.len(), 2, "{processes:?}");
    assert_eq!(processes[0], ruby.pid());

    let listeners = listening::read(ruby.pid()).unwrap();
    assert_eq!(listeners.len(), 1, "{listeners:?}");
    assert_eq!(listeners[0].address, ([127, 0, 0, 1], port).into());
    assert_eq!(listeners[0].processes, processes);
}

#[test]
fn a_child_that_listens_alone_is_named() {
    let program = "r, w = IO.pipe; out, up = IO.pipe; \
                   pid = fork { w.close; require 'socket'; s = TCPServer.new('127.0.0.1', 0); \
                   up.puts 'up'; r.read; exit! }; out.gets; puts pid; sleep";
    let ruby = Ruby::start(program, &[]);
    let listeners = listening::read(ruby.pid()).unwrap();
    assert_eq!(listeners.len(), 1, "{listeners:?}");
    assert_eq!(listeners[0].processes, [Pid(ruby.number())]);
}

#[test]
fn a_process_that_ended_is_said_to_have() {
    let mut ruby = Ruby::sleeping(&[]);
    let pid = ruby.pid();
    ruby.child.kill().unwrap();

    within_seconds("ruby ends", || stat::read(pid).unwrap().is_zombie());
    let error = maps::read(pid).unwrap_err();
    assert!(matches!(error, ProcessError::NoMemory { .. }), "{error}");
    let error = smaps_rollup::read(pid).unwrap_err();
    assert!(matches!(error, ProcessError::NoMemory { .. }), "{error}");
    let own = tree::read(Pid::own()).unwrap();
    assert!(own.iter().all(|stat| stat.pid != pid), "zombies count not");

    ruby.child.wait().unwrap();
    for error in [
        maps::read(pid).unwrap_err(),
        stat::read(pid).unwrap_err(),
        smaps_rollup::read(pid).unwrap_err(),
        allocator::read(pid).unwrap_err(),
        listening::read(pid).unwrap_err(),
    ] {
        assert!(
            matches!(error, ProcessError::NoSuchProcess { .. }),
            "{error}"
        );
    }
}

fn kinds_of(ruby: &Ruby) -> Kinds {
    let pid = ruby.pid();
    let description = ruby::description(pid, &maps::read(pid).expect("mappings"));
    let description = description.expect("a Ruby");
    kinds::read(
        pid,
        &smaps::read(pid).expect("mappings"),
        Layout::of(&description),
    )
}

#[test]
fn the_pages_of_ruby_s_heap_are_counted_from_outside() {
    let ruby = Ruby::start(
        "$keep = Array.new(400_000) { Object.new }; GC.start; \
         puts GC.stat(:heap_allocated_pages); sleep",
        &[],
    );
    let pages: f64 = ruby.number();
    let kinds = kinds_of(&ruby);
    assert!(kinds.knows_ruby);
    let counted = kinds.of(Kind::RubyHeap).as_f64() / 16384.0;
    assert!((counted / pages - 1.0).abs() < 0.02, "{counted} {pages}");
    let rss = smaps_rollup::read(ruby.pid()).expect("memory").rss;
    assert!((kinds.total().as_f64() / rss.as_f64() - 1.0).abs() < 0.02);
}

#[test]
fn malloc_in_threads_is_in_arenas_and_their_stacks_are_stacks() {
    let ruby = Ruby::start(
        "$t = 4.times.map { Thread.new { $k = Array.new(20_000) { 'x' * 600 }; sleep } }; \
         $t.each { |t| sleep 0.01 until t.stop? }; puts 1; sleep",
        &[],
    );
    let kinds = kinds_of(&ruby);
    assert!(kinds.arenas > Some(1), "{kinds:?}");
    assert!(
        kinds.of(Kind::Arenas) > rbleak_units::Bytes(10_000_000),
        "{kinds:?}"
    );
    assert!(
        kinds.of(Kind::Stacks) > rbleak_units::Bytes(5 * 8192),
        "{kinds:?}"
    );
    assert!(
        kinds.of(Kind::Files) > rbleak_units::Bytes(1 << 20),
        "{kinds:?}"
    );
}
