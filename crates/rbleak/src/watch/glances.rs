//! Asks the agents for live slots and malloc's figures, in a thread of its own:
//! a full collection may take seconds, and samples are not to wait for it.

use super::budget::Budget;
use rbleak_capture::{Glance, Glances};
use rbleak_process::Pid;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Of an app's time, for the collections that are asked for.
const COLLECTIONS: f64 = 0.0025;
/// The first ones pay for caches of the interpreter's own.
const WARM_UP: u32 = 2;

/// Asks in the background.
pub(crate) struct Asker {
    orders: Sender<Pid>,
    answers: Receiver<(Pid, Option<Glance>, Duration)>,
    /// How often; `None`: as the budget allows.
    every: Option<Duration>,
    asked: HashMap<Pid, Asked>,
    /// One at a time: two collections at once are felt twice.
    is_busy: bool,
}

struct Asked {
    budget: Budget,
    at: f64,
    answers: u32,
}

impl Asker {
    /// Asks those that `glances` reaches.
    pub(crate) fn start(glances: Glances, every: Option<Duration>) -> Asker {
        let (orders, taken) = channel::<Pid>();
        let (told, answers) = channel();
        thread::spawn(move || {
            let mut glances = glances;
            let mut asked = Vec::new();
            while let Ok(Pid(pid)) = taken.recv() {
                let before = Instant::now();
                let answer = glances.ask(pid);
                asked.retain(|other| *other != pid);
                asked.push(pid);
                // Those that ended long ago.
                if asked.len() > 2 * super::rows::MOST_ROWS {
                    asked.remove(0);
                    glances.keep(&asked);
                }
                if told.send((Pid(pid), answer, before.elapsed())).is_err() {
                    break;
                }
            }
        });
        Asker {
            orders,
            answers,
            every,
            asked: HashMap::new(),
            is_busy: false,
        }
    }

    /// What was answered meanwhile; and asks the next one whose turn it is.
    pub(crate) fn turn(&mut self, now: f64, living: &[Pid]) -> Vec<(Pid, Glance)> {
        let mut found = Vec::new();
        while let Ok((pid, glance, took)) = self.answers.try_recv() {
            self.is_busy = false;
            let Some(asked) = self.asked.get_mut(&pid) else {
                continue;
            };
            // Of one that could not answer, the wait counts.
            let cost = glance.map_or(took, |glance| glance.pause);
            asked.budget.spend(cost.as_secs_f64());
            if let Some(glance) = glance {
                asked.answers += 1;
                if asked.answers > WARM_UP {
                    found.push((pid, glance));
                }
            }
        }
        self.asked.retain(|pid, _| living.contains(pid));
        if self.is_busy {
            return found;
        }
        for pid in living {
            self.asked.entry(*pid).or_insert_with(|| Asked {
                budget: Budget::new(COLLECTIONS),
                at: f64::NEG_INFINITY,
                answers: 0,
            });
        }
        let every = self.every.map(|every| every.as_secs_f64());
        let mut due: Vec<(&Pid, &mut Asked)> = self.asked.iter_mut().collect();
        due.retain_mut(|(_, asked)| {
            let is_time = match every {
                Some(every) => now - asked.at >= every,
                None => asked.budget.allows(now),
            };
            is_time || asked.answers < WARM_UP && asked.at < now - 1.0
        });
        let longest = due.iter_mut().min_by(|a, b| a.1.at.total_cmp(&b.1.at));
        if let Some((pid, asked)) = longest
            && self.orders.send(**pid).is_ok()
        {
            asked.at = now;
            self.is_busy = true;
        }
        found
    }
}
