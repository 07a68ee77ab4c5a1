//! A stream, decoded on one thread and read on the others.
//!
//! What comes out of a decompressor or a pipe is cut where a line begins as
//! Ruby begins one, as a file's parts are, so that the parts can be read side
//! by side and joined in order. A few buffers go round: a slow reader holds up
//! the decoder, and memory does not depend on the stream's length. Knows no
//! columns.

use crate::builder::Builder;
use crate::input::{LongLine, LongLines, Window};
use crate::memory::Meter;
use crate::reader::{Reader, Stop};
use crate::sniff::{HOPELESS_BYTES, hopeless, surely_starts_a_record};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Bytes of a part: fewer, larger parts cost fewer tables and more memory.
const PART: usize = 4 << 20;
/// One is filled and one waits, beside what each thread has.
const SPARE: usize = 2;
/// A line that has not ended after so many bytes is shortened.
const LONG: usize = 4 << 20;
/// Where lines begin as Ruby's do not, a part ends with any of them.
const FOREIGN: usize = 2 * PART;

/// What a decompressor of Zstandard keeps at the levels in use.
const DECOMPRESSOR: u64 = 8 << 20;

/// Bytes that a stream is read through by so many threads.
pub(crate) fn buffers(threads: usize) -> u64 {
    (parsers(threads) + SPARE) as u64 * PART as u64 + DECOMPRESSOR
}

/// Parsing takes about as long as unpacking: more threads than these would
/// wait.
fn parsers(threads: usize) -> usize {
    threads.clamp(1, 4)
}

/// How a stream is read.
pub(crate) struct Settings<'m> {
    pub(crate) references: bool,
    pub(crate) threads: usize,
    /// 0 for what suits.
    pub(crate) part_bytes: u64,
    pub(crate) meter: &'m Meter<'m>,
}

/// Lines, whole ones but for the stream's last.
struct Part {
    number: usize,
    is_last: bool,
    bytes: Vec<u8>,
    left_out: u64,
}

/// What the decoder ends with.
struct End {
    /// What failed, if anything.
    failure: Option<io::Error>,
}

