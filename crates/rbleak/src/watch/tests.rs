//! Whole watches, of processes that are made up.

use super::record::Recorder;
use super::rows::Title;
use super::sample::{Moment, Seen};
use super::state::{Settings, State};
use rbleak_process::Pid;
use rbleak_units::Bytes;

fn seen(pid: u32, name: &str, age: f64, bytes: f64) -> Seen {
    Seen {
        pid: Pid(pid),
        parent: Pid(1),
        title: Title {
            name: name.to_owned(),
            is_numbered: true,
        },
        age,
        rss: Bytes(bytes as u64),
        anonymous: Some(Bytes(bytes as u64 - 1_000_000)),
        walked: None,
        kinds: None,
    }
}

fn wobble(i: u64) -> f64 {
    (i.wrapping_mul(7919) % 97) as f64 * 1_000.0
}

/// A master and three workers, the second of which leaks 400 kB a second.
fn cluster(at: u64) -> Moment {
    let age = at as f64 + 100.0;
    let mut processes = vec![seen(10, "puma", age, 60e6 + wobble(at))];
    processes.extend((0..3_u64).map(|worker| {
        let leaked = if worker == 1 { 400e3 * at as f64 } else { 0.0 };
        let bytes = 100e6 + leaked + wobble(at * 3 + worker);
        seen(11 + worker as u32, &format!("worker {worker}"), age, bytes)
    }));
    Moment {
        processes,
        ..Moment::default()
    }
}

fn settings() -> Settings {
    Settings {
        every: 1.0,
        limit: Some(Bytes(80_000_000_000)),
    }
}

/// One process that leaks, watched for so many seconds.
pub(super) fn leaking(seconds: u64) -> State {
    let mut state = State::new(settings());
    for at in 0..seconds {
        let process = seen(5, "app", at as f64, 100e6 + 2e6 * at as f64 + wobble(at));
        let moment = Moment {
            processes: vec![process],
            ..Moment::default()
        };
        state.push(at as f64, &moment, &|_| Some(at as f64 * 2.0));
    }
    state.judge_all();
    state
}

#[test]
fn the_worker_that_leaks_is_told_and_so_is_its_end() {
    let mut state = State::new(settings());
    for at in 0..600 {
        state.push(at as f64, &cluster(at), &|_| None);
    }
    state.judge_all();
    let leaks: Vec<&str> = state
        .rows
        .iter()
        .filter(|row| {
            let verdict = row.judgement.as_ref().map(|judgement| judgement.verdict);
            verdict == Some(rbleak_trend::Verdict::Leak)
        })
        .map(|row| row.name.as_str())
        .collect();
    assert_eq!(leaks, ["worker 1"]);
    let ending = state.ending().expect("a limit");
    let truth = (80e9 - state.total().as_f64()) / 400e3;
    let seconds = ending.seconds.expect("it leaks");
    assert!(
        seconds.low < truth && truth < seconds.high,
        "{seconds:?} {truth}"
    );
}

#[test]
fn a_worker_that_is_replaced_begins_a_new_life_in_its_row() {
    let mut state = State::new(settings());
    for at in 0..60 {
        state.push(at as f64, &cluster(at), &|_| None);
    }
    let mut moment = cluster(60);
    moment.processes.remove(2);
    moment.ended.push(Pid(12));
    state.push(60.0, &moment, &|_| None);
    let row = |state: &State| state.rows.iter().position(|row| row.name == "worker 1");
    let index = row(&state).expect("its row");
    assert_eq!(state.rows[index].alive, None);
    moment.ended.clear();
    moment.processes.push(seen(99, "worker 1", 0.5, 90e6));
    state.push(61.0, &moment, &|_| None);
    let row = &state.rows[index];
    assert_eq!(
        (row.alive, row.lives, state.rows.len()),
        (Some(Pid(99)), 2, 4)
    );
    assert_eq!(row.series.lives().count(), 2);
    assert_eq!(
        (row.birth(Some(12)), row.birth(Some(99))),
        (Some(-100.0), Some(60.5))
    );
    assert_eq!(state.events.len(), 2);
}

#[test]
fn the_verdict_is_known_after_several_looks_and_not_before() {
    let decided = |per_second: f64| {
        let mut state = State::new(settings());
        (0..3000_u64).find(|&at| {
            let bytes = 100e6 + per_second * at as f64 + wobble(at);
            let moment = Moment {
                processes: vec![seen(5, "app", at as f64, bytes)],
                ..Moment::default()
            };
            state.push(at as f64, &moment, &|_| None);
            if let Some(row) = state.due() {
                state.judge(row, &|| 0.0);
            }
            state.is_decided()
        })
    };
    for per_second in [0.0, 2e6] {
        let at = decided(per_second);
        assert!(at.is_some_and(|at| (30..1000).contains(&at)), "{at:?}");
    }
}

/// Set in the process that a day is watched in, whose memory is that of the watch
/// alone.
const IN_ITS_OWN: &str = "RBLEAK_TEST_A_DAY";

/// Watches a day; the peak of this process's memory and the most on disk, in bytes.
fn a_day() -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::create(folder.path(), &Default::default()).unwrap();
    let mut state = State::new(settings());
    let mut most = 0;
    for at in 0..86_400 {
        let rows = state.push(at as f64, &cluster(at), &|_| Some(at as f64));
        recorder.write(&rows);
        most = most.max(recorder.bytes());
        // Often enough for its memory to count.
        if at % 3600 == 0 {
            state.judge_all();
        }
    }
    assert_eq!(recorder.finish(), None);
    state.judge_all();
    let leaks = state.rows.iter().filter(|row| {
        let judgement = row.judgement.as_ref();
        judgement.is_some_and(|it| it.verdict == rbleak_trend::Verdict::Leak)
    });
    assert_eq!(leaks.count(), 1);
    let peak = rbleak_process::status::read(Pid::own()).unwrap().peak_rss;
    (peak.expect("it has memory").0, most)
}

#[test]
fn a_day_at_a_second_stays_small() {
    if std::env::var_os(IN_ITS_OWN).is_some() {
        let (memory, disk) = a_day();
        println!("DAY memory {memory} disk {disk}");
        return;
    }
    let name = "watch::tests::a_day_at_a_second_stays_small";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(IN_ITS_OWN, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<u64> = text
        .lines()
        .find_map(|line| line.split_once("DAY ").map(|(_, figures)| figures))
        .unwrap_or_default()
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [memory, disk] = figures[..] else {
        panic!("no figures: {text}");
    };
    println!("24 h at 1 s, four processes: memory {memory}, disk {disk} bytes");
    assert!(memory < 50_000_000 && disk < 50_000_000, "{memory} {disk}");
}

#[test]
fn what_came_since_the_last_walk_counts() {
    let mut state = State::new(Settings::default());
    let walked = rbleak_process::smaps_rollup::MemoryRollup {
        pss: Bytes(40_000_000),
        ..rbleak_process::smaps_rollup::MemoryRollup::default()
    };
    for (at, bytes) in [(0_u8, 60e6), (1, 75e6), (2, 10e6)] {
        let mut process = seen(5, "app", 9.0, bytes);
        process.walked = (at == 0).then_some(walked);
        let moment = Moment {
            processes: vec![process],
            ..Moment::default()
        };
        state.push(f64::from(at), &moment, &|_| None);
        let total = [40_000_000, 55_000_000, 0][usize::from(at)];
        assert_eq!(state.total(), Bytes(total));
    }
}
