//! From a file or a stream to a heap.
//!
//! A file is read in parts on all processors, a stream from its beginning to
//! its end. Knows neither lines nor fields.

use crate::builder::Builder;
use crate::chunks;
use crate::error::ReadError;
use crate::heap::Heap;
use crate::input::{self, Input, Plain, Window};
use crate::parallel::processors;
use crate::reader::{Reader, Stop};
use crate::sniff::{HOPELESS_BYTES, hopeless};
use std::io::{self, Read};
use std::path::Path;

/// How a dump is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Keep who refers to whom, and the shapes of objects (default: yes). A
    /// diff needs it not, and is read faster and in half the memory without.
    pub references: bool,
    /// Map uncompressed files into memory (default: no, which is faster). A
    /// mapped file that another process cuts short ends this process; reading
    /// does not.
    pub map: bool,
    /// How many threads read a file (default: 0, as many as there are
    /// processors).
    pub threads: usize,
    /// Bytes of a file that are read as one part (default: 0, what suits the
    /// file). The result does not depend on it.
    pub part_bytes: u64,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions {
            references: true,
            map: false,
            threads: 0,
            part_bytes: 0,
        }
    }
}

impl ReadOptions {
    /// The same with or without references.
    pub fn references(mut self, keep: bool) -> ReadOptions {
        self.references = keep;
        self
    }

    /// The same with or without mapping.
    pub fn map(mut self, map: bool) -> ReadOptions {
        self.map = map;
        self
    }

    /// The same with so many threads.
    pub fn threads(mut self, threads: usize) -> ReadOptions {
        self.threads = threads;
        self
    }

    /// The same with parts of so many bytes.
    pub fn part_bytes(mut self, bytes: u64) -> ReadOptions {
        self.part_bytes = bytes;
        self
    }

    fn thread_count(&self) -> usize {
        match self.threads {
            0 => processors(),
            threads => threads,
        }
    }
}

impl Heap {
    /// Reads a dump of Ruby 2.1 or later from a file: plain, gzip or
    /// Zstandard, told by its content.
    ///
    /// # Errors
    ///
    /// Only if the file as a whole is unusable. Bad lines, and a file that is
    /// cut off, are in [`Heap::issues`].
    pub fn open(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Heap, ReadError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        match input::open(path, options.map)? {
            Input::Plain(plain) => open_plain(&plain, name, options),
            Input::Stream { window, compressed } => read_stream(window, compressed, name, options),
        }
    }

    /// Reads a dump from anything, such as standard input; `name` stands for
    /// it in messages.
    ///
    /// # Errors
    ///
    /// As [`Heap::open`].
    pub fn read(
        reader: impl Read + Send + 'static,
        name: &str,
        options: &ReadOptions,
    ) -> Result<Heap, ReadError> {
        let (window, compressed) = input::from_reader(reader, name)?;
        read_stream(window, compressed, name.to_owned(), options)
    }
}

fn open_plain(plain: &Plain, name: String, options: &ReadOptions) -> Result<Heap, ReadError> {
    let threads = options.thread_count();
    let failed = |source, at| ReadError::Read {
        name: name.clone(),
        at,
        source,
    };
    let head = plain
        .head(HOPELESS_BYTES)
        .map_err(|error| failed(error, 0))?;
    if let Some(found) = hopeless(&head) {
        return Err(ReadError::NotADump { name, found });
    }
    let parts = chunks::read(plain, options.references, options.part_bytes, threads)
        .map_err(|error| failed(error, 0))?;
    let mut whole: Option<Reader> = None;
    for (part, outcome) in parts {
        let joined = match &mut whole {
            None => {
                whole = Some(part);
                Ok(())
            }
            Some(whole) => whole.append(part),
        };
        if let Err(stop) = joined.and(outcome) {
            let at = whole.map_or(0, |whole| whole.bytes);
            return Err(stopped(stop, name, at));
        }
    }
    match whole {
        Some(reader) => conclude(reader, name, threads),
        None => Err(ReadError::Empty { name }),
    }
}

fn read_stream(
    mut window: Window,
    compressed: bool,
    name: String,
    options: &ReadOptions,
) -> Result<Heap, ReadError> {
    let mut reader = Reader::new(Builder::new(options.references), true, true);
    let outcome = read_all(&mut reader, &mut window, &name)?;
    let at = reader.bytes + window.pending().len() as u64;
    match outcome {
        Ok(()) => conclude(reader, name, options.thread_count()),
        Err(Stop::Io(source)) if compressed => {
            if reader.first.is_none() {
                return Err(ReadError::Decompress { name, at, source });
            }
            let line = reader.lines + 1;
            reader.issues.truncate(line, Some(source.to_string()));
            conclude(reader, name, options.thread_count())
        }
        Err(stop) => Err(stopped(stop, name, at)),
    }
}

fn read_all(
    reader: &mut Reader,
    window: &mut Window,
    name: &str,
) -> Result<Result<(), Stop>, ReadError> {
    let mut load = || -> io::Result<()> {
        while window.pending().len() < HOPELESS_BYTES && window.load()? {}
        Ok(())
    };
    if let Err(error) = load() {
        return Ok(Err(Stop::Io(error)));
    }
    if let Some(found) = hopeless(window.pending()) {
        return Err(ReadError::NotADump {
            name: name.to_owned(),
            found,
        });
    }
    Ok(reader.run(window))
}

fn stopped(stop: Stop, name: String, at: u64) -> ReadError {
    match stop {
        Stop::Io(source) => ReadError::Read { name, at, source },
        Stop::Hopeless => ReadError::NotADump {
            name,
            found: "none of its first lines is a line of a heap dump",
        },
        Stop::TooMany(what) => ReadError::TooMany { name, what },
    }
}

fn conclude(reader: Reader, name: String, threads: usize) -> Result<Heap, ReadError> {
    if reader.bytes == 0 {
        return Err(ReadError::Empty { name });
    }
    let is_cut = reader.issues.truncated().is_some();
    if reader.first.is_none() && !is_cut {
        return Err(ReadError::NotADump {
            name,
            found: "no line of it is a line of a heap dump",
        });
    }
    let size = (reader.lines, reader.bytes);
    Ok(reader.builder.finish(name, reader.issues, size, threads))
}
