//! Against the memory of a real Ruby that stands still, read with layouts that are its
//! own, another version's, or wrong in one place.

use crate::layout::{Checked, Field, Layout};
use crate::{Facts, Program, SnapshotError, Subject, layouts, write_as};
use rbleak_process::memory::{Live, Memory};
use rbleak_process::{Pid, exports, maps};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Some of each type that is checked.
const CODE: &str = r##"
Pair = Struct.new(:left, :right)
Row = Struct.new(:a, :b, :c, :d, :e)
class Item
  def initialize(i)
    @name, @list, @table = "item #{i}", [i.to_s, 'x' * 50], { i => i.to_s, name: "n#{i}" }
    @four, @five = i.to_s, i.to_s
  end
end
KEPT = Array.new(2_000) { |i| [Item.new(i), Pair.new(i.to_s, i.to_s * 9), Row.new(*Array.new(5) { i.to_s })] }
class Full; def initialize(i); @a = @b = @c = i.to_s; end; end
FULL = Array.new(500) { |i| Full.new(i) }
Wide = Struct.new(*(1..100).map { |i| :"m#{i}" })
WIDE = Array.new(50) { |i| Wide.new(*Array.new(100) { i.to_s }) }
LARGE = (0..100).to_h { |i| [i.to_s, "value #{i}"] }
SYMBOLS = Array.new(100) { |i| "symbol_#{i}".to_sym }
puts 'up'
$stdout.flush
sleep
"##;

/// Makes garbage of all kinds, and has the collector at work most of the time.
const GARBAGE: &str = r##"
class Item; def initialize(i); @a, @b, @c, @d = i.to_s, [i.to_s] * 9, { i.to_s => [i] }, 'x' * 99; end; end
Pair = Struct.new(:left, :right)
KEPT = []
puts 'up'
$stdout.flush
loop do
  items = Array.new(3_000) { |i| [Item.new(i), Pair.new(Item.new(i), i.to_s), "symbol #{i}".to_sym, Object.new.singleton_class] }
  KEPT.replace(items.take(500))
end
"##;

