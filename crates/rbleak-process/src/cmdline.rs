//! How a process calls itself: `/proc/PID/cmdline`, see proc_pid_cmdline(5).
//! Ruby's `$0 =` and `Process.setproctitle` write over it.

use crate::{Pid, ProcessError, procfs};

/// The words with which it was started, or what it has written over them; empty
/// for zombies and threads of the kernel.
///
/// # Errors
/// See [`ProcessError`].
pub fn read(pid: Pid) -> Result<Vec<String>, ProcessError> {
    Ok(parse(&procfs::text(pid, "cmdline")?))
}

/// The words in the text of `/proc/PID/cmdline`.
pub fn parse(text: &str) -> Vec<String> {
    // A title that is written over the words leaves zeros behind it.
    let text = text.trim_end_matches('\0');
    if text.is_empty() {
        return Vec::new();
    }
    text.split('\0').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_with_zeros_and_a_title_with_many() {
        assert_eq!(parse("ruby\0-e\0\0sleep\0"), ["ruby", "-e", "", "sleep"]);
        assert_eq!(
            parse("puma: cluster worker 0: 12 [app]\0\0\0"),
            ["puma: cluster worker 0: 12 [app]"]
        );
        assert!(parse("").is_empty());
    }
}
