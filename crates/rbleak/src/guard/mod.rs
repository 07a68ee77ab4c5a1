//! Watches a process tree, and captures the right process of it when it leaks
//! or memory gets short.
//!
//! [`duty`] decides what is to be done and is pure, [`see`] makes what it
//! decides upon out of a watch's state. [`taking`] takes dumps, [`upload`] and
//! [`hook`] carry them on, each at its own pace; [`keep`] has the folders,
//! [`log`] the events, [`mod@find`] finds a process by its name, and
//! [`mod@document`] words the answer.

mod args;
mod document;
mod duty;
#[cfg(test)]
mod duty_tests;
mod find;
mod hook;
mod keep;
mod log;
#[cfg(test)]
mod manifests;
mod pace;
mod see;
mod taking;
mod upload;

pub(crate) use args::{At, GuardArgs};
pub(crate) use document::{About, Kept, document, sentence, status_word, trigger};
pub(crate) use duty::{Deed, Duty, Outcome, Seen, Terms, Went, Why};
pub(crate) use find::find;
pub(crate) use hook::{Facts, Hook};
pub(crate) use keep::Folder;
pub(crate) use log::Log;
pub(crate) use see::{level, places, too_late, without_copy};
pub(crate) use taking::{Manner, Order, Taker, Told};
pub(crate) use upload::{Job, Store, Told as Uploaded, Uploader};
