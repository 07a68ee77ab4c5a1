//! From a file or a stream to a heap.
//!
//! Both are read in parts on all processors, a stream while it comes in. Knows
//! neither lines nor fields.

use crate::chunks;
use crate::error::ReadError;
use crate::heap::Heap;
use crate::input::{self, Change, Input, LongLines, Plain, Stream};
use crate::issues::Cut;
use crate::memory::{Memory, Passed};
use crate::parallel::{self, processors};
use crate::reader::{Reader, Stop};
use crate::series::{self, Parts};
use crate::sniff::{HOPELESS_BYTES, hopeless};
use crate::stream::{self, Outcome};
use crate::twin::Beside;
use std::io::Read;
use std::path::Path;

/// How a dump is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Keep who refers to whom, and the shapes of objects (default: yes). A
    /// diff needs it not, and is read faster and in half the memory without.
    pub references: bool,
    /// How many threads read a file (default: 0, as many as there are
    /// processors).
    pub threads: usize,
    /// Bytes that are read as one part (default: 0, what suits the input). The result does not depend on it.
    pub part_bytes: u64,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions {
            references: true,
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

    fn long_lines(&self) -> LongLines {
        match self.references {
            true => LongLines::KeepReferences,
            false => LongLines::CutAll,
        }
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
        Heap::open_within(path, options, &Memory::unlimited())
    }

    /// The same in bounded memory.
    ///
    /// # Errors
    ///
    /// As [`Heap::open`], and if it takes more memory than there may be.
    pub fn open_within(
        path: impl AsRef<Path>,
        options: &ReadOptions,
        memory: &Memory,
    ) -> Result<Heap, ReadError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        match input::open(path, options.long_lines())? {
            Input::Plain(plain) => open_plain(&plain, name, options, memory),
            Input::Stream(stream) => read_stream(stream, name, options, memory),
        }
    }

    /// Reads dumps of one process in the order in which they were taken: faster
    /// than one after the other, because most of a dump is as it was in the one
    /// before. The heaps are the same.
    ///
    /// # Errors
    ///
    /// As [`Heap::open_within`], for the first dump that has one.
    pub fn open_series<P: AsRef<Path>>(
        paths: &[P],
        options: &ReadOptions,
        memory: &Memory,
    ) -> Result<Vec<Heap>, ReadError> {
        let one_by_one = || {
            let paths = paths.iter();
            paths
                .map(|path| Heap::open_within(path, options, memory))
                .collect()
        };
        // Of references every line has its own.
        let can_share = !options.references && paths.len() > 1;
        if !can_share || !paths.iter().all(|path| path.as_ref().is_file()) {
            return one_by_one();
        }
        let mut plains = Vec::with_capacity(paths.len());
        let mut names = Vec::with_capacity(paths.len());
        for path in paths {
            let path = path.as_ref();
            let Input::Plain(plain) = input::open(path, options.long_lines())? else {
                return one_by_one();
            };
            let name = path.display().to_string();
            check_head(&plain, &name)?;
            plains.push(plain);
            names.push(name);
        }
        let meters: Vec<_> = plains
            .iter()
            .map(|plain| memory.meter(false, Some(Passed::Counted(plain.length()))))
            .collect();
        let threads = options.thread_count();
        let parts = series::read(&plains, options.part_bytes, threads, &meters);
        let dumps = match parts {
            Ok(Some(dumps)) => dumps,
            Ok(None) => return one_by_one(),
            Err(source) => {
                let name = names.swap_remove(0);
                return Err(ReadError::Read {
                    name,
                    at: 0,
                    source,
                });
            }
        };
        // One dump after the other, so that little exists twice.
        let dumps = plains.iter().zip(dumps).zip(names);
        let joined = dumps.map(|((plain, read), name)| {
            let reader = join(plain, read.parts, &name, threads)?;
            Ok((reader, name, read.same))
        });
        let joined: Vec<Result<_, ReadError>> = joined.collect();
        let heaps = parallel::map(joined, threads, |joined| {
            let (reader, name, same) = joined?;
            conclude(reader, name, threads).map(|heap| (heap, same))
        });
        let mut all: Vec<Heap> = Vec::new();
        for heap in heaps {
            let (mut heap, same) = heap?;
            let earlier = all.last().and_then(|earlier| earlier.beside.as_ref());
            heap.beside = Some(Beside::new(earlier, same));
            all.push(heap);
        }
        Ok(all)
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
        Heap::read_within(reader, name, options, &Memory::unlimited())
    }

    /// The same in bounded memory.
    ///
    /// # Errors
    ///
    /// As [`Heap::open_within`].
    pub fn read_within(
        reader: impl Read + Send + 'static,
        name: &str,
        options: &ReadOptions,
        memory: &Memory,
    ) -> Result<Heap, ReadError> {
        let stream = input::from_reader(reader, name)?;
        read_stream(stream, name.to_owned(), options, memory)
    }
}

