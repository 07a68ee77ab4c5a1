//! Copies of real processes that never run.
#![cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]

use rbleak_process::inject::Frozen;
use rbleak_process::memory::{Live, Memory};
use rbleak_process::{Pid, stat};
use std::process::Command;
use std::time::{Duration, Instant};

fn children(pid: u32) -> String {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    list.unwrap_or_default().trim().to_owned()
}

#[test]
fn a_copy_holds_memory_alone_and_leaves_nothing() {
    let mut process = Command::new("sleep").arg("60").spawn().expect("sleep");
    let pid = Pid(process.id());
    // Its loader is done.
    let since = Instant::now();
    let is_up = || {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"));
        let has_libc = maps.is_ok_and(|maps| maps.contains("libc"));
        has_libc && stat::read(pid).is_ok_and(|it| it.state == 'S')
    };
    while !is_up() {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "it does not start"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    for _ in 0..3 {
        let frozen = Frozen::of(pid).expect("a copy");
        let copy = frozen.pid();
        assert_eq!(children(pid.0), copy.to_string());
        let state = stat::read(copy).expect("it is there").state;
        assert_eq!(state, 't', "stopped, and traced");
        let descriptors = std::fs::read_dir(format!("/proc/{copy}/fd"));
        assert_eq!(descriptors.map_or(0, Iterator::count), 0);
        let stack = frozen.registers().stack_pointer;
        let (ours, theirs) = (Live::open(copy).unwrap(), Live::open(pid).unwrap());
        let (mut one, mut other) = ([0; 64], [1; 64]);
        assert!(ours.read(stack, &mut one) && theirs.read(stack, &mut other));
        assert_eq!(one, other);
        assert!(!frozen.stopped().is_zero());
        let (was_whole, _) = frozen.end().expect("an end");
        assert!(was_whole);
        assert_eq!(children(pid.0), "");
    }
    drop(Frozen::of(pid).expect("a copy"));
    assert_eq!(children(pid.0), "");
    let waits = stat::read(pid).expect("it lives").state;
    assert!(matches!(waits, 'S' | 'R'), "{waits}");
    process.kill().expect("killed");
    process.wait().expect("ended");
    assert!(Frozen::of(pid).is_err());
}
