//! The figures themselves: a leak shows exactly, a clean app not at all, and
//! sampling costs the same every time.

#![allow(clippy::unwrap_used, reason = "a test ends by it")]

mod common;

use common::{PUMA, Place, boot, leaky, live_slots, slope, spread};
use rbleak_capture::Launch;
use std::path::Path;

/// Each of Puma's five threads may or may not still hold its last request,
/// of eleven objects.
const SERVER_NOISE: i64 = 60;

#[test]
fn an_idle_process_samples_the_same_thirty_times() {
    for place_and_launch in [
        |place: &Place| place.in_process("/clean"),
        |place: &Place| place.server(PUMA, "/clean"),
    ] {
        let place = leaky();
        let mut app = boot(place_and_launch(&place));
        let samples: Vec<_> = (0..30).map(|_| app.sample().unwrap()).collect();
        let live: Vec<i64> = samples.iter().map(|s| s.live_slots.0 as i64).collect();
        eprintln!("idle: {live:?}");
        assert!(spread(&live) <= 5, "{live:?}");
        let content: Vec<i64> = samples[3..]
            .iter()
            .map(|s| s.content.unwrap().0 as i64)
            .collect();
        eprintln!("idle content: {content:?}");
        assert!(spread(&content) <= 200, "{content:?}");
        let memsize: Vec<i64> = samples[3..].iter().map(|s| s.memsize.0 as i64).collect();
        assert!(spread(&memsize) < 20_000, "{memsize:?}");
        assert!(samples.iter().all(|s| s.malloc_source == "mallinfo2"));
        assert!(
            samples
                .iter()
                .all(|s| s.pss.is_some_and(|pss| pss <= s.rss))
        );
        app.stop().unwrap();
    }
}

/// Grows by exactly two objects a request.
fn leaks_two(launch: Launch) {
    let mut app = boot(launch);
    let live = live_slots(&mut app, 10, 100);
    let rate = slope(&live, 100);
    eprintln!("leak: {rate:.4} {live:?}");
    assert!((rate - 2.0).abs() < 0.02, "{rate} {live:?}");
    app.stop().unwrap();
}

/// Constant within `noise` objects over ten rounds.
fn is_constant(launch: Launch, noise: i64) {
    let mut app = boot(launch);
    let live = live_slots(&mut app, 10, 100);
    eprintln!("clean: {live:?}");
    assert!(spread(&live) <= noise, "{live:?}");
    app.stop().unwrap();
}

#[test]
fn a_leak_in_process_shows_exactly() {
    leaks_two(leaky().in_process("/leak"));
}

#[test]
fn a_clean_app_in_process_is_constant() {
    is_constant(leaky().in_process("/clean"), 10);
}

#[test]
fn a_leak_in_a_server_shows_exactly() {
    leaks_two(leaky().server(PUMA, "/leak"));
}

#[test]
fn a_clean_server_is_constant() {
    is_constant(leaky().server(PUMA, "/clean"), SERVER_NOISE);
}

#[test]
fn a_leak_in_code_shows_exactly() {
    let place = Place::new(&[("lib.rb", "STORE = []")]);
    leaks_two(place.code(Some("lib.rb"), "return if false\nSTORE << ['x' * 80]"));
}

#[test]
fn code_that_keeps_nothing_is_constant() {
    is_constant(Place::new(&[]).code(None, "('x' * 80).upcase"), 10);
}

#[test]
fn a_native_leak_shows_in_malloc_and_not_in_objects() {
    let place = leaky();
    let mut app = boot(place.in_process("/native"));
    app.run(200).unwrap();
    let before = app.sample().unwrap();
    app.run(1_000).unwrap();
    let after = app.sample().unwrap();
    let grown = after.malloc_in_use.unwrap() - before.malloc_in_use.unwrap();
    eprintln!("native: {grown}");
    assert!((990_000..1_200_000).contains(&grown.0), "{grown}");
    let objects = after.live_slots.0.abs_diff(before.live_slots.0);
    assert!(objects <= 5, "{objects}");
}

/// Whatever room the string and the array take in advance.
#[test]
fn content_grows_with_every_entry() {
    let place = Place::new(&[("lib.rb", "TEXT = +''\nLIST = []\nMAP = {}")]);
    let each = "TEXT << 'x' * 100\nLIST << 1\nMAP[MAP.size] = 1";
    let mut app = boot(place.code(Some("lib.rb"), each));
    app.run(100).unwrap();
    let content: Vec<i64> = (0..10)
        .map(|_| {
            app.run(100).unwrap();
            app.sample().unwrap().content.unwrap().0 as i64
        })
        .collect();
    let steps: Vec<i64> = content[1..]
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    eprintln!("content: {steps:?}");
    // A hundred bytes, an entry of an array and one of a hash.
    let expected = 100 * (100 + 8 + 16);
    assert!(
        steps.iter().all(|step| (step - expected).abs() <= 200),
        "{steps:?}"
    );
    app.stop().unwrap();
}

#[test]
fn jemalloc_is_asked_where_it_is_loaded() {
    let library = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
    assert!(
        Path::new(library).exists(),
        "this test needs libjemalloc2: install it first"
    );
    let place = leaky();
    let mut launch = place.in_process("/native");
    launch.inherited.insert("LD_PRELOAD".into(), library.into());
    let mut app = boot(launch);
    app.run(200).unwrap();
    let before = app.sample().unwrap();
    assert_eq!(before.malloc_source, "jemalloc");
    app.run(1_000).unwrap();
    let grown = app.sample().unwrap().malloc_in_use.unwrap() - before.malloc_in_use.unwrap();
    eprintln!("jemalloc: {grown}");
    assert!((990_000..1_300_000).contains(&grown.0), "{grown}");
}

#[test]
fn a_cluster_is_the_sum_of_its_workers() {
    let place = leaky();
    let command = [
        "puma",
        "-w",
        "2",
        "-t",
        "2:2",
        "-b",
        "tcp://127.0.0.1:{port}",
    ];
    let mut app = boot(place.server(&command, "/leak"));
    assert_eq!(app.about().processes.len(), 2, "{:?}", app.about());
    assert!(
        !app.about().processes.contains(&app.root_pid()),
        "the master serves nothing"
    );
    let live = live_slots(&mut app, 6, 200);
    let rate = slope(&live, 200);
    eprintln!("cluster: {rate:.4} {live:?}");
    assert!((rate - 2.0).abs() < 0.1, "{rate} {live:?}");
    let mut bytes = Vec::new();
    let taken = app.dump(&mut bytes).unwrap();
    assert!(app.about().processes.contains(&taken.pid));
    assert_eq!(app.dump(&mut Vec::new()).unwrap().pid, taken.pid);
    app.stop().unwrap();
    assert!(common::processes_of(&place).is_empty());
}

#[test]
fn a_dump_leaves_the_samples_alone() {
    let place = leaky();
    let mut app = boot(place.server(PUMA, "/clean"));
    app.trace(true).unwrap();
    app.run(100).unwrap();
    // The first time makes call caches.
    app.dump(&mut Vec::new()).unwrap();
    app.names(&mut Vec::new()).unwrap();
    app.census().unwrap();
    let mut live = Vec::new();
    for _ in 0..4 {
        app.run(100).unwrap();
        live.push(app.sample().unwrap().live_slots.0 as i64);
        app.census().unwrap();
        app.dump(&mut Vec::new()).unwrap();
        app.names(&mut Vec::new()).unwrap();
    }
    eprintln!("around dumps: {live:?}");
    assert!(spread(&live) <= SERVER_NOISE, "{live:?}");
}
