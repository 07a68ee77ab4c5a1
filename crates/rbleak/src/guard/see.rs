//! From what a watch has seen to what a guard decides upon. Pure.

use super::args::At;
use super::duty::{Level, Place};
use crate::watch::{Ending, Moment, Row, State};
use rbleak_capture::need_of_copy;
use rbleak_process::Pid;
use rbleak_trend::{Sample, Verdict};
use rbleak_units::Bytes;

/// Seconds that a process has to have been seen for, before its row's leak is
/// its own: what it takes to boot is no leak.
const WARM: f64 = 60.0;

/// The living processes. `every` is the time between two dumps: who wants them
/// near to one another does not wait a minute either.
pub(crate) fn places(
    state: &State,
    every: f64,
    is_ruby: &mut dyn FnMut(Pid) -> bool,
) -> Vec<Place> {
    let mut places = Vec::new();
    for row in &state.rows {
        let Some(pid) = row.alive else { continue };
        let (since, first, last) = life(row, pid);
        let is_warm = state.now - since >= WARM.min(every);
        places.push(Place {
            name: row.name.clone(),
            pid,
            is_ruby: is_ruby(pid),
            leaks: leak(row).filter(|_| is_warm),
            grown: last - first,
            held: row.held(),
        });
    }
    places
}

/// Bytes per second, of a leak that is sure.
fn leak(row: &Row) -> Option<f64> {
    if row.steady() != Some(Verdict::Leak) {
        return None;
    }
    let rate = row.judgement.as_ref()?.footprint_rate;
    Some(rate.map_or(0.0, |rate| rate.per_hour.estimate / 3600.0))
}

/// Since when the process was seen, and what it held then and now.
fn life(row: &Row, pid: Pid) -> (f64, f64, f64) {
    let own = |sample: &&Sample| sample.life == Some(u64::from(pid.0));
    let held = |sample: &Sample| {
        let bytes = sample.anonymous.or(sample.rss).unwrap_or_default();
        bytes.0 as f64
    };
    let first = row.series.lives().flatten().find(own);
    match first {
        Some(first) => (first.at, held(first), held(&row.latest)),
        None => (f64::INFINITY, 0.0, 0.0),
    }
}

/// How much is in use, and how much is too much: a share of the limit, or a
/// size, which where there is no limit the processes are compared with.
pub(crate) fn level(state: &State, at: At) -> Option<Level> {
    let ending = state.ending();
    match at {
        At::Never => None,
        At::Percent(percent) => ending.map(|ending| Level {
            used: ending.used,
            at: share(ending.limit, percent),
        }),
        At::Size(at) => Some(Level {
            used: ending.map_or_else(|| state.total(), |ending| ending.used),
            at,
        }),
    }
}

fn share(limit: Bytes, percent: f64) -> Bytes {
    Bytes((limit.0 as f64 * percent / 100.0) as u64)
}

/// Whether at that level there would be no room for a copy of the process that
/// holds most: in a sentence.
pub(crate) fn too_late(state: &State, at: At) -> Option<String> {
    let Ending { limit, .. } = state.ending()?;
    let level = match at {
        At::Never => return None,
        At::Percent(percent) => share(limit, percent),
        At::Size(size) => size,
    };
    let living = state.rows.iter().filter(|row| row.alive.is_some());
    let most = living.max_by_key(|row| row.latest.anonymous)?;
    let need = need_of_copy(most.latest.anonymous?);
    let free = Bytes(limit.0.saturating_sub(level.0));
    (need > free).then(|| {
        format!(
            "--at is too late for {}: a copy of it may take {need} beside it, and at {level} of \
             {limit} only {free} are left; lower --at, or raise the limit",
            most.name
        )
    })
}

/// Leaves out the copy that writes a dump of a process: it was born `seconds`
/// ago at most, and shares the process's pages, which are halves meanwhile.
pub(crate) fn without_copy(moment: &mut Moment, of: Pid, seconds: f64) {
    moment
        .processes
        .retain(|seen| seen.parent != of || seen.age > seconds);
    for seen in &mut moment.processes {
        if seen.pid == of {
            (seen.walked, seen.kinds) = (None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Seen, Settings, Title};

    fn process(pid: u32, parent: u32, age: f64, anonymous: u64) -> Seen {
        Seen {
            pid: Pid(pid),
            parent: Pid(parent),
            title: Title {
                name: format!("job {pid}"),
                is_numbered: true,
            },
            age,
            rss: Bytes(anonymous + 5),
            anonymous: Some(Bytes(anonymous)),
            walked: None,
            kinds: None,
        }
    }

    fn state(limit: Option<u64>, moments: &[(f64, Vec<Seen>)]) -> State {
        let mut state = State::new(Settings {
            every: 1.0,
            limit: limit.map(Bytes),
        });
        for (now, processes) in moments {
            let moment = Moment {
                processes: processes.clone(),
                ..Moment::default()
            };
            state.push(*now, &moment, &|_| None);
        }
        state
    }

    #[test]
    fn growth_is_that_of_the_life_there_is_now() {
        let state = state(
            None,
            &[
                (0.0, vec![process(1, 0, 9.0, 500)]),
                (1.0, vec![process(1, 0, 9.0, 700)]),
            ],
        );
        let places = places(&state, 60.0, &mut |_| true);
        assert_eq!(places.len(), 1);
        assert_eq!((places[0].grown, places[0].held), (200.0, Bytes(700)));
        assert_eq!(places[0].leaks, None);
    }

    #[test]
    fn the_level_is_of_the_limit_or_of_all_processes() {
        let moments = [(0.0, vec![process(1, 0, 9.0, 500), process(2, 1, 9.0, 100)])];
        let limited = state(Some(1000), &moments);
        let found = level(&limited, At::Percent(80.0)).map(|it| (it.used.0, it.at.0));
        assert_eq!(found, Some((600, 800)));
        let free = state(None, &moments);
        assert_eq!(level(&free, At::Percent(80.0)), None);
        let found = level(&free, At::Size(Bytes(7))).map(|it| (it.used.0, it.at.0));
        assert_eq!(found, Some((600, 7)));
        assert_eq!(level(&limited, At::Never), None);
    }

    #[test]
    fn a_level_without_room_for_a_copy_is_told() {
        let mb = |mb: u64| mb << 20;
        let state = state(Some(mb(500)), &[(0.0, vec![process(1, 0, 9.0, mb(200))])]);
        let said = too_late(&state, At::Percent(80.0)).unwrap();
        assert!(said.contains("job 1") && said.contains("105 MB"), "{said}");
        assert_eq!(too_late(&state, At::Percent(30.0)), None);
        assert_eq!(too_late(&state, At::Never), None);
    }

    #[test]
    fn the_copy_that_writes_a_dump_is_no_process_of_the_app() {
        let mut moment = Moment {
            processes: vec![
                process(1, 0, 99.0, 5),
                process(2, 1, 0.5, 5),
                process(3, 1, 50.0, 5),
            ],
            ..Moment::default()
        };
        without_copy(&mut moment, Pid(1), 2.0);
        let left: Vec<u32> = moment.processes.iter().map(|seen| seen.pid.0).collect();
        assert_eq!(left, [1, 3]);
    }
}
