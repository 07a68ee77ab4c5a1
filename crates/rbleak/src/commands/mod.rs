//! One file a command: it plans, calls the libraries, and turns what they
//! found into a document.

pub(crate) mod agent;
pub(crate) mod audit;
pub(crate) mod capture;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod explore;
pub(crate) mod guard;
pub(crate) mod hunt;
pub(crate) mod man;
mod one;
mod partial;
pub(crate) mod path;
pub(crate) mod report;
pub(crate) mod retained;
pub(crate) mod show;
pub(crate) mod summary;

pub(crate) use one::place;
pub(crate) mod trend;
pub(crate) mod verify;
pub(crate) mod watch;
