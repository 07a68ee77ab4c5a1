//! `rbleak hunt` on one small script for each kind of holder, and `rbleak diff`
//! on the dumps of that hunt: what holds the leak comes first, in the words of
//! Ruby.

mod common;

use common::{Bench, app, needs};
use serde_json::Value;

/// A script and what its hunt must say.
struct Kind {
    script: &'static str,
    /// What runs in place of a request.
    each: &'static str,
    holder: &'static str,
    /// From the holder to what leaks.
    path: &'static str,
    /// The line at which most of it is born.
    line: u64,
}

/// Hunts, and compares the first finding. Lengths of containers, which depend
/// on how many rounds it took, stand as `…` in paths.
fn check(kind: &Kind) {
    needs("ruby");
    let script = app("kinds").join(kind.script);
    let directory = app("kinds");
    let bench = Bench::new();
    let answer = bench.run(&[
        "hunt",
        "--quiet",
        "--no-bundler",
        "--format",
        "json",
        "-C",
        directory.to_str().expect("UTF-8"),
        "--boot",
        script.to_str().expect("UTF-8"),
        "--each",
        kind.each,
    ]);
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    is_first(kind, &answer.json());
    let run = bench.only_run();
    let run = run.to_str().expect("UTF-8");
    let answer = bench.run(&["diff", "--holders", "--format", "json", run]);
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    is_first(kind, &answer.json());
}

/// Whether the first finding is what leaks.
fn is_first(kind: &Kind, json: &Value) {
    // A hunt shortens paths below the app's folder, a diff those below here.
    let folder = app("kinds");
    let folder = format!("{}/", folder.to_str().expect("UTF-8"));
    let found = &json["findings"][0];
    let holder = found["holder"].as_str().expect("a holder");
    assert_eq!(holder.replace(&folder, ""), kind.holder, "{json:#}");
    let path = found["path"].as_str().expect("a path");
    let path = without_lengths(path);
    assert_eq!(path.replace(&folder, ""), kind.path, "{json:#}");
    assert_eq!(found["trend"], "growing", "{json:#}");
    let share = found["share"].as_f64().expect("a share");
    assert!(share > 0.9, "{json:#}");
    let site = &found["sites"][0];
    let file = site["file"].as_str().expect("a file");
    assert_eq!(file.replace(&folder, ""), kind.script, "{json:#}");
    assert_eq!(site["line"], kind.line, "{json:#}");
}

/// `Array (1 500)` → `Array (…)`; a length of one digit stays.
fn without_lengths(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('(') {
        let Some((inside, behind)) = after.split_once(')') else {
            break;
        };
        let is_length = inside
            .chars()
            .all(|c| c.is_ascii_digit() || c.is_whitespace());
        let inside = if is_length && inside.len() > 1 {
            "…"
        } else {
            inside
        };
        out.push_str(&format!("{before}({inside})"));
        rest = behind;
    }
    out + rest
}

#[test]
fn a_hash_in_a_constant() {
    check(&Kind {
        script: "constant_hash.rb",
        each: "Prices.call",
        holder: "Prices::TABLE",
        path: "Prices::TABLE → Hash (…) → Object",
        line: 6,
    });
}

#[test]
fn an_instance_variable_of_a_class() {
    check(&Kind {
        script: "class_ivar.rb",
        each: "Registry.call",
        holder: "Registry@items",
        path: "Registry@items → Array (…) → String",
        line: 7,
    });
}

#[test]
fn a_class_variable() {
    check(&Kind {
        script: "class_variable.rb",
        each: "Counter.call",
        holder: "Counter@@seen",
        path: "Counter@@seen → Array (…) → String",
        line: 6,
    });
}

#[test]
fn a_global() {
    check(&Kind {
        script: "global.rb",
        each: "Audit.call",
        holder: "$audit",
        path: "$audit → Hash (…) → Object",
        line: 6,
    });
}

#[test]
fn a_local_of_the_running_thread() {
    check(&Kind {
        script: "thread_local.rb",
        each: "Trail.call",
        holder: "Thread.current[:trail]",
        path: "Thread.current[:trail] → Array (…) → String",
        line: 4,
    });
}

