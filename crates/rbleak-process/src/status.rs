//! Peak memory, threads and handled signals: `/proc/PID/status`, see
//! proc_pid_status(5).

use rbleak_units::Bytes;

use crate::{MissingField, Pid, ProcessError, procfs};

/// What `/proc/PID/status` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// VmHWM, the highest resident set so far. None for zombies and threads
    /// of the kernel. The kernel counts it in batches per thread: off by up
    /// to some hundred kB.
    pub peak_rss: Option<Bytes>,
    /// VmRSS, the resident set; cheap, and as inexact as the peak.
    pub rss: Option<Bytes>,
    /// RssAnon: the part of it that belongs to no file.
    pub anonymous: Option<Bytes>,
    /// VmSwap: what lies in swap space.
    pub swap: Option<Bytes>,
    /// The number of threads.
    pub threads: u32,
    /// The real user that the process runs as.
    pub user: u32,
    /// The effective user and group: what it makes belongs to them.
    pub owner: (u32, u32),
    /// TracerPid: who traces it, a debugger say.
    pub tracer: Option<Pid>,
    /// SigCgt: the signals that the process handles, signal 1 in bit 0.
    caught_signals: u64,
}

impl Status {
    /// Whether the process has a handler for a signal, so that sending it
    /// will not end the process.
    pub fn catches(&self, signal: u32) -> bool {
        (1..=64).contains(&signal) && self.caught_signals >> (signal - 1) & 1 == 1
    }
}

/// What `/proc/PID/status` says.
///
/// # Errors
/// See [`ProcessError`].
pub fn read(pid: Pid) -> Result<Status, ProcessError> {
    procfs::parsed(pid, "status", parse)
}

/// Reads the text of `/proc/PID/status`.
///
/// # Errors
/// When a line that every process has is missing.
pub fn parse(text: &str) -> Result<Status, MissingField> {
    let first_word = |key| value(text, key).and_then(|v| v.split_ascii_whitespace().next());
    let number = |key| {
        first_word(key)
            .and_then(|word| word.parse().ok())
            .ok_or(MissingField(key))
    };
    Ok(Status {
        peak_rss: kilobytes(text, "VmHWM").ok(),
        rss: kilobytes(text, "VmRSS").ok(),
        anonymous: kilobytes(text, "RssAnon").ok(),
        swap: kilobytes(text, "VmSwap").ok(),
        threads: number("Threads")?,
        user: number("Uid")?,
        owner: (
            nth(text, "Uid", 1).ok_or(MissingField("Uid"))?,
            nth(text, "Gid", 1).unwrap_or_default(),
        ),
        tracer: nth(text, "TracerPid", 0).filter(|pid| *pid != 0).map(Pid),
        caught_signals: first_word("SigCgt")
            .and_then(|mask| u64::from_str_radix(mask, 16).ok())
            .ok_or(MissingField("SigCgt"))?,
    })
}

/// The number at this place behind a key.
fn nth(text: &str, key: &str, place: usize) -> Option<u32> {
    let mut words = value(text, key)?.split_ascii_whitespace();
    words.nth(place)?.parse().ok()
}

/// The value of a line `Key:   1640 kB`.
pub(crate) fn kilobytes(text: &str, key: &'static str) -> Result<Bytes, MissingField> {
    value(text, key)
        .and_then(kilobytes_of)
        .ok_or(MissingField(key))
}

/// The value `   1640 kB`.
pub(crate) fn kilobytes_of(value: &str) -> Option<Bytes> {
    let number = value.trim().strip_suffix(" kB")?.trim_start();
    Some(Bytes(number.parse::<u64>().ok()?.checked_mul(1024)?))
}

/// What stands behind `key:` in the first line that begins so.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &str = "\
Name:\truby
Umask:\t0022
State:\tS (sleeping)
Pid:\t7712
PPid:\t7700
TracerPid:\t99
Uid:\t1000\t1001\t1001\t1001
VmPeak:\t  303244 kB
VmHWM:\t   29184 kB
VmRSS:\t   29180 kB
RssAnon:\t   20000 kB
VmSwap:\t       8 kB
Threads:\t4
SigCgt:\t0000000142017e4f
";

    #[test]
    fn reads_peak_threads_user_and_signals() {
        let status = parse(CAPTURED).unwrap();
        assert_eq!(status.peak_rss, Some(Bytes(29184 * 1024)));
        assert_eq!(status.rss, Some(Bytes(29180 * 1024)));
        assert_eq!(status.anonymous, Some(Bytes(20000 * 1024)));
        assert_eq!(status.swap, Some(Bytes(8 * 1024)));
        assert_eq!((status.threads, status.user), (4, 1000));
        assert_eq!(status.owner, (1001, 0));
        assert_eq!(status.tracer, Some(Pid(99)));
        assert!(status.catches(2), "SIGINT");
        assert!(!status.catches(9), "SIGKILL");
        assert!(!status.catches(18), "SIGCONT");
        assert!(!status.catches(0) && !status.catches(65));
    }

    #[test]
    fn a_zombie_has_no_memory_but_a_status() {
        let zombie: String = CAPTURED
            .lines()
            .filter(|line| !line.starts_with("Vm"))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_eq!(parse(&zombie).unwrap().peak_rss, None);
    }

    #[test]
    fn what_every_process_has_must_be_there() {
        assert_eq!(parse(""), Err(MissingField("Threads")));
        assert_eq!(
            parse("Threads: 1\nUid: 0 0 0 0\n"),
            Err(MissingField("SigCgt"))
        );
    }

    #[test]
    fn the_own_process_has_a_peak() {
        let status = read(Pid::own()).unwrap();
        assert!(status.threads >= 1);
        assert!(status.peak_rss > Some(Bytes(0)));
    }
}
