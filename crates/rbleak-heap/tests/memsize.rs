//! Shallow sizes against the sum that a real Ruby gives of the same heap.

use rbleak_heap::{Heap, ObjectType, ReadOptions};
use std::process::Command;

/// Prints `ObjectSpace.memsize_of_all` before and after the dump.
const SCRIPT: &str = r#"
require 'objspace'
eval(ARGV[1])
File.open(ARGV[0], 'w') do |io|
  4.times { GC.start }
  GC.disable
  before = ObjectSpace.memsize_of_all
  ObjectSpace.dump_all(output: io)
  puts before, ObjectSpace.memsize_of_all
end
"#;

#[test]
fn sums_are_those_of_ruby() {
    let heaps = [
        ("nothing", ""),
        (
            "libraries",
            "require 'set'; require 'json'; require 'net/http'; require 'optparse'; require 'erb'",
        ),
        (
            "traced",
            "ObjectSpace.trace_object_allocations_start; KEEP = (1..9_999).map { |n| \"text #{n}\" }",
        ),
        (
            "all kinds",
            "S = Struct.new(:a, :b, :c, :d); KEEP = (1..20_000).map { |n| [n, 'x' * (n % 300), \
             { n => n.to_s, a: [n] * (n % 40) }, S.new(n, n.to_s), Object.new, -> { n }, \
             n.to_s.to_sym, 2**(64 + n % 99), Class.new, /#{n}/, Rational(n, 3), [n].each] }",
        ),
    ];
    for (name, code) in heaps {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let output = Command::new("ruby")
            .args(["-W0", "-e", SCRIPT])
            .arg(file.path())
            .arg(code)
            .output()
            .expect("this test needs `ruby`: run script/setup");
        let text = String::from_utf8_lossy(&output.stdout);
        let sums: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        let [before, after] = sums[..] else {
            panic!("{name}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let heap = Heap::open(file.path(), &ReadOptions::default()).expect("a dump");
        // `total_i` of objspace.c skips these.
        let is_counted = |object_type| {
            !matches!(
                object_type,
                ObjectType::Imemo | ObjectType::Iclass | ObjectType::Node
            )
        };
        let sum: u64 = heap
            .ids()
            .filter(|&id| heap.is_live(id) && is_counted(heap.object_type(id)))
            .map(|id| heap.shallow_size(id).0)
            .sum();
        // The dump itself makes an object or two.
        let slack = before / 1000;
        assert!(
            (before - slack..=after + slack).contains(&sum),
            "{name}: {sum} of {before} to {after}"
        );
    }
}