#[test]
fn a_variable_of_another_thread() {
    check(&Kind {
        script: "thread_variable.rb",
        each: "Worker.call",
        holder: "Thread.current[:history]",
        path: "Thread.current[:history] → Array (…) → String",
        line: 10,
    });
}

#[test]
fn a_local_variable_of_another_thread() {
    check(&Kind {
        script: "thread_stack.rb",
        each: "Loop.call",
        holder: "a local of the thread loop",
        path: "a local of the thread loop → Array (…) → String",
        line: 9,
    });
}

#[test]
fn a_local_of_a_fiber() {
    check(&Kind {
        script: "fiber_local.rb",
        each: "Pump.call",
        holder: "Pump::FIBER",
        path: "Pump::FIBER → Fiber → a local → Array (…) → String",
        line: 5,
    });
}

#[test]
fn a_callback_that_captures_a_list() {
    check(&Kind {
        script: "closure.rb",
        each: "Hooks.call",
        holder: "Proc at closure.rb:7",
        path: "Proc closure.rb:7 → captures → Array (…) → String",
        line: 7,
    });
}

#[test]
fn a_singleton_method_of_an_object() {
    check(&Kind {
        script: "singleton.rb",
        each: "LEDGER.call",
        holder: "LEDGER",
        path: "LEDGER → Object → @entries → Array (…) → String",
        line: 6,
    });
}

#[test]
fn subscribers_that_stay() {
    check(&Kind {
        script: "subscribers.rb",
        each: "Bus.call",
        holder: "Bus::MAIN",
        path: "Bus::MAIN → Bus → @subscribers → Hash (1) → [a String key] → Array (…) → Proc subscribers.rb:15 → captures → String",
        line: 14,
    });
}

#[test]
fn at_exit_blocks() {
    check(&Kind {
        script: "at_exit.rb",
        each: "Farewell.call",
        holder: "an at_exit block",
        path: "an at_exit block → Proc at_exit.rb:5 → captures → String",
        line: 4,
    });
}

#[test]
fn a_list_that_blocks_capture() {
    check(&Kind {
        script: "at_exit_captures.rb",
        each: "Report.call",
        holder: "Proc at at_exit_captures.rb:6",
        path: "Proc at_exit_captures.rb:6 → captures → Array (…) → String",
        line: 6,
    });
}

#[test]
fn finalizers_of_an_object_that_stays() {
    check(&Kind {
        script: "finalizer.rb",
        each: "Sweeper.call",
        holder: "a finalizer",
        path: "a finalizer → internal Array (…) → Proc finalizer.rb:7 → captures → String",
        line: 6,
    });
}

#[test]
fn a_memo_without_a_bound() {
    check(&Kind {
        script: "memoisation.rb",
        each: "Slug.call",
        holder: "Slug@memo",
        path: "Slug@memo → Hash (…) → String",
        line: 12,
    });
}

#[test]
fn a_list_in_a_hash_of_an_instance() {
    check(&Kind {
        script: "deep.rb",
        each: "Tracker.call",
        holder: "Tracker::INSTANCE",
        path: "Tracker::INSTANCE → Tracker → @by_page → Hash (2) → [a String key] → Array (…) → Tracker::Visit → @page → String",
        line: 14,
    });
}

#[test]
fn a_list_many_objects_below_a_constant() {
    check(&Kind {
        script: "deeper.rb",
        each: "Shop.call",
        holder: "Shop::STORE",
        path: "Shop::STORE → Shop::Store → @sections → Array (1) → Shop::Section → .shelves → Array (1) → Shop::Shelf → @items → Hash (1) → [:sold] → Array (…) → String",
        line: 11,
    });
}

#[test]
fn an_instance_variable_of_main() {
    check(&Kind {
        script: "main_ivar.rb",
        each: "TOPLEVEL.call",
        holder: "main@seen",
        path: "main@seen → Array (…) → String",
        line: 5,
    });
}

#[test]
fn a_linked_list() {
    check(&Kind {
        script: "linked_list.rb",
        each: "Node.call",
        holder: "Node::HEAD",
        path: "Node::HEAD → Node → @next → Node → …",
        line: 10,
    });
}

#[test]
fn what_comes_with_a_new_class() {
    check(&Kind {
        script: "new_classes.rb",
        each: "Generator.call",
        holder: "Generator@made",
        path: "Generator@made → Array (…) → Class → String",
        line: 4,
    });
}
