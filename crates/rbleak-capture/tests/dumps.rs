//! Dumps and names, read back as JSON: whole, not torn, and with the names
//! that findings speak of.

#![allow(clippy::unwrap_used, reason = "a test ends by it")]

mod common;

use std::collections::HashSet;
use std::io::{self, Write};

use common::{PUMA, Place, boot, leaky};
use rbleak_capture::{App, CaptureError, DumpMethod, Launch};
use serde_json::Value;

fn address(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    assert_eq!(bytes.last(), Some(&b'\n'), "the last line is whole");
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

/// The share of references to no object.
fn dangling(dump: &[Value]) -> f64 {
    let objects: HashSet<u64> = dump
        .iter()
        .filter_map(|line| address(&line["address"]))
        .collect();
    let references = dump
        .iter()
        .filter_map(|line| line["references"].as_array())
        .flatten()
        .filter_map(address);
    let (mut all, mut lost) = (0_u64, 0_u64);
    for reference in references {
        all += 1;
        lost += u64::from(!objects.contains(&reference));
    }
    assert!(all > 10_000, "{all} references");
    lost as f64 / all as f64
}

/// A string that `/leak` has kept, with its allocation site.
fn leaked_string(dump: &[Value]) -> Option<&Value> {
    let token = "x".repeat(80);
    dump.iter()
        .find(|line| line["value"] == token.as_str() && line["file"].is_string())
}

fn dump_is_whole(launch: Launch, method: DumpMethod) {
    let mut app = boot(launch);
    app.trace(true).unwrap();
    app.run(50).unwrap();
    let mut bytes = Vec::new();
    let taken = app.dump(&mut bytes).unwrap();
    assert_eq!(taken.method, method);
    assert_eq!(taken.bytes.0, bytes.len() as u64);
    assert_eq!(taken.pid, app.pid());
    let dump = lines(&bytes);
    let share = dangling(&dump);
    eprintln!("{taken:?}, {} lines, dangling {share}", dump.len());
    assert!(share < 0.001, "{share}");
    let string = leaked_string(&dump).expect("the leak is in the dump, with its site");
    assert!(string["generation"].as_u64().unwrap() <= taken.gc_count);
    app.trace(false).unwrap();
    app.stop().unwrap();
}

#[test]
fn a_dump_in_process_is_whole() {
    dump_is_whole(leaky().in_process("/leak"), DumpMethod::Direct);
}

#[test]
fn a_dump_of_a_server_is_whole() {
    dump_is_whole(leaky().server(PUMA, "/leak"), DumpMethod::Buffered);
}

#[test]
fn a_dump_of_code_is_whole() {
    let place = Place::new(&[("lib.rb", "STORE = []")]);
    let launch = place.code(Some("lib.rb"), "STORE << 'x' * 80");
    dump_is_whole(launch, DumpMethod::Direct);
}

#[test]
fn a_forked_dump_is_whole() {
    let place = leaky();
    let mut app = boot(place.server(PUMA, "/leak"));
    app.run(50).unwrap();
    let mut bytes = Vec::new();
    let taken = app.dump_by(Some(DumpMethod::Forked), &mut bytes).unwrap();
    assert_eq!(taken.method, DumpMethod::Forked);
    let share = dangling(&lines(&bytes));
    eprintln!("{taken:?}, dangling {share}");
    assert!(share < 0.001, "{share}");
    app.run(50).expect("the app goes on");
    app.stop().unwrap();
}

struct Names(Vec<Value>);

impl Names {
    fn of(app: &mut App) -> Names {
        let mut bytes = Vec::new();
        app.names(&mut bytes).unwrap();
        Names(lines(&bytes))
    }

    fn find(&self, kind: &str, key: &str, value: &str) -> &Value {
        let mut lines = self.0.iter();
        let found = lines.find(|line| line["kind"] == kind && line[key] == value);
        found.unwrap_or_else(|| panic!("no {kind} with {key}={value}"))
    }
}

#[test]
fn names_name_what_findings_speak_of() {
    let place = leaky();
    for launch in [place.in_process("/leak"), place.server(PUMA, "/leak")] {
        let in_server = matches!(launch.mode, rbleak_capture::Mode::Server { .. });
        let mut app = boot(launch);
        app.run(10).unwrap();
        let mut bytes = Vec::new();
        app.dump(&mut bytes).unwrap();
        let names = Names::of(&mut app);
        assert_eq!(names.0[0]["kind"], "header");
        assert_eq!(names.0[0]["version"], 1);
        let store = names.find("constant", "name", "Leaky::STORE");
        names.find("constant", "name", "Leaky::HIDDEN");
        names.find("class_variable", "name", "Leaky@@all");
        names.find("class_ivar", "name", "Leaky@cache");
        names.find("global", "name", "$seen");
        names.find("class_ivars", "class_name", "Session");
        let members = serde_json::json!(["left", "right"]);
        assert!(
            names
                .0
                .iter()
                .any(|line| line["kind"] == "struct_members" && line["members"] == members)
        );
        // As the file was named to Ruby: Puma says plain `config.ru`.
        let block = format!("config.ru:{}", line_of_block());
        let is_block = |line: &&Value| {
            line["kind"] == "proc"
                && line["location"]
                    .as_str()
                    .is_some_and(|l| l.ends_with(&block))
        };
        assert!(names.0.iter().any(|line| is_block(&line)));
        assert!(
            names
                .0
                .iter()
                .any(|line| line["kind"] == "thread" && line["main"] == true)
        );
        if !in_server {
            names.find("thread_local", "name", "Thread.current[:rbleak_test]");
        }
        // The agent's own objects are marked, and named by nothing else.
        assert!(names.0.iter().any(|line| line["kind"] == "own"));
        assert!(names.0.iter().all(|line| {
            !line["name"]
                .as_str()
                .is_some_and(|n| n.contains("RbleakAgent"))
        }));

        // The addresses are those of the dump.
        let dump = lines(&bytes);
        let at = |value: &Value| {
            let wanted = address(value).unwrap();
            let found = dump
                .iter()
                .find(|line| address(&line["address"]) == Some(wanted));
            found.unwrap_or_else(|| panic!("{value} is not in the dump"))
        };
        let array = at(&store["value"]);
        assert_eq!(array["type"], "ARRAY");
        assert!(array["length"].as_u64().unwrap() >= 10);
        let sessions = array["references"].as_array().unwrap();
        let listed = |session| {
            let mut lines = names.0.iter().filter(|line| line["kind"] == "ivar");
            lines.find(|line| address(&line["object"]) == address(session))
        };
        let ivar = sessions.iter().find_map(listed);
        let ivar = ivar.expect("the ivars of a session");
        assert_eq!(ivar["name"], "@token");
        assert_eq!(at(&ivar["value"])["value"], "x".repeat(80));
        app.stop().unwrap();
    }
}

fn line_of_block() -> usize {
    let mut lines = common::LEAKY.lines();
    1 + lines.position(|line| line.starts_with("BLOCK")).unwrap()
}

/// In `held` lie the variables that a dump lists a reference for, in its order.
#[test]
fn held_are_the_variables_with_references() {
    let lib = "class Same
          def initialize(i)
            @id = i
            @token = 'x' * 80
            @kind = :same
            @ratio = 0.5
            @large = 1 << 80
            @parts = [i]
            @klass = Same
            @none = nil
          end
        end
        class Mixed
          def initialize(i)
            @name = 'y' * 80
            @next = i.odd? ? 'z' * 80 : nil
          end
        end
        class Different
          def initialize(i)
            @name = 'y' * 80
            @later = 'z' * 80 if i == 5
          end
        end
        Pair = Struct.new(:number, :text)
        Loose = Struct.new(:number, :text)
        SAME = Array.new(10) { |i| Same.new(i) }
        MIXED = Array.new(10) { |i| Mixed.new(i) }
        DIFFERENT = Array.new(10) { |i| Different.new(i) }
        PAIRS = Array.new(10) { |i| Pair.new(i, 'p' * 80) }
        LOOSE = Array.new(10) { |i| Loose.new(i, i.odd? ? 'p' * 80 : nil) }";
    let place = Place::new(&[("lib.rb", lib)]);
    let mut app = boot(place.code(Some("lib.rb"), "1"));
    let mut bytes = Vec::new();
    app.dump(&mut bytes).unwrap();
    let names = Names::of(&mut app);
    let held = |line: &Value| (line["held"].clone(), line["mixed"].clone());
    let of_class = |name| names.find("class_ivars", "class_name", name);
    let some = |names: &[&str]| Value::from(names.to_vec());

    let same = of_class("Same");
    assert_eq!(
        held(same),
        (some(&["@token", "@large", "@parts"]), Value::Null)
    );
    assert_eq!(same["names"].as_array().unwrap().len(), 8);
    assert_eq!(
        held(of_class("Mixed")),
        (some(&["@name"]), Value::Bool(true))
    );
    assert_eq!(
        held(of_class("Different")),
        (some(&["@name"]), Value::Bool(true))
    );
    let of_struct = |name| {
        let class = &names.find("constant", "name", name)["value"];
        names.find("struct_members", "class", class.as_str().unwrap())
    };
    assert_eq!(held(of_struct("Pair")), (some(&["text"]), Value::Null));
    assert_eq!(held(of_struct("Loose")), (some(&[]), Value::Bool(true)));
    assert_eq!(of_struct("Loose")["members"], some(&["number", "text"]));

    // Three of eight variables: as many as the dump has references.
    let dump = lines(&bytes);
    let at = |wanted: Option<u64>| dump.iter().find(|line| address(&line["address"]) == wanted);
    let mut instances = dump.iter().filter(|line| {
        line["type"] == "OBJECT" && address(&line["class"]) == address(&same["class"])
    });
    let references = instances.next().unwrap()["references"].as_array().unwrap();
    let kinds: Vec<&Value> = references
        .iter()
        .map(|reference| &at(address(reference)).unwrap()["type"])
        .collect();
    assert_eq!(kinds, ["STRING", "BIGNUM", "ARRAY"]);
    app.stop().unwrap();
}

/// A disk that is full after a few bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_reported_and_the_app_lives() {
    let place = leaky();
    for launch in [place.in_process("/leak"), place.server(PUMA, "/leak")] {
        let mut app = boot(launch);
        for method in [DumpMethod::Direct, DumpMethod::Buffered, DumpMethod::Forked] {
            let error = app.dump_by(Some(method), &mut Full(100_000)).unwrap_err();
            assert!(matches!(error, CaptureError::Sink(_)), "{error}");
        }
        let error = app.names(&mut Full(1_000)).unwrap_err();
        assert!(matches!(error, CaptureError::Sink(_)), "{error}");
        app.run(10).unwrap();
        app.sample().unwrap();
        let mut bytes = Vec::new();
        app.dump(&mut bytes).unwrap();
        lines(&bytes);
        app.stop().unwrap();
    }
}
