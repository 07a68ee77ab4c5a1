//! A second look at the lines of a dump, for what the columns of a heap leave
//! out: values of strings, sizes of slots, flags.
//!
//! Goes over a file again, in parts on all processors where that is possible,
//! and over a stream while the heap is read from it. Knows neither fields nor
//! what is looked for. Lines are physical ones: where a raw newline splits one,
//! the looker sees its beginning and its rest.

use crate::error::ReadError;
use crate::heap::Heap;
use crate::input::{self, BLOCK, Input, LongLines, Plain, Window};
use crate::parallel::{self, processors};
use crate::read::ReadOptions;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Collects something from lines.
pub(crate) trait Look: Send {
    /// The same with nothing found yet, for another part of the file.
    fn fork(&self) -> Self;
    /// A line without its newline.
    fn line(&mut self, line: &[u8]);
    /// Takes over what the next part of the file gave.
    fn join(&mut self, later: Self);
}

/// Parts for each thread, as lines are uneven.
const PARTS_PER_THREAD: u64 = 4;
/// Smaller parts are not worth a thread.
const MIN_PART: u64 = 4 << 20;
/// Blocks that the reader of a stream may be ahead of the looker.
const BLOCKS_AHEAD: usize = 16;

/// Looks at all lines of a file.
///
/// # Errors
///
/// If the file cannot be opened, or a plain one not be read. A compressed one
/// is looked at as far as it goes: that it is cut is told by reading the heap.
pub(crate) fn look<L: Look + Sync>(
    path: &Path,
    options: &ReadOptions,
    mut looker: L,
) -> Result<L, ReadError> {
    match input::open(path, LongLines::AsTheyAre)? {
        Input::Plain(plain) => look_at_parts(&plain, options, looker).map_err(|source| {
            let name = path.display().to_string();
            ReadError::Read {
                name,
                at: 0,
                source,
            }
        }),
        stream @ Input::Stream(_) => {
            let _ = run(&mut stream.window(), u64::MAX, &mut looker);
            Ok(looker)
        }
    }
}

/// Reads a heap from a file and looks at its lines; what is compressed is
/// decompressed for both at once.
pub(crate) fn open_with<L: Look + Sync>(
    path: &Path,
    options: &ReadOptions,
    looker: L,
) -> Result<(Heap, L), ReadError> {
    let is_plain = matches!(input::open(path, LongLines::AsTheyAre)?, Input::Plain(_));
    if is_plain {
        let heap = Heap::open(path, options)?;
        return Ok((heap, look(path, options, looker)?));
    }
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| look(path, options, looker));
        let heap = Heap::open(path, options);
        let found = joined(looking);
        Ok((heap?, found?))
    })
}

/// Reads a heap from a stream and looks at its lines as they come.
pub(crate) fn read_with<L: Look>(
    reader: impl Read + Send + 'static,
    name: &str,
    options: &ReadOptions,
    mut looker: L,
) -> Result<(Heap, L), ReadError> {
    let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
    let tee = Tee { reader, sender };
    std::thread::scope(|scope| {
        let looking = scope.spawn(move || {
            let blocks = Blocks {
                receiver,
                block: io::Cursor::new(Vec::new()),
            };
            let stream = Input::Stream(input::from_reader(blocks, name)?);
            let _ = run(&mut stream.window(), u64::MAX, &mut looker);
            Ok(looker)
        });
        let heap = Heap::read(tee, name, options);
        let found = joined(looking);
        Ok((heap?, found?))
    })
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn look_at_parts<L: Look + Sync>(
    plain: &Plain,
    options: &ReadOptions,
    mut looker: L,
) -> io::Result<L> {
    let threads = match options.threads {
        0 => processors(),
        threads => threads,
    };
    let part = (plain.length() / (threads as u64 * PARTS_PER_THREAD)).max(MIN_PART);
    let starts: Vec<u64> = (0..plain.length().div_ceil(part))
        .map(|n| n * part)
        .collect();
    let parts = parallel::map(starts, threads, |start| {
        let mut found = looker.fork();
        // A part has the lines that begin in it.
        let mut window = plain.window(start.saturating_sub(1)..u64::MAX, BLOCK);
        let mut length = part;
        if start > 0 {
            match window.newline(0)? {
                Some(end) => {
                    window.advance(end + 1);
                    length = length.saturating_sub(end as u64);
                }
                None => return Ok(found),
            }
        }
        run(&mut window, length, &mut found).map(|()| found)
    });
    for found in parts {
        looker.join(found?);
    }
    Ok(looker)
}

/// Looks at the lines that begin within the next `length` bytes.
fn run(window: &mut Window, length: u64, looker: &mut impl Look) -> io::Result<()> {
    let mut passed = 0_u64;
    while passed < length {
        let end = window.newline(0)?;
        let line = match end {
            Some(end) => &window.pending()[..end],
            None => window.pending(),
        };
        looker.line(line);
        let bytes = line.len() + 1;
        window.advance(bytes);
        passed += bytes as u64;
        if end.is_none() {
            break;
        }
    }
    Ok(())
}

/// Hands on what is read.
struct Tee<R> {
    reader: R,
    sender: SyncSender<Vec<u8>>,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        if count > 0 {
            // A looker that has enough is gone.
            let _ = self.sender.send(buffer[..count].to_vec());
        }
        Ok(count)
    }
}

/// The other end of a [`Tee`].
struct Blocks {
    receiver: Receiver<Vec<u8>>,
    block: io::Cursor<Vec<u8>>,
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.block.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.receiver.recv() {
                Ok(block) => self.block = io::Cursor::new(block),
                // All senders are gone: the end.
                Err(_) => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[derive(Default)]
    struct Lines(Vec<Vec<u8>>);

    impl Look for Lines {
        fn fork(&self) -> Lines {
            Lines::default()
        }
        fn line(&mut self, line: &[u8]) {
            self.0.push(line.to_vec());
        }
        fn join(&mut self, later: Lines) {
            self.0.extend(later.0);
        }
    }

    /// Twelve megabytes in lines of many lengths: three parts.
    fn text() -> Vec<u8> {
        let mut text = Vec::new();
        for n in 0_u64.. {
            if text.len() > 12 << 20 {
                break;
            }
            let filler = "x".repeat((n % 977) as usize);
            writeln!(
                text,
                r#"{{"address":"{:#x}", "type":"STRING", "value":"{filler}"}}"#,
                0x1000 + n * 8
            )
            .unwrap();
        }
        text
    }

    #[test]
    fn every_line_is_seen_once_and_in_order() {
        let text = text();
        let expected: Vec<&[u8]> = text.trim_ascii_end().split(|&byte| byte == b'\n').collect();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&text).unwrap();
        let options = ReadOptions::default();
        let (heap, found) = open_with(file.path(), &options, Lines::default()).unwrap();
        assert_eq!(heap.len(), expected.len());
        assert!(found.0.iter().filter(|line| !line.is_empty()).eq(&expected));
        let packed = zstd::encode_all(&*text, 1).unwrap();
        for text in [text.clone(), packed] {
            let (heap, found) =
                read_with(io::Cursor::new(text), "text", &options, Lines::default()).unwrap();
            assert_eq!(heap.len(), expected.len());
            assert!(found.0.iter().filter(|line| !line.is_empty()).eq(&expected));
        }
    }

    #[test]
    fn a_stream_that_is_no_dump_is_refused_and_nobody_waits() {
        let text = io::Cursor::new(vec![b'x'; 3 << 20]);
        let options = ReadOptions::default();
        assert!(read_with(text, "text", &options, Lines::default()).is_err());
    }
}
