//! Newtypes for the quantities that rbleak speaks of, with the way they are
//! shown to people.
//!
//! One noun per concept: a number of bytes is [`Bytes`], never a bare `u64`
//! next to a count of objects. This crate knows no domain: neither dumps nor
//! processes nor reports. Text uses decimal units (kB = 1,000 bytes, as in
//! the SI) and groups digits by a space; machine-readable outputs take the
//! integer inside.

mod address;
mod quantity;
mod rate;

pub use address::{Address, ParseAddressError};
pub use quantity::{Bytes, Objects, SignedBytes, grouped};
pub use rate::Interval;