/// What a stream is, and what became of reading it.
pub(crate) enum Outcome {
    /// Its beginning is no dump's.
    Hopeless(&'static str),
    /// Read as far as it goes, or until a stop.
    Read(Box<Reader>, Result<(), Stop>),
}

/// Reads all of a stream.
pub(crate) fn read(mut source: Box<dyn Read + Send>, settings: &Settings<'_>) -> Outcome {
    let part_bytes = match settings.part_bytes {
        0 => PART,
        bytes => usize::try_from(bytes).map_or(PART, |bytes| bytes.clamp(64, PART)),
    };
    let mut head = Vec::new();
    let begun = (&mut source)
        .take(HOPELESS_BYTES as u64)
        .read_to_end(&mut head);
    if begun.is_ok()
        && let Some(found) = hopeless(&head)
    {
        return Outcome::Hopeless(found);
    }
    let long_lines = match settings.references {
        true => LongLines::KeepReferences,
        false => LongLines::CutAll,
    };
    let parsers = parsers(settings.threads);
    let (to_decoder, spare) = channel();
    for _ in 0..parsers + SPARE {
        // The other end is held below.
        let _ = to_decoder.send(Vec::new());
    }
    let (to_parsers, parts) = sync_channel(1);
    let decoder = Decoder {
        source,
        part_bytes,
        long_lines,
        spare,
        to_parsers,
        number: 0,
        failure: begun.err(),
        left_out: 0,
    };
    // Not one of the scope: it may wait for a pipe that nobody writes to while
    // there is nothing more to be done with what it would bring.
    let decoder = std::thread::spawn(move || decoder.run(head));
    let mut joined = Joined::default();
    let parts = Mutex::new(parts);
    let joining = Mutex::new(&mut joined);
    std::thread::scope(|scope| {
        let work = |to_decoder: Sender<Vec<u8>>| {
            while let Some(part) = next(&parts) {
                let (number, reader, outcome, bytes) = parse(part, settings);
                // The decoder may have come to its end.
                let _ = to_decoder.send(bytes);
                if !lock(&joining).add(number, reader, outcome) {
                    break;
                }
            }
        };
        let others: Vec<_> = (1..parsers)
            .map(|_| {
                let to_decoder = to_decoder.clone();
                scope.spawn(move || work(to_decoder))
            })
            .collect();
        work(to_decoder);
        for thread in others {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    drop(parts);
    let whole = joined
        .whole
        .unwrap_or_else(|| Box::new(Reader::new(Builder::new(settings.references), true, true)));
    if let Some(stop) = joined.stop {
        return Outcome::Read(whole, Err(stop));
    }
    let end = decoder
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let outcome = end.failure.map_or(Ok(()), |error| Err(Stop::Io(error)));
    Outcome::Read(whole, outcome)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next part; `None` at the end.
fn next(parts: &Mutex<Receiver<Part>>) -> Option<Part> {
    lock(parts).recv().ok()
}

type Parsed = (usize, Reader, Result<(), Stop>, Vec<u8>);

fn parse(part: Part, settings: &Settings<'_>) -> Parsed {
    let is_first = part.number == 0;
    let builder = Builder::new(settings.references);
    let mut reader = Reader::new(builder, is_first, part.is_last);
    let mut window = Window::loaded(part.bytes);
    let outcome = reader.run(&mut window, settings.meter);
    reader.bytes += part.left_out;
    (part.number, reader, outcome, window.into_buffer())
}

/// Parts in the order of the stream.
#[derive(Default)]
struct Joined {
    whole: Option<Box<Reader>>,
    stop: Option<Stop>,
    next: usize,
    /// What came before its turn.
    waiting: BTreeMap<usize, (Reader, Result<(), Stop>)>,
}

impl Joined {
    /// Takes a part; `false` if no more are wanted.
    fn add(&mut self, number: usize, reader: Reader, outcome: Result<(), Stop>) -> bool {
        self.waiting.insert(number, (reader, outcome));
        while self.stop.is_none()
            && let Some((reader, outcome)) = self.waiting.remove(&self.next)
        {
            self.next += 1;
            let appended = match &mut self.whole {
                None => {
                    self.whole = Some(Box::new(reader));
                    Ok(())
                }
                Some(whole) => whole.append(reader, 1),
            };
            self.stop = appended.and(outcome).err();
        }
        self.stop.is_none()
    }
}

/// Fills parts.
struct Decoder {
    source: Box<dyn Read + Send>,
    part_bytes: usize,
    long_lines: LongLines,
    spare: Receiver<Vec<u8>>,
    to_parsers: SyncSender<Part>,
    number: usize,
    failure: Option<io::Error>,
    left_out: u64,
}

impl Decoder {
    /// Hands on parts until the stream ends, fails, or nobody wants more;
    /// `head` is what was read of it.
    fn run(mut self, head: Vec<u8>) -> End {
        let mut rest = head;
        while let Ok(mut part) = self.spare.recv() {
            part.clear();
            part.append(&mut rest);
            let is_last = !self.fill(&mut part, &mut rest);
            if is_last && self.failure.is_some() {
                // Of the line that is cut nothing is known.
                let ended = memchr::memrchr(b'\n', &part).map_or(0, |end| end + 1);
                part.truncate(ended);
            }
            let sent = self.to_parsers.send(Part {
                number: self.number,
                is_last: is_last && self.failure.is_none(),
                bytes: part,
                left_out: std::mem::take(&mut self.left_out),
            });
            self.number += 1;
            if is_last || sent.is_err() {
                break;
            }
        }
        End {
            failure: self.failure,
        }
    }

    /// Fills a part to where a line begins; what comes after goes to `rest`.
    /// `false` if the stream has no more.
    fn fill(&mut self, part: &mut Vec<u8>, rest: &mut Vec<u8>) -> bool {
        let mut wanted = self.part_bytes;
        loop {
            if self.failure.is_some() || !self.load(part, wanted) {
                return false;
            }
            if let Some(cut) = last_start(part) {
                rest.extend_from_slice(&part[cut..]);
                part.truncate(cut);
                return true;
            }
            let line = memchr::memrchr(b'\n', part).map_or(0, |end| end + 1);
            if part.len() - line >= LONG {
                if !self.shorten(part, line) {
                    return false;
                }
            } else if line >= FOREIGN {
                rest.extend_from_slice(&part[line..]);
                part.truncate(line);
                return true;
            }
            wanted = part.len() + self.part_bytes;
        }
    }

    /// Loads until there are so many bytes; `false` at the end.
    fn load(&mut self, part: &mut Vec<u8>, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(part.len()) as u64;
        // A short stream does not fill a part, and shall not take one's memory.
        match (&mut self.source).take(missing).read_to_end(part) {
            Ok(count) => count as u64 == missing,
            Err(error) => {
                self.failure = Some(error);
                false
            }
        }
    }

    /// Loads the rest of the line at `line`, without what no heap keeps of it;
    /// `false` at the end.
    fn shorten(&mut self, part: &mut Vec<u8>, line: usize) -> bool {
        let mut long = LongLine::new(self.long_lines);
        loop {
            let all = part.len();
            let kept = line + long.shorten(&mut part[line..]);
            part.truncate(kept);
            self.left_out += (all - kept) as u64;
            let goes_on = self.load(part, kept + (1 << 20));
            if memchr::memchr(b'\n', &part[kept..]).is_some() {
                return goes_on;
            }
            if !goes_on {
                return false;
            }
        }
    }
}

/// Where the last line begins that begins as Ruby begins one, if not at 0.
fn last_start(bytes: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b'\n', bytes)
        .map(|end| end + 1)
        .find(|&start| surely_starts_a_record(&bytes[start..]))
}
