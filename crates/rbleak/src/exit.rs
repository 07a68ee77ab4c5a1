//! The exit codes, the same for every command.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Nothing was found.
    Clean,
    /// Something was found: a leak, growth, a failed check.
    Found,
    /// Wrong use, bad input, or a failure on the way.
    Failure,
    /// It could not be told.
    Inconclusive,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        ExitCode::from(match status {
            ExitStatus::Clean => 0,
            ExitStatus::Found => 1,
            ExitStatus::Failure => 2,
            ExitStatus::Inconclusive => 3,
        })
    }
}
