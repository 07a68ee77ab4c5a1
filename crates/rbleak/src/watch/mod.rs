//! Memory over time, of a process and all below it.
//!
//! [`sample`] asks the operating system, [`glances`] the agent and
//! [`requests`] whoever counts requests. [`state`] puts it into rows, lives
//! and verdicts; it is pure and is told what time it is. [`record`] writes it
//! down, [`view`], [`plain`], [`prometheus`] and [`mod@document`] show it, and
//! [`terminal`] alone has the screen and the keys.

mod args;
mod budget;
mod document;
mod glances;
mod plain;
mod prometheus;
mod record;
mod requests;
mod rows;
mod sample;
mod state;
mod target;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use args::{WatchArgs, duration, every};
pub(crate) use document::{About, document};
pub(crate) use glances::Asker;
pub(crate) use plain::Lines;
pub(crate) use prometheus::Served;
pub(crate) use record::Recorder;
pub(crate) use requests::{Requests, Source};
#[cfg(test)]
pub(crate) use rows::Title;
#[cfg(test)]
pub(crate) use sample::Seen;
pub(crate) use sample::{Moment, Sampler};
pub(crate) use state::{Ending, Row, Settings, State};
pub(crate) use target::{check, name_of, notes};
pub(crate) use terminal::{Screen, Wish, is_terminal};
