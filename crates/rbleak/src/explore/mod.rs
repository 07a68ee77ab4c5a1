//! A heap in the terminal.
//!
//! [`model`] answers questions about the heap, [`state`] says what a key does,
//! [`view`] draws a state, [`terminal`] has the screen, the keys and the
//! signals. Only the last knows a terminal; the state is a value that tests
//! press keys on.

mod args;
mod list;
mod model;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod tree;
mod view;

pub(crate) use args::ExploreArgs;
pub(crate) use model::Model;
pub(crate) use state::App;
pub(crate) use terminal::{is_terminal, run};
pub(crate) use view::Look;
