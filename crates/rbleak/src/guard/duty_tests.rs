//! The course of sets, second by second, without a process.

use super::duty::*;
use rbleak_process::Pid;
use rbleak_units::Bytes;

const TERMS: Terms = Terms {
    every: 60.0,
    trace: None,
    again: 3600.0,
};

fn place(pid: u32, held: u64) -> Place {
    Place {
        name: format!("worker {pid}"),
        pid: Pid(pid),
        is_ruby: true,
        leaks: None,
        grown: 0.0,
        held: Bytes(held),
    }
}

fn leaking(pid: u32, rate: f64) -> Place {
    Place {
        leaks: Some(rate),
        ..place(pid, 100)
    }
}

fn seen(now: f64, places: &[Place]) -> Seen {
    Seen {
        now,
        places: places.to_vec(),
        ..Seen::default()
    }
}

fn opened(deed: Option<Deed>) -> (u32, Why) {
    match deed {
        Some(Deed::Open { pid, why, .. }) => (pid.0, why),
        other => panic!("{other:?}"),
    }
}

/// Plays seconds until a time; what was done, and when.
fn play(duty: &mut Duty, from: u32, to: u32, see: impl Fn(f64) -> Seen) -> Vec<(u32, Deed)> {
    let mut deeds = Vec::new();
    for second in from..to {
        let seen = see(f64::from(second));
        while let Some(deed) = duty.turn(&seen) {
            let is_close = matches!(deed, Deed::Close(_));
            deeds.push((second, deed));
            if !is_close {
                duty.went(seen.now, Went::Well);
            }
        }
    }
    deeds
}

/// The seconds of the dumps, and how it ended.
fn dumps(deeds: &[(u32, Deed)]) -> (Vec<u32>, Vec<&Outcome>) {
    let at = deeds.iter().filter(|it| matches!(it.1, Deed::Dump { .. }));
    let ends = deeds.iter().filter_map(|it| match &it.1 {
        Deed::Close(outcome) => Some(outcome),
        _ => None,
    });
    (at.map(|it| it.0).collect(), ends.collect())
}

#[test]
fn a_leak_is_captured_three_times_and_then_left_alone() {
    let mut duty = Duty::new(TERMS);
    assert_eq!(duty.turn(&seen(0.0, &[place(1, 9), place(2, 9)])), None);
    let both = [leaking(1, 5.0), leaking(2, 9.0), place(3, 500)];
    let deeds = play(&mut duty, 1, 200, |now| seen(now, &both));
    assert_eq!(opened(Some(deeds[0].1.clone())), (2, Why::Leak(9.0)));
    let (at, ends) = dumps(&deeds[..5]);
    assert_eq!((at, ends), (vec![1, 61, 121], vec![&Outcome::Whole]));
    // Then the other one, and nobody for an hour.
    assert_eq!(opened(Some(deeds[5].1.clone())).0, 1);
    let rest = play(&mut duty, 200, 3500, |now| seen(now, &both));
    assert_eq!(dumps(&rest).0.len(), 1, "its last dump: {rest:?}");
    let again = play(&mut duty, 3500, 3800, |now| seen(now, &both));
    assert_eq!(opened(Some(again[0].1.clone())).0, 2);
}

#[test]
fn the_level_takes_who_grew_and_else_who_is_biggest() {
    let at_level = |places: &[Place], used: u64| Seen {
        level: Some(Level {
            used: Bytes(used),
            at: Bytes(800),
        }),
        ..seen(0.0, places)
    };
    let grown = Place {
        grown: 60.0,
        ..place(2, 300)
    };
    let places = [place(1, 400), grown];
    assert_eq!(Duty::new(TERMS).turn(&at_level(&places, 799)), None);
    let found = opened(Duty::new(TERMS).turn(&at_level(&places, 800)));
    assert_eq!(found.0, 2);
    let flat = [place(1, 400), place(2, 300)];
    assert_eq!(opened(Duty::new(TERMS).turn(&at_level(&flat, 900))).0, 1);
    let other = Place {
        is_ruby: false,
        ..place(1, 400)
    };
    assert_eq!(Duty::new(TERMS).turn(&at_level(&[other], 900)), None);
}

#[test]
fn the_level_counts_again_when_it_was_left() {
    let mut duty = Duty::new(TERMS);
    let at = |now: f64, used: u64| Seen {
        level: Some(Level {
            used: Bytes(used),
            at: Bytes(1000),
        }),
        ..seen(now, &[place(if now < 500.0 { 1 } else { 2 }, 9)])
    };
    let first = play(&mut duty, 0, 400, |now| at(now, 1001));
    assert_eq!(dumps(&first).1, [&Outcome::Whole]);
    // Another process, and the same level all the time.
    assert_eq!(play(&mut duty, 500, 900, |now| at(now, 1001)), []);
    assert_eq!(play(&mut duty, 900, 910, |now| at(now, 900)), []);
    let second = play(&mut duty, 910, 1100, |now| at(now, 1001));
    assert_eq!(dumps(&second).1, [&Outcome::Whole]);
}

#[test]
fn dumps_come_sooner_when_there_will_be_no_room() {
    let mut duty = Duty::new(TERMS);
    // Room for another 40 s.
    let see = |now: f64| Seen {
        spare: Some(4000.0 - 100.0 * now),
        ..seen(now, &[leaking(1, 100.0)])
    };
    let (at, ends) = {
        let deeds = play(&mut duty, 0, 60, see);
        let (at, ends) = dumps(&deeds);
        (at, ends.into_iter().cloned().collect::<Vec<_>>())
    };
    assert_eq!(ends, [Outcome::Whole]);
    assert!(at[2] < 35 && at[1] > 5 && at[2] - at[1] > 3, "{at:?}");
}

