//! Copies lines of a dump as they stand, chosen by address.
//!
//! A second pass over the file: a heap keeps no text.

use crate::error::ReadError;
use crate::input::{self, LongLines};
use crate::scan::{Mode, address_of, scan};
use crate::sniff::starts_a_record;
use rbleak_units::Address;
use std::io::{self, Write};
use std::path::Path;

/// Why lines could not be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The dump cannot be read again.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The copy cannot be written.
    #[error("cannot write the lines: {0}; check the space on the disk")]
    Write(#[source] io::Error),
}

/// Writes the lines of the dump at `path` whose address `keep` takes to
/// `out`, unchanged and decompressed, and says how many objects they are. The
/// parts of a line that a raw newline split go together.
///
/// # Errors
///
/// If the dump cannot be read or the copy not written.
pub fn copy_lines(
    path: &Path,
    mut keep: impl FnMut(Address) -> bool,
    out: &mut impl Write,
) -> Result<u64, CopyError> {
    let mut window = input::open(path, LongLines::AsTheyAre)?.window();
    let mut copied = 0;
    let mut is_kept = false;
    let mut at = 0_u64;
    let mut ended = false;
    while !ended {
        let end = window.newline(0).map_err(|source| ReadError::Read {
            name: path.display().to_string(),
            at,
            source,
        })?;
        ended = end.is_none();
        let line = match end {
            Some(end) => &window.pending()[..end],
            None => window.pending(),
        };
        if let Some(address) = line_address(line) {
            is_kept = keep(address);
            copied += u64::from(is_kept);
        } else if starts_a_record(line) {
            is_kept = false;
        }
        if is_kept && !line.is_empty() {
            out.write_all(line)
                .and_then(|()| out.write_all(b"\n"))
                .map_err(CopyError::Write)?;
        }
        let passed = line.len() + 1;
        window.advance(passed);
        at += passed as u64;
    }
    Ok(copied)
}

fn line_address(line: &[u8]) -> Option<Address> {
    let address = match address_of(line) {
        Some(address) => address,
        // Another tool wrote the line and orders keys otherwise.
        None => {
            scan(line, Mode::Strict, &mut Vec::new(), false)
                .ok()?
                .fields
                .address
        }
    };
    (address != 0).then_some(Address(address))
}
