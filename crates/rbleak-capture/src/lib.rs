//! The agent inside a Ruby process, its protocol, and the drivers that
//! exercise an app.
//!
//! [`App::boot`] starts an app as a [`Launch`] describes it: inside a Ruby
//! that rbleak starts (Rack's mock requests, or a piece of code), or as the
//! user's own server command, driven over HTTP. A booted [`App`] can be given
//! load, asked for a [`Sample`] right after a full garbage collection or for
//! the sizes of its named [`Container`]s, and told to write heap dumps and the
//! names that go with them.
//!
//! [`Watched`] is a command that is left alone: it is started with the agent in
//! it, and its Rubies are asked for a [`Glance`] now and then.
//!
//! [`Session`] speaks to the agent in a process that rbleak did not start, and
//! takes dumps of a forked copy. The agent is there because `RUBYOPT` loads one
//! that is [`Installed`], or it is a [`Guest`].
//!
//! What is kept of a hunt is a run's folder: [`manifest`] says what stands in
//! its `manifest.json`, and [`RecordedRun`] finds its dumps again.
//!
//! This crate moves bytes and counts. It does not know what a dump says, nor
//! what makes a series of samples a leak. It never prints and reads neither
//! the environment (the caller passes it in [`Launch`]) nor any
//! clock but the monotonic one.

#![forbid(unsafe_code)]

mod agent;
mod app;
mod boot;
mod census;
mod child;
mod connection;
mod copying;
mod error;
mod guest;
mod headroom;
mod http;
mod installed;
mod interrupt;
mod launch;
mod live;
pub mod manifest;
mod private_directory;
pub mod protocol;
mod recorded;
mod redact;
mod thread_caches;
mod watched;

pub use agent::{About, DumpMethod, DumpTaken, Glance, Sample};
pub use app::{App, Load};
pub use census::Container;
pub use error::CaptureError;
pub use guest::{Guest, NoPlace, remove_left_guests};
pub use headroom::{NoRoom, Place, Room, check as check_headroom, need as need_of_copy};
pub use installed::{InstallError, Installed};
pub use interrupt::Interrupt;
pub use launch::{Launch, Mode, Request};
pub use live::{CopyTaken, LiveError, Session, Speaker, remove_stale_sockets};
pub use recorded::{RecordedDump, RecordedRun, RunError};
pub use redact::Redactor;
pub use watched::{Glances, Watched};
