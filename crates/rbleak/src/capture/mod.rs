//! Heap dumps of processes that rbleak did not start.
//!
//! [`target`] says which processes are meant and refuses what cannot be
//! captured, [`mod@reach`] brings a session with the agent about, by injection where
//! there is none, or says that its memory is to be read ([`mod@snapshot`], of a copy
//! that [`mod@frozen`] keeps, or of a core file), [`mod@take`] takes the dumps and keeps them, and [`mod@document`]
//! says what was taken and what it cost.

mod args;
mod core_file;
mod document;
mod frozen;
mod inject;
mod reach;
mod snapshot;
mod take;
mod target;

pub(crate) use args::{AgentArgs, CaptureArgs, FreezeArgs, InjectArgs, Via};
pub(crate) use core_file::{CoreFile, take_core};
pub(crate) use document::document;
pub(crate) use frozen::keep;
pub(crate) use inject::help;
pub(crate) use reach::{Reached, reach};
pub(crate) use take::{Options, Schedule, Subject, take};
pub(crate) use target::{Target, choose, one};

use rbleak_capture::{remove_left_guests, remove_stale_sockets};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What an injection has left for so long is of one that was killed.
const LEFT_FOR: Duration = Duration::from_secs(600);

/// Removes what processes and captures that were killed have left.
pub(crate) fn remove_left_overs() {
    remove_stale_sockets(&socket_folders());
    remove_left_guests(SystemTime::now() - LEFT_FOR);
}

/// Where resident agents of this user have their sockets, as `place.rb` of the
/// agent chooses them.
pub(crate) fn socket_folders() -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let bases = runtime.into_iter().chain([PathBuf::from("/tmp")]);
    let names = ["", "-1", "-2", "-3"];
    bases
        .flat_map(|base| names.map(|end| base.join(format!("rbleak-agents-{user}{end}"))))
        .collect()
}
