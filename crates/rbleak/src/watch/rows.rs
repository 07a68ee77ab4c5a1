//! Which process is which: names from titles, and whose place a new process
//! takes. Pure.

use rbleak_process::Pid;
use std::collections::HashMap;

/// A process has found its title by then: servers fork first and name
/// themselves later.
pub(super) const SETTLES: f64 = 2.0;
/// Rows at most: each may come to a megabyte of samples.
pub(crate) const MOST_ROWS: usize = 32;
const LONGEST_NAME: usize = 40;

/// What a process calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    /// Short, such as `worker 0` or `puma`.
    pub(crate) name: String,
    /// It has a number that goes on over restarts.
    pub(crate) is_numbered: bool,
}

impl Title {
    /// From the words of its command line and the name of its program.
    pub(crate) fn of(words: &[String], program: &str) -> Title {
        let line = words.join(" ");
        let number = number_behind(&line, "cluster worker ") // Puma
            .or_else(|| number_behind(&line, "worker[")); // Unicorn, Pitchfork
        if let Some(number) = number {
            return Title {
                name: format!("worker {number}"),
                is_numbered: true,
            };
        }
        Title {
            name: shortened(&plain_name(words, program)),
            is_numbered: false,
        }
    }
}

fn number_behind(line: &str, mark: &str) -> Option<u32> {
    let rest = &line[line.find(mark)? + mark.len()..];
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// The script of an interpreter, the first word of a title, or the program.
fn plain_name(words: &[String], program: &str) -> String {
    let Some(first) = words.first() else {
        return program.to_owned();
    };
    // A title is one word with blanks in it: `puma 5.6.5 (tcp://…) [app]`.
    let first = first.split_whitespace().next().unwrap_or(program);
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let name = base(first).trim_end_matches(':').to_owned();
    if name.starts_with("ruby") || name == "bundle" {
        let script = words.iter().skip(1).find(|word| !word.starts_with('-'));
        let is_code = words.iter().skip(1).any(|word| word == "-e");
        if let Some(script) = script.filter(|word| !is_code && *word != "exec") {
            return base(script);
        }
    }
    name
}

fn shortened(name: &str) -> String {
    let name: String = name.chars().take(LONGEST_NAME).collect();
    match name.trim() {
        "" => "process".to_owned(),
        name => name.to_owned(),
    }
}

/// A process that is to be placed.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) pid: Pid,
    pub(crate) parent: Pid,
    pub(crate) title: Title,
    /// Seconds since it was started.
    pub(crate) age: f64,
}

/// Where a process belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It may still find a title, or end before anybody cares.
    NotYet,
    /// A row of its own, the next one.
    New,
    /// It takes the place of one that has ended in this row.
    Row(usize),
    /// There are too many.
    None,
}

/// The rows there are, and who is in them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    rows: Vec<Row>,
    by_pid: HashMap<Pid, usize>,
}

#[derive(Clone, Debug)]
struct Row {
    /// The title of those in it, and where their parent was.
    title: Title,
    below: Option<usize>,
    /// The name that tells it from others.
    name: String,
    alive: Option<Pid>,
    /// Counts up with each end, to fill the longest empty place first.
    ended: u64,
}

impl Places {
    /// The row of a process that has one.
    pub(crate) fn row(&self, pid: Pid) -> Option<usize> {
        self.by_pid.get(&pid).copied()
    }

    /// The name of a row.
    pub(crate) fn name(&self, row: usize) -> &str {
        &self.rows[row].name
    }

    /// Finds a place for a process that has none, and gives it.
    pub(crate) fn place(&mut self, candidate: &Candidate) -> Place {
        let title = &candidate.title;
        if !title.is_numbered && candidate.age < SETTLES {
            return Place::NotYet;
        }
        let below = self.row(candidate.parent);
        // A parent that is young itself has no row yet.
        let is_below = |row: &Row| row.below == below || row.below.is_none() || below.is_none();
        let is_like = |row: &Row| row.alive.is_none() && is_below(row) && row.title == *title;
        let free = (0..self.rows.len())
            .filter(|&index| is_like(&self.rows[index]))
            .min_by_key(|&index| self.rows[index].ended);
        let place = match free {
            Some(index) => Place::Row(index),
            None if self.rows.len() < MOST_ROWS => Place::New,
            None => return Place::None,
        };
        let index = free.unwrap_or_else(|| {
            self.rows.push(Row {
                title: title.clone(),
                below,
                name: self.unused_name(&title.name),
                alive: None,
                ended: 0,
            });
            self.rows.len() - 1
        });
        self.rows[index].alive = Some(candidate.pid);
        self.by_pid.insert(candidate.pid, index);
        place
    }

