//! What a guard does: the deeds of its duty, and what their doers answer.

use super::{Guard, Open, shown};
use crate::guard::{
    Deed, Facts, Hook, Job, Kept, Order, Outcome, Seen, Told, Uploaded, Uploader, Went, Why, level,
    places, sentence, status_word, trigger,
};
use crate::run::{Status, TriggerFacts};
use jiff::ZonedDateTime;
use rbleak_capture::{NoRoom, Room};
use rbleak_process::{Pid, maps, ruby};
use rbleak_report::{Value, json};
use rbleak_units::Bytes;
use std::path::PathBuf;

/// A control group's figures may be so many seconds old: for so long after a
/// dump they count the copy that wrote it.
const ECHO: f64 = 2.5;
/// What was no Ruby may have become one by then, in seconds.
const LOOK_AGAIN: f64 = 10.0;

impl Guard<'_> {
    /// What the duty is to decide upon.
    fn seen(&mut self) -> Seen {
        let now = self.now();
        let mut rubies = std::mem::take(&mut self.rubies);
        let every = self.args.every.as_secs_f64();
        let places = places(&self.state, every, &mut |pid| {
            let known = rubies.get(&pid).copied();
            let known = known.filter(|(is_ruby, at)| *is_ruby || now - at < LOOK_AGAIN);
            let look = || maps::read(pid).is_ok_and(|mappings| ruby::is_ruby(&mappings));
            let (is_ruby, at) = known.unwrap_or_else(|| (look(), now));
            rubies.insert(pid, (is_ruby, at));
            is_ruby
        });
        rubies.retain(|pid, _| places.iter().any(|place| place.pid == *pid));
        self.rubies = rubies;
        let is_echo = self.is_echo(now);
        let subject = self.duty.subject().filter(|_| !self.is_copying);
        let spare = subject.and_then(|pid| self.room(pid).spare());
        Seen {
            now,
            places,
            level: level(&self.state, self.args.at).filter(|_| !is_echo),
            spare,
        }
    }

    /// Whether the copy that writes a dump is there, or may still be counted.
    pub(super) fn is_echo(&self, now: f64) -> bool {
        self.is_copying || now - self.copied_at < ECHO
    }

    fn has_copied(&mut self) {
        if std::mem::take(&mut self.is_copying) {
            self.copied_at = self.now();
        }
    }

    /// What a copy may take, and what is free: below `--limit`, too.
    fn room(&self, pid: Pid) -> Room {
        let room = Room::of(pid);
        match self.args.limit {
            Some(limit) => {
                let used = self.state.total();
                room.at_most(Bytes(limit.0.saturating_sub(used.0)))
            }
            None => room,
        }
    }

    /// Does what is due.
    pub(super) fn act(&mut self) {
        loop {
            let seen = self.seen();
            let Some(deed) = self.duty.turn(&seen) else {
                break;
            };
            match deed {
                Deed::Open { pid, name, why } => self.begin_set(pid, name, why),
                Deed::Dump { label } => self.dump(label),
                Deed::Close(outcome) => self.close(outcome),
            }
        }
    }

    fn begin_set(&mut self, pid: Pid, name: String, why: Why) {
        let text = sentence(&why, &name);
        let key = trigger(&why);
        let is_known =
            matches!(&self.refused, Some((known, kind, _)) if (*known, *kind) == (pid, key));
        if !is_known {
            self.triggers += 1;
            let said = format!("{text}: dumps of {name} ({pid}) are taken");
            self.tell(key, &said, json!({"process": name, "pid": pid.0}));
            self.refused = None;
        }
        let folder = self.folder.for_set(&ZonedDateTime::now(), &name, pid.0);
        self.open = Some(Open {
            pid,
            name,
            why,
            is_begun: false,
        });
        match self.room(pid).check() {
            Err(no_room) => self.has_no_room(&no_room),
            Ok(()) => self.taker.order(Order::Open {
                pid,
                folder,
                trigger: TriggerFacts {
                    kind: key.to_owned(),
                    text,
                },
            }),
        }
    }

    fn dump(&mut self, label: &'static str) {
        let Some(open) = &self.open else {
            return;
        };
        match self.room(open.pid).check() {
            Err(no_room) => self.has_no_room(&no_room),
            Ok(()) => {
                self.copy = Some((open.pid, self.now()));
                self.is_copying = true;
                self.taker.order(Order::Dump { label });
            }
        }
    }

    fn close(&mut self, outcome: Outcome) {
        let (status, error) = match outcome {
            Outcome::Whole => (Status::Complete, None),
            Outcome::CutShort => (Status::Interrupted, None),
            Outcome::Failed(sentence) => (Status::Failed, Some(sentence)),
        };
        self.closing.extend(self.open.take());
        self.taker.order(Order::Close { status, error });
    }

    fn has_no_room(&mut self, no_room: &NoRoom) {
        let text = format!("no dump now: {no_room}; it is tried again");
        let data = json!({
            "pid": no_room.pid.0, "need_bytes": no_room.need.0, "free_bytes": no_room.free.0,
        });
        // Figures change with each try.
        self.is_refused(
            "refused",
            &no_room.place.to_string(),
            &text,
            data,
            Went::NoRoom,
        );
    }

    fn has_failed(&mut self, sentence: String) {
        let text = format!("no dump now: {sentence}");
        let went = Went::Failed(sentence.clone());
        self.is_refused("failed", &sentence, &text, json!({}), went);
    }

    /// Tells it, if that was not told before, and lets the duty know.
    fn is_refused(&mut self, event: &str, why: &str, text: &str, data: Value, went: Went) {
        self.has_copied();
        if let Some(open) = &self.open {
            let refused = (open.pid, trigger(&open.why), why.to_owned());
            if !open.is_begun {
                self.open = None;
            }
            if self.refused.as_ref() != Some(&refused) {
                self.refused = Some(refused);
                self.tell(event, text, data);
            }
        }
        self.duty.went(self.now(), went);
    }

    /// What was done meanwhile, by all who do something.
    pub(super) fn hear(&mut self) {
        while let Some(told) = self.taker.told() {
            self.answer(told);
            self.act();
        }
        while let Some(told) = self.uploader.as_ref().and_then(Uploader::told) {
            match told {
                Uploaded::Uploaded { folder, to } => {
                    let text = format!("{} is uploaded to {to}", folder.display());
                    let set = self.sets.iter_mut().rev();
                    let mut set = set.filter(|set| set.folder.as_ref() == Some(&folder));
                    if let Some(set) = set.next() {
                        set.uploaded = Some(to.clone());
                    }
                    self.tell(
                        "uploaded",
                        &text,
                        json!({"folder": shown(&folder), "to": to}),
                    );
                }
                Uploaded::Failed { path, sentence } => {
                    let text = format!("{sentence}; the files stay here, and it is tried again");
                    self.tell("upload_failed", &text, json!({"path": shown(&path)}));
                }
                Uploaded::Gone { path } => {
                    let text = format!("{} was removed before it was uploaded", path.display());
                    self.tell("upload_failed", &text, json!({"path": shown(&path)}));
                }
            }
        }
        while let Some(ended) = self.hook.as_mut().and_then(Hook::turn) {
            let text = match &ended.failure {
                None => "the command of --exec ended well".to_owned(),
                Some(failure) => failure.clone(),
            };
            let data =
                json!({"folder": shown(&ended.folder), "is_success": ended.failure.is_none()});
            self.tell("exec", &text, data);
        }
    }

    fn answer(&mut self, told: Told) {
        match told {
            Told::Opened { via } => {
                self.refused = None;
                if let Some(open) = &mut self.open {
                    open.is_begun = true;
                    let how = match via {
                        "agent" => "by its agent",
                        _ => "by injection",
                    };
                    let tracing = match self.args.trace {
                        Some(_) => ", and its allocations are traced",
                        None => "",
                    };
                    let text = format!("{} ({}) is reached {how}{tracing}", open.name, open.pid);
                    let data = json!({"pid": open.pid.0, "via": via});
                    self.tell("set_begun", &text, data);
                }
                self.duty.went(self.now(), Went::Well);
            }
            Told::Dumped {
                label,
                folder,
                bytes,
                pause_us,
            } => {
                self.refused = None;
                self.has_copied();
                let text = format!(
                    "dump {label} is taken: {}, the process stood still for {:.1} ms",
                    Bytes(bytes),
                    pause_us as f64 / 1e3
                );
                let data = json!({
                    "dump": label, "folder": shown(&folder), "file_bytes": bytes, "pause_us": pause_us,
                });
                self.tell("dumped", &text, data);
                if let Some(uploader) = &self.uploader {
                    uploader.push(Job::Set(folder));
                }
                self.duty.went(self.now(), Went::Well);
            }
            Told::NoRoom(no_room) => self.has_no_room(&no_room),
            Told::Failed(sentence) => self.has_failed(sentence),
            Told::Closed {
                folder,
                dumps,
                status,
                trouble,
            } => {
                let Some(open) = self.closing.pop_front() else {
                    return;
                };
                self.closed(open, folder, dumps, status, trouble);
            }
        }
    }

    fn closed(
        &mut self,
        open: Open,
        folder: Option<PathBuf>,
        dumps: usize,
        status: Status,
        trouble: Option<String>,
    ) {
        let word = status_word(status);
        let text = match &folder {
            None => format!("the set of {} ({}) has no dump", open.name, open.pid),
            Some(folder) => {
                let end = match status {
                    Status::Complete => format!("; next: rbleak diff {}", folder.display()),
                    _ => format!(" and is {word}: {}", folder.display()),
                };
                let count = match dumps {
                    1 => "1 dump".to_owned(),
                    n => format!("{n} dumps"),
                };
                format!("the set of {} ({}) has {count}{end}", open.name, open.pid)
            }
        };
        let data = json!({
            "pid": open.pid.0,
            "dumps": dumps,
            "status": word,
            "folder": folder.as_deref().map(shown),
        });
        self.tell("set_ended", &text, data);
        if let Some(trouble) = trouble {
            self.tell("failed", &trouble, json!({}));
        }
        if let Some(folder) = &folder {
            if let Some(uploader) = &self.uploader {
                uploader.push(Job::Set(folder.clone()));
            }
            if let Some(hook) = &mut self.hook {
                hook.push(Facts {
                    folder: std::path::absolute(folder).unwrap_or_else(|_| folder.clone()),
                    pid: open.pid.0,
                    process: open.name.clone(),
                    trigger: trigger(&open.why),
                    why: sentence(&open.why, &open.name),
                    dumps,
                    status: word,
                });
            }
        }
        self.sets.push(Kept {
            process: open.name,
            pid: open.pid.0,
            why: open.why,
            dumps,
            status,
            folder,
            uploaded: None,
            is_removed: false,
        });
        self.prune();
    }

    /// Removes the sets that are too many.
    fn prune(&mut self) {
        for removed in self.folder.prune(usize::from(self.args.keep)) {
            match removed {
                Ok(path) => {
                    let of = |set: &&mut Kept| set.folder.as_ref() == Some(&path);
                    if let Some(set) = self.sets.iter_mut().find(of) {
                        set.is_removed = true;
                    }
                    let text = format!("{} is removed for newer ones", path.display());
                    self.tell("removed", &text, json!({"folder": shown(&path)}));
                }
                Err(error) => self.tell("failed", &crate::sentence(&error), json!({})),
            }
        }
    }
}
