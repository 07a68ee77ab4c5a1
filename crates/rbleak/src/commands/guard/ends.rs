//! How a guard ends: what can be finished within the grace is, then it answers.

use super::{Guard, TICK};
use crate::exit::ExitStatus;
use crate::files::write_atomically;
use crate::guard::{About, Hook, Job, Uploader, document};
use crate::shell;
use anyhow::Result;
use rbleak_report::{Note, json};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Of the grace, dumps have so much; the rest is for uploads.
const DUMPS_SHARE: f64 = 0.6;

impl Guard<'_> {
    /// Finishes what can be finished, and answers.
    pub(super) fn end(mut self, why: String) -> Result<ExitStatus> {
        let since = Instant::now();
        let grace = self.args.grace;
        self.duty.end();
        let data = json!({"grace_seconds": grace.as_secs_f64()});
        self.tell("ending", &format!("ending: {why}"), data);
        let mut next = since;
        while since.elapsed() < grace {
            if Instant::now() >= next {
                self.moment();
                self.act();
                next = Instant::now() + self.args.sample_every;
            }
            self.hear();
            if self.duty.subject().is_none() && self.open.is_none() && self.closing.is_empty() {
                break;
            }
            if since.elapsed() > grace.mul_f64(DUMPS_SHARE) {
                // What is under way is given up; what was taken is kept.
                self.halt.request();
            }
            std::thread::sleep(TICK);
        }
        if let Some(uploader) = &self.uploader {
            uploader.hurry();
        }
        self.carry_on_until(since + grace);
        let files = self.write_down(why);
        if let Some(uploader) = &self.uploader
            && uploader.left() == 0
        {
            for file in files {
                uploader.push(Job::File(file));
            }
            self.carry_on_until(since + grace);
        }
        let (document, status) = document(&self.sets, std::mem::take(&mut self.about));
        shell::show(
            &document,
            self.args.output.format,
            self.args.output.file.as_deref(),
        )?;
        Ok(status)
    }

    /// Waits for uploads and the command, until a time.
    fn carry_on_until(&mut self, deadline: Instant) {
        loop {
            self.hear();
            let left = self.uploader.as_ref().map_or(0, Uploader::left);
            let is_idle = self.hook.as_ref().is_none_or(Hook::is_idle);
            if left == 0 && is_idle || Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(TICK);
        }
    }

    /// The report as a file, and which files are to be uploaded beside the sets.
    fn write_down(&mut self, why: String) -> Vec<PathBuf> {
        let left = self.uploader.as_ref().map_or(0, Uploader::left);
        let lost = self.recorder.finish();
        let mut notes: Vec<Note> = lost.into_iter().map(Note::warning).collect();
        if left > 0 {
            let text = "not everything could be uploaded within --grace: it is kept here";
            self.tell("upload_failed", text, json!({}));
            notes.push(Note::warning(text));
        }
        if self.hook.as_ref().is_some_and(|hook| !hook.is_idle()) {
            notes.push(Note::warning(
                "the command of --exec did not end within --grace, or did not run",
            ));
        }
        self.about.seconds = self.now();
        self.about.ended = why;
        self.about.triggers = self.triggers;
        self.about.notes = notes;
        let about = About {
            target: self.about.target.clone(),
            ended: self.about.ended.clone(),
            folder: self.about.folder.clone(),
            notes: Vec::new(),
            ..self.about
        };
        let (document, _) = document(&self.sets, about);
        let path = self.folder.path().join("report.json");
        let json = rbleak_report::to_json(&document);
        let written = write_atomically(&path, |out| out.write_all(json.as_bytes()));
        if let Err(error) = written {
            shell::warn(&format!("cannot write {}: {error}", path.display()));
        }
        vec![self.log.path(), self.recorder.path().to_owned(), path]
    }
}