fn open_plain(
    plain: &Plain,
    name: String,
    options: &ReadOptions,
    memory: &Memory,
) -> Result<Heap, ReadError> {
    let threads = options.thread_count();
    check_head(plain, &name)?;
    let meter = memory.meter(options.references, Some(Passed::Counted(plain.length())));
    let parts = chunks::read(
        plain,
        options.references,
        options.part_bytes,
        threads,
        &meter,
    );
    let parts = parts.map_err(|source| ReadError::Read {
        name: name.clone(),
        at: 0,
        source,
    })?;
    let reader = join(plain, parts, &name, threads)?;
    conclude(reader, name, threads)
}

/// Refuses what is no dump before it is read.
fn check_head(plain: &Plain, name: &str) -> Result<(), ReadError> {
    let name = || name.to_owned();
    let head = plain
        .head(HOPELESS_BYTES)
        .map_err(|source| ReadError::Read {
            name: name(),
            at: 0,
            source,
        })?;
    match hopeless(&head) {
        Some(found) => Err(ReadError::NotADump {
            name: name(),
            found,
        }),
        None => Ok(()),
    }
}

/// From the parts of a file to its heap.
fn join(plain: &Plain, parts: Parts, name: &str, threads: usize) -> Result<Reader, ReadError> {
    let name = || name.to_owned();
    let mut whole: Option<Reader> = None;
    for (part, outcome) in parts {
        let joined = match &mut whole {
            None => {
                whole = Some(part);
                Ok(())
            }
            Some(whole) => whole.append(part, threads),
        };
        if let Err(stop) = joined.and(outcome) {
            let at = whole.map_or(0, |whole| whole.bytes);
            return Err(stopped(stop, name(), at));
        }
    }
    let Some(mut reader) = whole else {
        return Err(ReadError::Empty { name: name() });
    };
    let change = match plain.change(reader.bytes) {
        Ok(change) => change,
        Err(source) => {
            let (name, at) = (name(), reader.bytes);
            return Err(ReadError::Read { name, at, source });
        }
    };
    if let Some(change) = change {
        let cause = match change {
            Change::Shrunk => Cut::Shrunk,
            Change::Grown => Cut::Growing,
            Change::Rewritten => Cut::Rewritten,
        };
        reader.issues.cut(reader.lines + 1, cause);
    }
    Ok(reader)
}

fn read_stream(
    stream: Stream,
    name: String,
    options: &ReadOptions,
    memory: &Memory,
) -> Result<Heap, ReadError> {
    let passed = match (stream.length, stream.consumed) {
        (Some(length), consumed) => Some(Passed::Told(length, consumed)),
        (None, _) => None,
    };
    let meter = memory.meter(options.references, passed);
    let threads = options.thread_count();
    memory.buffers(stream::buffers(threads));
    let settings = stream::Settings {
        references: options.references,
        threads,
        part_bytes: options.part_bytes,
        meter: &meter,
    };
    let (mut reader, outcome) = match stream::read(stream.reader, &settings) {
        Outcome::Hopeless(found) => return Err(ReadError::NotADump { name, found }),
        Outcome::Read(reader, outcome) => (*reader, outcome),
    };
    match outcome {
        Ok(()) => conclude(reader, name, threads),
        Err(Stop::Io(source)) if stream.is_compressed => {
            if reader.first.is_none() {
                let at = reader.bytes;
                return Err(ReadError::Decompress { name, at, source });
            }
            let line = reader.lines + 1;
            reader.issues.truncate(line, Some(source.to_string()));
            conclude(reader, name, threads)
        }
        Err(stop) => Err(stopped(stop, name, reader.bytes)),
    }
}

fn stopped(stop: Stop, name: String, at: u64) -> ReadError {
    match stop {
        Stop::Io(source) => ReadError::Read { name, at, source },
        Stop::Hopeless => ReadError::NotADump {
            name,
            found: "none of its first lines is a line of a heap dump",
        },
        Stop::TooMany(what) => ReadError::TooMany { name, what },
        Stop::TooLarge(excess) => ReadError::TooLarge {
            name,
            needed: excess.needed,
            allowed: excess.allowed,
            is_least: excess.is_least,
        },
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