    /// A process has ended; its row, if it had one.
    pub(crate) fn end(&mut self, pid: Pid) -> Option<usize> {
        let index = self.by_pid.remove(&pid)?;
        let ended = self.rows.iter().map(|row| row.ended).max().unwrap_or(0) + 1;
        let row = &mut self.rows[index];
        row.alive = None;
        row.ended = ended;
        Some(index)
    }

    fn unused_name(&self, name: &str) -> String {
        let is_used = |name: &str| self.rows.iter().any(|row| row.name == name);
        if !is_used(name) {
            return name.to_owned();
        }
        let numbered = (2..).map(|number| format!("{name} ({number})"));
        let mut unused = numbered.filter(|name| !is_used(name));
        unused.next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(line: &str) -> Title {
        let words: Vec<String> = line.split('\0').map(str::to_owned).collect();
        Title::of(&words, "ruby3.1")
    }

    #[test]
    fn titles_of_servers_and_scripts() {
        for (line, name, is_numbered) in [
            ("puma: cluster worker 2: 7700 [shop]", "worker 2", true),
            ("unicorn worker[11] -c config/unicorn.rb", "worker 11", true),
            ("puma 5.6.5 (tcp://0.0.0.0:9292) [shop]", "puma", false),
            ("sidekiq 6.5.1 shop [0 of 5 busy]", "sidekiq", false),
            ("/usr/bin/ruby3.1\0bin/jobs.rb\0-v", "jobs.rb", false),
            ("ruby\0-e\0loop { x }", "ruby", false),
            ("/bin/sleep\x0060", "sleep", false),
            ("", "ruby3.1", false),
        ] {
            let title = title(line);
            assert_eq!(
                (title.name.as_str(), title.is_numbered),
                (name, is_numbered),
                "{line}"
            );
        }
        assert_eq!(Title::of(&[], "kthread").name, "kthread");
    }

    fn candidate(pid: u32, parent: u32, line: &str, age: f64) -> Candidate {
        Candidate {
            pid: Pid(pid),
            parent: Pid(parent),
            title: title(line),
            age,
        }
    }

    #[test]
    fn a_numbered_worker_goes_on_in_its_row() {
        let mut places = Places::default();
        assert_eq!(places.place(&candidate(1, 0, "puma 5", 9.0)), Place::New);
        for (pid, line) in [(10, "cluster worker 0"), (11, "cluster worker 1")] {
            assert_eq!(places.place(&candidate(pid, 1, line, 0.1)), Place::New);
        }
        assert_eq!(
            (places.end(Pid(10)), places.end(Pid(11))),
            (Some(1), Some(2))
        );
        let next = candidate(12, 1, "cluster worker 1", 0.1);
        assert_eq!(places.place(&next), Place::Row(2));
        assert_eq!(places.name(2), "worker 1");
        assert_eq!(places.end(Pid(99)), None);
    }

    #[test]
    fn others_fill_the_place_that_was_empty_longest() {
        let mut places = Places::default();
        places.place(&candidate(1, 0, "ruby\0app.rb", 9.0));
        let mut place = |pid, age| places.place(&candidate(pid, 1, "ruby\0job.rb", age));
        assert_eq!(place(2, 0.5), Place::NotYet);
        assert_eq!((place(2, 2.0), place(3, 2.0)), (Place::New, Place::New));
        assert_eq!(places.name(2), "job.rb (2)");
        places.end(Pid(3));
        places.end(Pid(2));
        // Another parent, another row.
        places.place(&candidate(4, 0, "sh", 9.0));
        assert_eq!(
            places.place(&candidate(5, 4, "ruby\0job.rb", 3.0)),
            Place::New
        );
        assert_eq!(
            places.place(&candidate(6, 1, "ruby\0job.rb", 3.0)),
            Place::Row(2)
        );
    }

    #[test]
    fn there_is_an_end_to_rows() {
        let mut places = Places::default();
        for pid in 0..MOST_ROWS as u32 {
            assert_eq!(places.place(&candidate(pid, 0, "x", 3.0)), Place::New);
        }
        assert_eq!(places.place(&candidate(999, 0, "x", 3.0)), Place::None);
    }
}