/// Killed at the end.
struct Stopped {
    child: Child,
    memory: Live,
    program: Program,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may be gone, and nothing is left to be done then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: Pid, name: &str) {
    let sent = Command::new("kill")
        .args([name, &pid.0.to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

fn stop(pid: Pid) {
    signal(pid, "-STOP");
    while !std::fs::read_to_string(format!("/proc/{}/stat", pid.0))
        .expect("it lives")
        .contains(") T ")
    {
        std::thread::yield_now();
    }
}

impl Stopped {
    fn begin(code: &str) -> Stopped {
        let mut child = Command::new("ruby")
            .args(["-e", code])
            .stdout(Stdio::piped())
            .spawn()
            .expect("ruby, which script/setup installs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line, "up\n");
        let pid = Pid(child.id());
        stop(pid);
        let mappings = maps::read(pid).expect("its mappings");
        let program = Program::find(&mappings, |mapping| exports::mapped_file(pid, mapping));
        Stopped {
            child,
            memory: Live::open(pid).expect("its memory"),
            program: program.expect("a Ruby"),
        }
    }

    fn own(&self) -> &'static Layout {
        layouts(&self.program.description)
            .expect("a Ruby that is known")
            .0
    }

    /// What comes of reading it so; nothing is written of what is refused.
    fn read(&self, layout: &'static Layout) -> Result<Facts, SnapshotError> {
        let (_, pages) = layouts(&self.program.description)?;
        let memory: &dyn Memory = &self.memory;
        let subject = Subject {
            memory,
            description: &self.program.description,
            machine: self.program.machine,
            shapes: self.program.shapes,
            data: self.program.data.clone(),
            threads: &[],
            has_chunks: self.program.has_chunks,
            redact: false,
        };
        let (mut dump, mut names) = (Vec::new(), Vec::new());
        let read = write_as((layout, pages), true, &subject, &mut dump, &mut names);
        assert_eq!(read.is_err(), dump.is_empty(), "{read:?}");
        assert_eq!(read.is_err(), names.is_empty(), "{read:?}");
        read
    }

    fn refused(&self, layout: Layout, what: &str) -> String {
        let read = self.read(Box::leak(Box::new(layout)));
        assert!(
            matches!(read, Err(SnapshotError::Unsound { .. })),
            "{what}: {read:?}"
        );
        read.expect_err("it is refused").to_string()
    }
}

#[test]
fn its_own_layout_fits() {
    let ruby = Stopped::begin(CODE);
    let facts = ruby.read(ruby.own()).expect("it fits");
    assert!(facts.live() > 10_000, "{facts:?}");
    assert_eq!(facts.checked, Some(ruby.own().checked));
}

#[test]
fn its_own_layout_fits_at_any_moment() {
    let mut ruby = Stopped::begin(GARBAGE);
    let pid = Pid(ruby.child.id());
    for round in 0..12_u64 {
        signal(pid, "-CONT");
        std::thread::sleep(Duration::from_millis(20 + round * 7));
        stop(pid);
        ruby.memory = Live::open(pid).expect("its memory");
        let read = ruby.read(ruby.own());
        let facts = read.unwrap_or_else(|error| panic!("round {round}: {error}"));
        // Objects without variables do not hide the shapes of the others.
        assert!(!facts.absent.contains(&"instance variables"), "{facts:?}");
    }
}

#[test]
fn layouts_of_other_rubies_are_refused() {
    let ruby = Stopped::begin(CODE);
    let own = ruby.own().version;
    // What a class has more lies behind it from 3.2 on.
    let others = Layout::versions().filter(|other| (*other < (3, 2)) != (own < (3, 2)));
    let mut looked = 0;
    for version in others {
        let other = Layout::of(version).expect("a row");
        ruby.refused(other.clone(), &format!("{version:?}"));
        looked += 1;
    }
    assert!(looked > 1);
}

/// Shifts one field, if the layout has it.
type Shift = fn(&mut Layout) -> &mut Field;

#[test]
fn each_place_that_is_wrong_is_noticed() {
    let shifts: [(&str, Shift); 29] = [
        ("class_super", |it| &mut it.class_super),
        ("class_ext", |it| &mut it.class_ext),
        ("class_size", |it| &mut it.class_size),
        ("class_m_tbl", |it| &mut it.class_m_tbl),
        ("ext_m_tbl", |it| &mut it.ext_m_tbl),
        ("ext_iv_tbl", |it| &mut it.ext_iv_tbl),
        ("ext_classpath", |it| &mut it.ext_classpath),
        ("id_items", |it| &mut it.id_items),
        ("item_val", |it| &mut it.item_val),
        ("st_entries", |it| &mut it.st_entries),
        ("string_len", |it| &mut it.string_len),
        ("string_ptr", |it| &mut it.string_ptr),
        ("string_embedded", |it| &mut it.string_embedded),
        ("array_ptr", |it| &mut it.array_ptr),
        ("array_embedded", |it| &mut it.array_embedded),
        ("hash_table", |it| &mut it.hash_table),
        ("ar_pairs", |it| &mut it.ar_pairs),
        ("object_ivptr", |it| &mut it.object_ivptr),
        ("struct_ptr", |it| &mut it.struct_ptr),
        ("symbol_fstr", |it| &mut it.symbol_fstr),
        ("iseq_body", |it| &mut it.iseq_body),
        ("body_pathobj", |it| &mut it.body_pathobj),
        ("typed_type", |it| &mut it.typed_type),
        ("type_name", |it| &mut it.type_name),
        ("const_value", |it| &mut it.const_value),
        ("shape_parent", |it| &mut it.shape_parent),
        ("shape_edge_name", |it| &mut it.shape_edge_name),
        ("shape_size", |it| &mut it.shape_size),
        ("object_embedded", |it| &mut it.object_embedded),
    ];
    let ruby = Stopped::begin(CODE);
    let mut missed = Vec::new();
    for (name, shift) in shifts {
        let mut layout = ruby.own().clone();
        if name == "class_size" && layout.class_ext.is_some() {
            continue;
        }
        let field = shift(&mut layout);
        let Some(place) = field else { continue };
        *place += 8;
        let told = match ruby.read(Box::leak(Box::new(layout))) {
            Err(error @ SnapshotError::Unsound { .. }) => error.to_string(),
            // Without shapes there are no variables, and that is said.
            Ok(facts) if facts.absent.contains(&"instance variables") => continue,
            other => {
                missed.push((name, format!("{other:?}")));
                continue;
            }
        };
        println!("{name}: {told}");
        assert!(told.contains("take --via agent"), "{told}");
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_layout_that_was_never_seen_to_be_right_needs_its_shapes() {
    let ruby = Stopped::begin(CODE);
    let mut layout = ruby.own().clone();
    layout.checked = Checked::Derived;
    let facts = ruby.read(Box::leak(Box::new(layout.clone())));
    assert_eq!(facts.expect("it fits").checked, Some(Checked::Derived));
    layout.shape_size = Some(8);
    layout.shape_list = None;
    layout.vm_shape_list = None;
    assert!(
        ruby.refused(layout, "no shapes")
            .contains("no tree of shapes")
    );
}
