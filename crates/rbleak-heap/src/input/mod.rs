//! From a path or a reader to decompressed bytes.
//!
//! Compression is told by its magic bytes, never by the name. Knows nothing
//! of what the bytes mean.

mod window;

use crate::error::ReadError;
use crate::mapping::Mapping;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
pub(crate) use window::Window;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// An input, ready to be read line by line.
pub(crate) struct Input {
    pub(crate) window: Window,
    /// Whether a failure to read is one of the decompressor.
    pub(crate) compressed: bool,
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
    if map && metadata.is_file() && !is_compressed(&magic) && !magic.is_empty() {
        // Some file systems cannot map; reading is as good.
        if let Ok(mapping) = Mapping::new(&file) {
            return Ok(Input {
                window: Window::whole(mapping),
                compressed: false,
            });
        }
    }
    wrap(magic, file, &name())
}

/// Takes any reader.
pub(crate) fn from_reader(
    mut reader: impl Read + Send + 'static,
    name: &str,
) -> Result<Input, ReadError> {
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
) -> Result<Input, ReadError> {
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
    Ok(Input {
        window: Window::stream(reader),
        compressed,
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
