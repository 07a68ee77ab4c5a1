//! Snapshots: dumps from the memory of real Rubies in which no code runs for it,
//! and from core files, held against what Ruby itself says.

mod common;
#[path = "common/live.rs"]
mod live;

use common::{Bench, answer, needs};
use live::{Live, captured, copy_program, names_in, rbleak, rows, run, unpacked, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Objects of all kinds that a dump describes exactly.
const OBJECTS: &str = r#"
$stdout.sync = true
require 'objspace'
require 'set'
Pair = Struct.new(:left, :right)
Row = Struct.new(:a, :b, :c, :d, :e)
class Session
  attr_reader :token
  def initialize(i)
    @token = "token #{i}"
    @list = [i, @token]
    @table = { i => @token, name: @list } if i.odd?
    @pair = Pair.new(@token, @list)
  end
  @registry = Set.new(['a string of a set'])
  @@all = ['of a class']
end
module Store
  SESSIONS = Array.new(3_000) { |i| Session.new(i) }
  BY_NAME = {}
  3_000.times { |i| BY_NAME["name #{i}"] = Row.new("row #{i}", nil, :x, [i.to_s] * 5, 'y' * 40) }
  def self.session(i); SESSIONS[i]; end
end
$settings = { a: 'one', b: ['two'] }
WHOLE = 'w' * 100
PART = WHOLE[3..]
TAIL = (1..100).map(&:to_s)[2..]
TAGGED = 'tagged'.dup.tap { |s| s.instance_variable_set(:@tag, 'the tag') }
BLOCK = ->(x) { WHOLE + x }
FIBER = Fiber.new { kept = Session.new(-1); Fiber.yield kept }
FIBER.resume
Thread.new { Thread.current[:mine] = 'of a thread'; sleep }
def dump(path); File.open(path, 'w') { |io| ObjectSpace.dump_all(output: io) }; end
"#;

/// Counts its objects over and over, in a way that makes none, until it is asked to
/// say what it counted and to dump itself to the file.
fn counting(path: &Path) -> Live {
    let code = format!(
        r"{OBJECTS}
        path = '{0}'
        # What it takes is there before it counts.
        2.times {{ dump(path) }}
        asked = false
        trap(:USR1) {{ asked = true }}
        3.times {{ GC.start }}
        GC.disable
        counts = {{}}
        turn = 0
        while !asked
          ObjectSpace.count_objects(counts)
          sleep 0.02
          turn += 1
          puts 'up' if turn == 20
        end
        puts counts.map {{ |type, count| %(#{{type}}=#{{count}}) }}.join(' ')
        dump(path)
        puts %(dumped #{{GC.count}})
        sleep",
        path.display()
    );
    Live::plain(&code)
}

/// What a process says of itself.
struct Told {
    /// Objects by type.
    counts: BTreeMap<String, u64>,
    /// `GC.count`.
    generation: String,
    dump: BTreeMap<String, Value>,
}

/// Asks it.
fn told_by_itself(ruby: &mut Live, path: &Path) -> Told {
    signal(ruby.pid(), "USR1");
    let counts = ruby.line();
    let dumped = ruby.line();
    let generation = dumped
        .strip_prefix("dumped ")
        .expect("it has dumped itself");
    let pairs = counts.split(' ').filter_map(|pair| pair.split_once('='));
    let counts = pairs
        .filter_map(|(name, count)| {
            Some((name.strip_prefix("T_")?.to_owned(), count.parse().ok()?))
        })
        .collect();
    Told {
        counts,
        generation: generation.to_owned(),
        dump: objects(&std::fs::read_to_string(path).expect("a dump")),
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

/// Objects by address; roots are left out.
fn objects(text: &str) -> BTreeMap<String, Value> {
    let lines = text.lines().map(|line| {
        let json: Value = serde_json::from_str(line).expect("whole lines of JSON");
        (
            json["address"].as_str().unwrap_or_default().to_owned(),
            json,
        )
    });
    lines.filter(|(address, _)| !address.is_empty()).collect()
}

fn references(line: &Value) -> Vec<&str> {
    let list = line["references"].as_array();
    let mut all: Vec<&str> = list
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    all.sort_unstable();
    all
}

/// How many objects of which type.
fn counted(dump: &BTreeMap<String, Value>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in dump.values() {
        let kind = line["type"].as_str().expect("a type");
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
    counts
}

/// Holds a dump from memory against Ruby's own.
fn assert_alike(ours: &BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) {
    const EXACT: [&str; 7] = [
        "OBJECT", "STRUCT", "ARRAY", "HASH", "STRING", "CLASS", "MODULE",
    ];
    const FIELDS: [&str; 17] = [
        "class",
        "frozen",
        "embedded",
        "shared",
        "fstring",
        "bytesize",
        "capacity",
        "value",
        "encoding",
        "size",
        "length",
        "name",
        "superclass",
        "singleton",
        "real_class_name",
        "ivars",
        "struct",
    ];
    let (mut compared, mut differ, mut fields) = (0, Vec::new(), Vec::new());
    for (address, own) in theirs {
        let Some(line) = ours.get(address) else {
            continue;
        };
        if !EXACT.contains(&own["type"].as_str().expect("a type")) {
            continue;
        }
        compared += 1;
        if line["type"] != own["type"] || references(line) != references(own) {
            differ.push((line, own));
        }
        for field in FIELDS {
            if line[field] != own[field] {
                fields.push((field, &line[field], &own[field]));
            }
        }
    }
    assert!(compared > 30_000, "{compared}");
    // A thousandth: what Ruby did between the two is among it.
    assert!(differ.len() * 1000 <= compared, "{differ:#?}");
    assert!(fields.len() * 1000 <= compared, "{fields:#?}");
}

/// Commands that read dumps name what holds the objects.
fn assert_told(bench: &Bench, folder: &str) {
    let retained = run(bench, &["retained", folder]);
    assert_eq!(retained.status, 0, "{}", retained.stderr);
    assert!(
        retained.stdout.contains("Store::SESSIONS"),
        "{}",
        retained.stdout
    );
    let path = run(bench, &["path", folder, "--class", "Session"]);
    assert_eq!(path.status, 0, "{}", path.stderr);
    assert!(path.stdout.contains("Store::SESSIONS"), "{}", path.stdout);
}

#[test]
fn a_snapshot_says_what_the_process_itself_says() {
    let bench = Bench::new();
    let direct = bench.home.path().join("direct");
    let mut ruby = counting(&direct);
    let json = captured(&bench, &["--via", "snapshot", &ruby.text(), "-o", "out"]);
    assert!(
        rows(&json)[0]["pause_ms"]
            .as_f64()
            .is_some_and(|ms| ms > 0.0),
        "{json:#}"
    );
    let told = told_by_itself(&mut ruby, &direct);
    assert_eq!(rows(&json)[0]["generation"].to_string(), told.generation);
    let ours = objects(&unpacked(&bench.home.path().join("out/A.ndjson.zst")));
    assert_eq!(counted(&ours), told.counts);
    assert_alike(&ours, &told.dump);
    assert_told(&bench, "out");
    let manifest = std::fs::read_to_string(bench.home.path().join("out/manifest.json"));
    let manifest: Value = serde_json::from_str(&manifest.expect("a manifest")).expect("JSON");
    assert_eq!(manifest["capture"]["via"], "snapshot");
    let cost = &manifest["dumps"][0]["cost"];
    assert_eq!(cost["how"], "snapshot");
    let absent = cost["absent"].as_array().expect("what is absent");
    assert!(
        absent.iter().any(|it| it == "flags of the collector"),
        "{absent:?}"
    );
    assert!(
        !absent.iter().any(|it| it == "global variables"),
        "{absent:?}"
    );
}

#[test]
fn names_are_those_that_the_agent_would_write() {
    let bench = Bench::new();
    let ruby = Live::plain(&format!("{OBJECTS} puts 'up'; sleep"));
    captured(&bench, &["--via", "snapshot", &ruby.text(), "-o", "out"]);
    let names = unpacked(&bench.home.path().join("out/A.names.ndjson.zst"));
    let lines: Vec<Value> = names
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let has = |kind: &str, name: &str| {
        lines
            .iter()
            .any(|line| line["kind"] == kind && line["name"] == name)
    };
    for (kind, name) in [
        ("constant", "Store::SESSIONS"),
        ("constant", "WHOLE"),
        ("class_ivar", "Session@registry"),
        ("class_variable", "Session@@all"),
        ("global", "$settings"),
        ("ivar", "@token"),
        ("hash_key", ":b"),
    ] {
        assert!(has(kind, name), "{kind} {name}");
    }
    let held = lines.iter().find(|line| line["class_name"] == "Session");
    let held = held.expect("the variables of its instances");
    assert_eq!(held["mixed"], true, "every second has a table: {held}");
    let procs = lines.iter().filter(|line| line["kind"] == "proc");
    let mut places = procs.filter_map(|line| line["location"].as_str());
    assert!(places.any(|place| place.starts_with("-e:")), "{names}");
}

#[test]
fn snapshots_of_a_leak_name_it() {
    let bench = Bench::new();
    let code = "$stdout.sync = true
        class Visit; def initialize(i); @page = \"page #{i}\"; end; end
        LEAK = []
        Thread.new { loop { 20.times { |i| LEAK << Visit.new(i) }; sleep 0.01 } }
        puts 'up'
        sleep";
    let ruby = Live::plain(code);
    let arguments = ["--count", "3", "--every", "500ms", "-o", "run"];
    let json = captured(
        &bench,
        &[&["--via", "snapshot", &ruby.text()], &arguments[..]].concat(),
    );
    assert_eq!(rows(&json).len(), 3, "{json:#}");
    let told = run(&bench, &["diff", "--holders", "run"]);
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    assert!(told.stdout.contains("LEAK"), "{}", told.stdout);
}

/// `gcore` of gdb writes what the kernel would.
fn gcore(bench: &Bench, pid: u32) -> PathBuf {
    needs("gdb");
    let prefix = bench.home.path().join("core");
    let output = Command::new("gcore")
        .arg("-o")
        .arg(&prefix)
        .arg(pid.to_string())
        .output();
    let output = output.expect("gcore of gdb");
    let path = bench.home.path().join(format!("core.{pid}"));
    assert!(
        path.is_file(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    path
}

#[test]
fn a_core_file_says_the_same() {
    let bench = Bench::new();
    let direct = bench.home.path().join("direct");
    let mut ruby = counting(&direct);
    let core = gcore(&bench, ruby.pid());
    let told = told_by_itself(&mut ruby, &direct);
    ruby.kill();
    let core = core.to_string_lossy().into_owned();
    let json = captured(&bench, &["--core", &core, "-o", "out"]);
    let ours = objects(&unpacked(&bench.home.path().join("out/A.ndjson.zst")));
    assert_eq!(counted(&ours), told.counts, "{json:#}");
    assert_alike(&ours, &told.dump);
    assert_told(&bench, "out");
    // The library from elsewhere, and without values.
    let maps = std::fs::read_dir("/usr/lib/x86_64-linux-gnu")
        .into_iter()
        .flatten();
    let library = maps.flatten().map(|entry| entry.path()).find(|path| {
        path.file_name()
            .is_some_and(|it| it.to_string_lossy().starts_with("libruby"))
    });
    if let Some(library) = library.map(|it| it.canonicalize().expect("a file")) {
        let elsewhere = bench.home.path().join(library.file_name().expect("a name"));
        std::fs::copy(&library, &elsewhere).expect("copied");
        let exe = elsewhere.to_string_lossy().into_owned();
        captured(
            &bench,
            &["--core", &core, "--exe", &exe, "--redact", "-o", "again"],
        );
        let again = unpacked(&bench.home.path().join("again/A.ndjson.zst"));
        assert!(!again.contains("token 17"));
        let strings = |line: &&Value| line["type"] == "STRING" || line["type"] == "SYMBOL";
        let again = objects(&again);
        assert_eq!(
            again
                .values()
                .filter(strings)
                .find(|it| !it["value"].is_null()),
            None
        );
        assert_eq!(counted(&again), told.counts);
    }
}

#[test]
fn files_that_are_no_core_files_are_refused() {
    let bench = Bench::new();
    let refused = |file: &Path, words: &str| {
        let file = file.to_string_lossy().into_owned();
        run(&bench, &["capture", "--core", &file, "-o", "out"]).assert_refused(words);
        assert!(!bench.home.path().join("out").exists());
    };
    let home = bench.home.path();
    refused(&home.join("nowhere"), "cannot read");
    std::fs::write(home.join("empty"), "").expect("written");
    refused(&home.join("empty"), "is no core file");
    refused(Path::new("/bin/sleep"), "is no core file");
    let mut sleeper = Command::new("sleep").arg("60").spawn().expect("sleep");
    let core = gcore(&bench, sleeper.id());
    sleeper.kill().expect("killed");
    sleeper.wait().expect("ended");
    refused(&core, "is of no Ruby");
    let length = std::fs::metadata(&core).expect("a file").len();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&core)
        .expect("opened");
    file.set_len(length / 2).expect("cut");
    refused(&core, "is not whole");
}

#[test]
fn what_does_not_fit_together_is_refused_and_nothing_is_kept() {
    let bench = Bench::new();
    // As no Ruby is, unless it is read by a layout that is not its own.
    let code = "Object.send(:remove_const, :Object); puts 'up'; $stdout.flush; sleep";
    let mut ruby = Live::plain(code);
    let pid = ruby.text();
    let told = run(&bench, &["capture", "--via", "snapshot", &pid, "-o", "out"]);
    told.assert_refused("does not fit together (Object is not among the constants)");
    assert!(told.stderr.contains("--via agent"), "{}", told.stderr);
    assert!(!bench.home.path().join("out").exists());
    assert!(ruby.is_alive());
}

/// Waits for a lock that nobody gives back, with the interpreter's in its hand.
const STUCK: &str = "require 'fiddle'
    $stdout.sync = true
    LEAK = Array.new(100) { |i| \"leaked #{i}\" }
    lock = Fiddle::Function.new(Fiddle.dlopen(nil)['pthread_mutex_lock'], [Fiddle::TYPE_VOIDP], Fiddle::TYPE_INT, need_gvl: true)
    mutex = Fiddle::Pointer.malloc(64)
    mutex[0, 64] = 0.chr * 64
    lock.call(mutex)
    puts 'up'
    lock.call(mutex)";

#[test]
fn what_is_stuck_in_c_code_is_read_from_memory() {
    let bench = Bench::new();
    let mut ruby = Live::plain(STUCK);
    run(
        &bench,
        &["capture", "--via", "inject", &ruby.text(), "-o", "out"],
    )
    .assert_refused("is stuck in C code");
    let told = run(&bench, &["capture", &ruby.text(), "-o", "out"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(told.stdout.contains("stuck in C code"), "{}", told.stdout);
    let names = unpacked(&bench.home.path().join("out/A.names.ndjson.zst"));
    assert!(names.contains("\"name\":\"LEAK\""), "{names}");
    assert!(ruby.is_alive());
}

#[test]
fn what_is_stopped_is_read_as_it_stands() {
    let bench = Bench::new();
    let mut ruby = Live::plain("KEPT = ['kept'] * 3; puts 'up'; $stdout.flush; sleep");
    signal(ruby.pid(), "STOP");
    until("it to stop", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", ruby.pid()));
        stat.is_ok_and(|stat| stat.contains(") T "))
    });
    let json = captured(&bench, &["--via", "snapshot", &ruby.text(), "-o", "out"]);
    assert_eq!(rows(&json)[0]["pause_ms"], 0.0);
    signal(ruby.pid(), "CONT");
    captured(&bench, &["--via", "snapshot", &ruby.text(), "-o", "again"]);
    assert!(ruby.is_alive());
}

fn children(pid: u32) -> String {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    list.unwrap_or_default().trim().to_owned()
}

#[test]
fn the_process_never_learns_of_its_copy() {
    let bench = Bench::new();
    let code = "$stdout.sync = true
        ended = 0
        trap(:CHLD) { ended += 1 }
        asked = false
        trap(:USR1) { asked = true }
        # A child of its own, which ends when it is told to.
        own = spawn('cat', in: (reader, @writer = IO.pipe).first)
        waiter = Thread.new { Process.wait2(-1) }
        puts 'up'
        sleep 0.01 until asked
        @writer.close
        found = waiter.value.first == own
        sleep 0.1
        puts \"#{ended} #{found} #{begin; Process.wait; rescue Errno::ECHILD; 'none'; end}\"
        sleep";
    let mut ruby = Live::plain(code);
    for out in ["one", "two"] {
        captured(&bench, &["--via", "snapshot", &ruby.text(), "-o", out]);
        assert_eq!(children(ruby.pid()).split(' ').count(), 1, "its own alone");
    }
    signal(ruby.pid(), "USR1");
    assert_eq!(ruby.line(), "1 true none");
    assert_eq!(children(ruby.pid()), "");
}

/// Some megabytes, so that a dump takes its time.
const LARGE: &str = "$stdout.sync = true
    K = Array.new(150_000) { |i| [i.to_s, { i => i.to_f }] }
    Thread.new { loop { K.shuffle; sleep 0.01 } }
    puts 'up'; sleep";

/// A capture that has its copy.
fn begun(bench: &Bench, ruby: &Live, out: &str) -> std::process::Child {
    let capture = rbleak(
        bench,
        &[
            "capture",
            "--via",
            "snapshot",
            "-q",
            "-o",
            out,
            &ruby.text(),
        ],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("rbleak starts");
    // Kept by the helper: the process itself has been let go on.
    until("a copy", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", ruby.pid()));
        let goes_on = status.is_ok_and(|it| it.contains("TracerPid:\t0"));
        !children(ruby.pid()).is_empty() && goes_on
    });
    capture
}

#[test]
fn killed_at_any_moment_it_leaves_no_copy() {
    let bench = Bench::new();
    let mut ruby = Live::plain(LARGE);
    for round in 0..16_u64 {
        let out = format!("round-{round}");
        let mut capture = rbleak(
            &bench,
            &[
                "capture",
                "--via",
                "snapshot",
                "-q",
                "-o",
                &out,
                &ruby.text(),
            ],
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("rbleak starts");
        std::thread::sleep(Duration::from_millis(2 + round * 9));
        capture.kill().expect("killed");
        capture.wait().expect("ended");
        assert!(ruby.is_alive(), "round {round}");
        until("the copy to go", || children(ruby.pid()).is_empty());
    }
    captured(&bench, &["--via", "snapshot", &ruby.text(), "-o", "last"]);
    assert!(ruby.is_alive());
}

#[test]
fn a_helper_that_is_killed_takes_the_copy_with_it() {
    let bench = Bench::new();
    let mut ruby = Live::plain(LARGE);
    let capture = begun(&bench, &ruby, "out");
    let copy = children(ruby.pid());
    let status = std::fs::read_to_string(format!("/proc/{copy}/status")).expect("a copy");
    let helper = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"))
        .expect("a tracer")
        .trim()
        .to_owned();
    signal(helper.parse().expect("a number"), "KILL");
    let told = answer(&capture.wait_with_output().expect("it ends"));
    told.assert_refused("process");
    until("the copy to end", || {
        let stat = std::fs::read_to_string(format!("/proc/{copy}/stat"));
        stat.is_ok_and(|stat| stat.contains(") Z "))
    });
    assert!(ruby.is_alive());
    assert!(!bench.home.path().join("out").exists());
    // What is left of it goes with the next.
    captured(&bench, &["--via", "snapshot", &ruby.text(), "-o", "next"]);
    assert_eq!(children(ruby.pid()), "");
}

#[test]
fn a_process_that_ends_meanwhile_is_told() {
    let bench = Bench::new();
    let mut ruby = Live::plain(LARGE);
    let capture = begun(&bench, &ruby, "out");
    ruby.kill();
    let told = answer(&capture.wait_with_output().expect("it ends"));
    told.assert_refused("ended");
    assert!(!bench.home.path().join("out").exists());
}

#[test]
fn a_full_disk_ends_a_snapshot_and_nothing_else() {
    let bench = Bench::new();
    let mut ruby = Live::plain(LARGE);
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec '{}' capture {} --via snapshot -o out",
        env!("CARGO_BIN_EXE_rbleak"),
        ruby.pid()
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(bench.home.path())
        .output();
    answer(&output.expect("bash")).assert_refused("cannot write");
    assert_eq!(names_in(bench.home.path()), [] as [&str; 0]);
    assert!(ruby.is_alive());
    assert_eq!(children(ruby.pid()), "");
    captured(&bench, &["--via", "snapshot", &ruby.text(), "-o", "out"]);
}

#[test]
fn who_cannot_be_read_is_refused_and_left_alone() {
    let bench = Bench::new();
    let refused = |pid: &str, words: &str| {
        run(&bench, &["capture", "--via", "snapshot", pid, "-o", "out"]).assert_refused(words);
        assert!(!bench.home.path().join("out").exists(), "{words}");
    };
    let mut traced = Live::plain("puts 'up'; $stdout.flush; sleep");
    let tracer = Live::tracing(traced.pid());
    refused(&traced.text(), "is traced already");
    drop(tracer);
    captured(&bench, &["--via", "snapshot", &traced.text(), "-o", "out"]);
    std::fs::remove_dir_all(bench.home.path().join("out")).expect("removed");
    assert!(traced.is_alive());

    let fake = bench.home.path().join("ruby");
    copy_program(Path::new("/bin/sleep"), &fake);
    let mut process = Command::new(&fake).arg("60").spawn().expect("it starts");
    let pid = process.id().to_string();
    until("it to run", || {
        std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == fake)
    });
    refused(&pid, "cannot be told");
    process.kill().expect("killed");
    process.wait().expect("ended");
    run(
        &bench,
        &[
            "capture",
            "--via",
            "snapshot",
            "--trace",
            "1s",
            &traced.text(),
        ],
    )
    .assert_refused("--trace");
}
