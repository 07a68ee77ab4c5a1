//! From a path or a reader to decompressed bytes.
//!
//! Compression is told by its magic bytes, never by the name. Knows nothing
//! of what the bytes mean.

#[cfg(target_os = "linux")]
#[allow(unsafe_code)] // a signal's handler
mod bus_error;
mod long_line;
#[cfg_attr(target_os = "linux", allow(unsafe_code))] // see there
#[cfg_attr(not(target_os = "linux"), path = "unmapped.rs")]
mod mapped;
mod plain;
mod view;
mod window;

use crate::error::ReadError;
use flate2::read::MultiGzDecoder;
pub(crate) use long_line::{LongLine, LongLines};
pub(crate) use plain::{Change, Plain};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
    Stream(Stream),
}

/// Bytes one after the other, decompressed.
pub(crate) struct Stream {
    pub(crate) reader: Box<dyn Read + Send>,
    /// Whether a failure to read is one of the decompressor.
    pub(crate) is_compressed: bool,
    /// Of the file, where it is one: as it lies there, compressed.
    pub(crate) length: Option<u64>,
    /// Bytes of that which were read.
    pub(crate) consumed: Arc<AtomicU64>,
}

/// Counts what is read.
struct Counted<R> {
    reader: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.consumed.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

impl Input {
    /// All of it, as it stands.
    pub(crate) fn window(self) -> Window {
        match self {
            Input::Plain(plain) => plain.window(0..u64::MAX, BLOCK),
            Input::Stream(stream) => Window::stream(stream.reader, BLOCK, LongLines::AsTheyAre),
        }
    }
}

/// Opens a file.
pub(crate) fn open(path: &Path, long_lines: LongLines) -> Result<Input, ReadError> {
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
        return Ok(Input::Plain(Plain::new(file, &metadata, long_lines)));
    }
    let mut stream = wrap(magic, file, &name())?;
    let is_sized = metadata.is_file() && metadata.len() > 0;
    stream.length = is_sized.then_some(metadata.len());
    Ok(Input::Stream(stream))
}

/// Takes any reader.
pub(crate) fn from_reader(
    mut reader: impl Read + Send + 'static,
    name: &str,
) -> Result<Stream, ReadError> {
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
) -> Result<Stream, ReadError> {
    let gzip = magic.starts_with(GZIP);
    let is_compressed = is_compressed(&magic);
    let consumed = Arc::new(AtomicU64::new(0));
    let reader = Counted {
        reader,
        consumed: Arc::clone(&consumed),
    };
    let bytes = io::Cursor::new(magic).chain(reader);
    let reader: Box<dyn Read + Send> = if gzip {
        Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(
            1 << 16,
            bytes,
        )))
    } else if is_compressed {
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
    Ok(Stream {
        reader,
        is_compressed,
        length: None,
        consumed,
    })
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
