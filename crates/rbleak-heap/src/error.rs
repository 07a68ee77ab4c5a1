//! The few ways in which reading a dump fails as a whole.
//!
//! A bad line is none of them: see [`crate::Issues`].

use rbleak_units::Bytes;
use std::io;

/// Why a dump could not be read at all. Each message says what happened,
/// where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file does not open.
    #[error("cannot open {name}: {source}; check the path and the permissions")]
    Open {
        /// The file.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A directory was given.
    #[error("{name} is a directory; give the heap dump file inside it")]
    Directory {
        /// The directory.
        name: String,
    },
    /// Not one byte.
    #[error(
        "{name} is empty; was the dump interrupted? Take it again with ObjectSpace.dump_all(output: file), and close the file"
    )]
    Empty {
        /// The file.
        name: String,
    },
    /// No line is a line of a heap dump.
    #[error(
        "{name} is no heap dump: {found}; give a file written by ObjectSpace.dump_all (one JSON object a line, starting with {{\"address\": or {{\"type\":)"
    )]
    NotADump {
        /// The file.
        name: String,
        /// What it looks like instead.
        found: &'static str,
    },
    /// Compressed data that yield nothing.
    #[error(
        "cannot decompress {name}: {source} after {at} bytes of output; the file is damaged, copy or compress it again"
    )]
    Decompress {
        /// The file.
        name: String,
        /// Bytes of output until then.
        at: u64,
        /// What the decompressor said.
        source: io::Error,
    },
    /// The operating system failed to deliver.
    #[error("cannot read {name} at byte {at}: {source}")]
    Read {
        /// The file.
        name: String,
        /// Bytes read until then.
        at: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// It would take more memory than is allowed.
    #[error(
        "{name} needs {}{needed} of memory, and {allowed} are allowed: allow more, or take a machine with more", if *is_least { "more than " } else { "about " }
    )]
    TooLarge {
        /// The file.
        name: String,
        /// At the peak, with the analysis.
        needed: Bytes,
        /// See [`crate::Memory`].
        allowed: Bytes,
        /// It may be more: the length of the input is not known.
        is_least: bool,
    },
    /// More than 4,294,967,295 objects, references or strings.
    #[error("{name} has more than 4 294 967 294 {what}; rbleak cannot read a heap that large")]
    TooMany {
        /// The file.
        name: String,
        /// Of what.
        what: &'static str,
    },
}
