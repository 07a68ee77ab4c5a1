//! From a path or a reader to decompressed bytes.
//!
//! Compression is told by its magic bytes, never by the name. Knows nothing
//! of what the bytes mean.

mod plain;
mod window;

use crate::error::ReadError;
use flate2::read::MultiGzDecoder;
pub(crate) use plain::Plain;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
pub(crate) use window::Window;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Of a stream, this much is read at a time: larger blocks leave the caches.
pub(crate) const BLOCK: usize = 1 << 18;

/// An input, ready to be read.
pub(crate) enum Input {
    /// A file that can be read anywhere.
    Plain(Plain),
    /// Bytes one after the other.
    Stream {
        window: Window,
        /// Whether a failure to read is one of the decompressor.
        compressed: bool,
    },
}

impl Input {
    /// All of it, one after the other.
    pub(crate) fn window(self) -> Window {
        match self {
            Input::Plain(plain) => plain.window(0..u64::MAX, BLOCK),
            Input::Stream { window, .. } => window,
        }
    }
}

/// Opens a file; `map` maps it into memory if it is a regular file and not
/// compressed.
pub(crate) fn open(path: &Path, map: bool) -> Result<Input, ReadError> {
    let name = || path.display().to_string();
    let failed = |source| ReadError::Open {
        name: name(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(ReadError::Directory { name: name() });
    }
    let mut file = file;
    let magic = read_magic(&mut file, &name())?;
    // Some files that are regular, in /proc, have no length.
    if metadata.is_file() && metadata.len() > 0 && !is_compressed(&magic) {
        return Ok(Input::Plain(Plain::new(file, metadata.len(), map)));
    }
    let (window, compressed) = wrap(magic, file, &name())?;
    Ok(Input::Stream { window, compressed })
}

/// Takes any reader; also says whether it is compressed.
pub(crate) fn from_reader(
    mut reader: impl Read + Send + 'static,
    name: &str,
) -> Result<(Window, bool), ReadError> {
    let magic = read_magic(&mut reader, name)?;
    wrap(magic, reader, name)
}

fn is_compressed(magic: &[u8]) -> bool {
    magic.starts_with(GZIP) || magic.starts_with(ZSTD)
}

fn wrap(
    magic: Vec<u8>,
    reader: impl Read + Send + 'static,
    name: &str,
) -> Result<(Window, bool), ReadError> {
    let gzip = magic.starts_with(GZIP);
    let compressed = is_compressed(&magic);
    let bytes = io::Cursor::new(magic).chain(reader);
    let reader: Box<dyn Read + Send> = if gzip {
        Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(
            1 << 16,
            bytes,
        )))
    } else if compressed {
        Box::new(zstd::stream::read::Decoder::new(bytes).map_err(|source| {
            ReadError::Decompress {
                name: name.to_owned(),
                at: 0,
                source,
            }
        })?)
    } else {
        Box::new(bytes)
    };
    Ok((Window::stream(reader, BLOCK), compressed))
}

/// The first bytes, fewer than four only if there are no more.
fn read_magic(reader: &mut impl Read, name: &str) -> Result<Vec<u8>, ReadError> {
    let mut magic = Vec::with_capacity(4);
    reader
        .take(4)
        .read_to_end(&mut magic)
        .map_err(|source| ReadError::Read {
            name: name.to_owned(),
            at: 0,
            source,
        })?;
    Ok(magic)
}