#[test]
fn tracing_comes_before_the_first_and_waits_no_longer_than_there_is_time() {
    let terms = Terms {
        trace: Some(30.0),
        ..TERMS
    };
    let mut duty = Duty::new(terms);
    let deeds = play(&mut duty, 0, 200, |now| seen(now, &[leaking(1, 1.0)]));
    assert_eq!(dumps(&deeds).0, [30, 90, 150]);
    let mut duty = Duty::new(terms);
    let deeds = play(&mut duty, 0, 60, |now| Seen {
        spare: Some(2000.0 - 50.0 * now),
        ..seen(now, &[leaking(1, 1.0)])
    });
    assert!(dumps(&deeds).0[0] <= 10, "{deeds:?}");
}

#[test]
fn a_refused_dump_is_tried_again_ever_more_seldom_and_given_up_at_last() {
    let mut duty = Duty::new(TERMS);
    let see = |now: f64| seen(now, &[leaking(1, 1.0)]);
    let mut tries = Vec::new();
    let mut second = 0.0;
    while tries.len() < 5 {
        if let Some(Deed::Open { .. }) = duty.turn(&see(second)) {
            tries.push(second);
            duty.went(second, Went::NoRoom);
        }
        second += 1.0;
    }
    assert_eq!(tries, [0.0, 5.0, 15.0, 35.0, 75.0]);
    // Then there is room for A, and none for B.
    let mut dumped = 0;
    let end = loop {
        match duty.turn(&see(second)) {
            Some(Deed::Open { .. }) => duty.went(second, Went::Well),
            Some(Deed::Dump { label: "A" }) => duty.went(second, Went::Well),
            Some(Deed::Dump { .. }) => {
                dumped += 1;
                duty.went(second, Went::NoRoom);
            }
            Some(Deed::Close(outcome)) => break outcome,
            None => second += 1.0,
        }
    };
    assert_eq!(dumped, 20);
    assert!(matches!(end, Outcome::Failed(text) if text.contains("no room for dump B")));
}

#[test]
fn three_failures_end_a_set_with_the_last_one_s_words() {
    let mut duty = Duty::new(TERMS);
    let see = |now: f64| seen(now, &[leaking(1, 1.0)]);
    opened(duty.turn(&see(0.0)));
    duty.went(0.0, Went::Well);
    let mut second = 0.0;
    let mut failed = 0;
    let end = loop {
        match duty.turn(&see(second)) {
            Some(Deed::Dump { label }) => {
                assert_eq!(label, "A");
                failed += 1;
                duty.went(second, Went::Failed(format!("no {failed}")));
            }
            Some(Deed::Close(outcome)) => break outcome,
            Some(other) => panic!("{other:?}"),
            None => second += 1.0,
        }
    };
    assert_eq!(end, Outcome::Failed("no 3".to_owned()));
    assert_eq!(duty.turn(&see(second)), None, "it rests");
}

#[test]
fn a_process_that_ends_ends_its_set_and_the_next_life_has_its_own() {
    let mut duty = Duty::new(TERMS);
    let first = play(&mut duty, 0, 30, |now| seen(now, &[leaking(1, 1.0)]));
    assert_eq!(dumps(&first).0, [0]);
    let then = play(&mut duty, 30, 31, |now| seen(now, &[leaking(2, 1.0)]));
    let Deed::Close(Outcome::Failed(text)) = &then[0].1 else {
        panic!("{then:?}");
    };
    assert_eq!(text, "process 1 ended before dump B was taken");
    assert_eq!(opened(Some(then[1].1.clone())).0, 2);
}

#[test]
fn at_the_end_one_more_dump_is_taken_where_it_tells_something() {
    let run = |seconds: u32| {
        let mut duty = Duty::new(TERMS);
        let see = |now: f64| seen(now, &[leaking(1, 1.0)]);
        let before = play(&mut duty, 0, seconds, see).len();
        duty.end();
        let deeds = play(&mut duty, seconds, seconds + 100, see);
        assert_eq!(duty.subject(), None);
        let (at, ends) = dumps(&deeds);
        assert_eq!(ends.len(), usize::from(before > 0), "{deeds:?}");
        (at, ends.first().map(|it| (*it).clone()))
    };
    assert_eq!(run(0), (vec![], None));
    // B, but not C at once.
    assert_eq!(run(20), (vec![20], Some(Outcome::CutShort)));
    // C a quarter of the way.
    assert_eq!(run(80), (vec![80], Some(Outcome::Whole)));
    assert_eq!(run(70), (vec![], Some(Outcome::CutShort)));
}

#[test]
fn at_the_end_a_set_without_room_is_not_waited_for() {
    let mut duty = Duty::new(TERMS);
    let see = |now: f64| seen(now, &[leaking(1, 1.0)]);
    play(&mut duty, 0, 61, see);
    assert_eq!(duty.subject(), Some(Pid(1)));
    duty.end();
    assert_eq!(duty.turn(&see(90.0)), Some(Deed::Dump { label: "C" }));
    assert_eq!(duty.turn(&see(90.5)), None, "it is under way");
    duty.went(91.0, Went::NoRoom);
    assert_eq!(duty.turn(&see(91.0)), Some(Deed::Close(Outcome::CutShort)));
}
