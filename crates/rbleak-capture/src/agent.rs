//! One process with the agent in it, spoken to in typed values. Knows nothing
//! of how the process came to be, nor of load.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rbleak_process::{Pid, smaps_rollup, status};
use rbleak_units::{Bytes, Objects};

use crate::census::{self, Container};
use crate::connection::{Connection, Fault};
use crate::interrupt::Interrupt;
use crate::launch::Request;
use crate::private_directory::PrivateDirectory;
use crate::protocol::{Fields, command};

/// How long a sample or a dump may be silent: full collections of heaps of
/// many gigabytes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an app turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The process that serves; of several, the first.
    pub pid: u32,
    /// All processes that serve: more than one for a clustered server.
    pub processes: Vec<u32>,
    /// `RUBY_VERSION`.
    pub ruby: String,
    /// `ruby`, `truffleruby`, …
    pub engine: String,
    /// `x86_64-linux-gnu`.
    pub platform: String,
    /// The version of Rack, if loaded.
    pub rack: Option<String>,
    /// The version of Rails, if loaded.
    pub rails: Option<String>,
    /// The version of Puma, if loaded.
    pub puma: Option<String>,
    /// `YJIT`, `ZJIT`, …, if it is on.
    pub jit: Option<String>,
    /// How many threads live.
    pub threads: u64,
    /// The port that is driven, in server mode.
    pub port: Option<u16>,
    /// Where the agent's own Ruby files lie: allocation sites below it are
    /// the tool's, not the app's.
    pub agent_directory: PathBuf,
}

/// The state of the app right after full garbage collections. Of a clustered
/// server, the sums over its serving processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Live objects.
    pub live_slots: Objects,
    /// Those that have survived several collections.
    pub old_objects: Objects,
    /// The bytes of the live slots themselves, where the Ruby tells.
    pub slot_bytes: Option<Bytes>,
    /// `ObjectSpace.memsize_of_all`.
    pub memsize: Bytes,
    /// What strings, arrays and hashes hold: the bytes of all strings, 8 for
    /// each entry of an array, 16 for each of a hash. A container that grows
    /// doubles its room in rare steps, so that `memsize` stands still for
    /// long; this grows with every entry.
    pub content: Option<Bytes>,
    /// What malloc has handed out.
    pub malloc_in_use: Option<Bytes>,
    /// What malloc holds and has not handed out.
    pub malloc_free: Option<Bytes>,
    /// Who was asked: `mallinfo2`, `malloc_info`, `jemalloc`, or `unknown`.
    pub malloc_source: String,
    /// Resident set size.
    pub rss: Bytes,
    /// Proportional set size.
    pub pss: Option<Bytes>,
    /// `GC.count`.
    pub gc_count: u64,
    /// Since the app was booted.
    pub at: Duration,
}

impl Sample {
    /// The sum over two processes; unknown plus anything is unknown.
    pub(crate) fn plus(self, other: Sample) -> Sample {
        let both = |a: Option<Bytes>, b: Option<Bytes>| Some(a? + b?);
        Sample {
            live_slots: Objects(self.live_slots.0 + other.live_slots.0),
            old_objects: Objects(self.old_objects.0 + other.old_objects.0),
            slot_bytes: both(self.slot_bytes, other.slot_bytes),
            memsize: self.memsize + other.memsize,
            content: both(self.content, other.content),
            malloc_in_use: both(self.malloc_in_use, other.malloc_in_use),
            malloc_free: both(self.malloc_free, other.malloc_free),
            malloc_source: self.malloc_source,
            rss: self.rss + other.rss,
            pss: both(self.pss, other.pss),
            gc_count: self.gc_count + other.gc_count,
            at: self.at,
        }
    }
}

/// What a serving process is asked for now and then: the figures right after
/// one full garbage collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Live objects.
    pub live_slots: Objects,
    /// What malloc has handed out.
    pub malloc_in_use: Option<Bytes>,
    /// For how long the process did nothing else.
    pub pause: Duration,
}

impl Glance {
    pub(crate) fn of(fields: &Fields) -> Result<Glance, Fault> {
        let pause = fields.float("pause_ms").unwrap_or(0.0).max(0.0);
        Ok(Glance {
            live_slots: Objects(required(fields, "live_slots")?),
            malloc_in_use: fields.number("malloc_in_use").map(Bytes),
            pause: Duration::try_from_secs_f64(pause / 1000.0).unwrap_or_default(),
        })
    }
}

/// How a dump was taken so that it is not torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpMethod {
    /// Written by the process itself: nothing else could run.
    Direct,
    /// Made in the memory of the process, then written: Ruby 3.0 to 3.3 with
    /// several threads.
    Buffered,
    /// Written by a forked child, whose other threads are gone: what only
    /// their stacks held has no path from a root in this dump.
    Forked,
}

/// A dump was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpTaken {
    /// The process it shows.
    pub pid: u32,
    /// How it was taken.
    pub method: DumpMethod,
    /// How long the app stood still for it.
    pub pause: Duration,
    /// `GC.count` of the process when it was taken.
    pub gc_count: u64,
    /// How long the dump is.
    pub bytes: Bytes,
}

/// A connected process.
#[derive(Debug)]
pub(crate) struct Agent {
    pid: u32,
    connection: Connection,
}

impl Agent {
    pub(crate) fn connect(socket: &Path) -> io::Result<Agent> {
        Ok(Agent {
            pid: 0,
            connection: Connection::open(socket)?,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Greets the process, and lets the agent warm up.
    pub(crate) fn hello(
        &mut self,
        directory: &PrivateDirectory,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<About, Fault> {
        let fields = self.call("hello", &[], patience, interrupt)?;
        let optional = |key| fields.text(key).map(str::to_owned);
        self.pid = required(&fields, "pid")? as u32;
        Ok(About {
            pid: self.pid,
            processes: vec![self.pid],
            ruby: optional("ruby").unwrap_or_default(),
            engine: optional("engine").unwrap_or_default(),
            platform: optional("platform").unwrap_or_default(),
            rack: optional("rack"),
            rails: optional("rails"),
            puma: optional("puma"),
            jit: optional("jit"),
            threads: required(&fields, "threads")?,
            port: None,
            agent_directory: directory.path().to_owned(),
        })
    }

    pub(crate) fn sample(&mut self, at: Duration, interrupt: &Interrupt) -> Result<Sample, Fault> {
        let fields = self.call("sample", &[], PATIENCE, interrupt)?;
        let (rss, pss) = memory(Pid(self.pid)).ok_or(Fault::Closed)?;
        let bytes = |key| fields.number(key).map(Bytes);
        Ok(Sample {
            live_slots: Objects(required(&fields, "live_slots")?),
            old_objects: Objects(required(&fields, "old_objects")?),
            slot_bytes: bytes("slot_bytes"),
            memsize: Bytes(required(&fields, "memsize")?),
            content: bytes("content_bytes"),
            malloc_in_use: bytes("malloc_in_use"),
            malloc_free: bytes("malloc_free"),
            malloc_source: fields.text("malloc_source").unwrap_or("unknown").to_owned(),
            rss,
            pss,
            gc_count: required(&fields, "gc_count")?,
            at,
        })
    }

    /// Adds a request to groups, which have commas between them.
    pub(crate) fn add_request(
        &mut self,
        request: &Request,
        groups: &str,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<(), Fault> {
        let headers: Vec<String> = request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let headers = headers.join("\n");
        let mut arguments = vec![
            ("method", request.method.as_str()),
            ("path", &request.path),
            ("headers", &headers),
            ("groups", groups),
        ];
        arguments.extend(request.body.as_deref().map(|body| ("body", body)));
        self.call("request", &arguments, patience, interrupt)?;
        Ok(())
    }

    pub(crate) fn glance(&mut self, interrupt: &Interrupt) -> Result<Glance, Fault> {
        Glance::of(&self.call("glance", &[], PATIENCE, interrupt)?)
    }

    pub(crate) fn trace(&mut self, on: bool, interrupt: &Interrupt) -> Result<(), Fault> {
        let on = if on { "1" } else { "0" };
        self.call("trace", &[("on", on)], PATIENCE, interrupt)?;
        Ok(())
    }

    /// A heap dump; `method` forces how, for tests.
    pub(crate) fn dump(
        &mut self,
        directory: &PrivateDirectory,
        method: Option<DumpMethod>,
        sink: &mut dyn Write,
        interrupt: &Interrupt,
    ) -> Result<DumpTaken, Fault> {
        let forced = method.map(|method| match method {
            DumpMethod::Direct => "direct",
            DumpMethod::Buffered => "buffered",
            DumpMethod::Forked => "forked",
        });
        let (fields, bytes) = self.piped("dump", forced, directory, sink, interrupt)?;
        let method = match fields.text("how") {
            Some("direct") => DumpMethod::Direct,
            Some("buffered") => DumpMethod::Buffered,
            Some("forked") => DumpMethod::Forked,
            other => return Err(Fault::Garbled(format!("how={other:?}"))),
        };
        let pause = fields.float("pause_ms").unwrap_or(0.0).max(0.0);
        Ok(DumpTaken {
            pid: self.pid,
            method,
            pause: Duration::try_from_secs_f64(pause / 1000.0).unwrap_or_default(),
            gc_count: required(&fields, "gc_count")?,
            bytes: Bytes(bytes),
        })
    }

    /// The sidecar of names.
    pub(crate) fn names(
        &mut self,
        directory: &PrivateDirectory,
        sink: &mut dyn Write,
        interrupt: &Interrupt,
    ) -> Result<(), Fault> {
        self.piped("names", None, directory, sink, interrupt)?;
        Ok(())
    }

    /// The named containers with their sizes.
    pub(crate) fn census(
        &mut self,
        directory: &PrivateDirectory,
        interrupt: &Interrupt,
    ) -> Result<Vec<Container>, Fault> {
        let mut bytes = Vec::new();
        self.piped("census", None, directory, &mut bytes, interrupt)?;
        census::parse(&bytes)
    }

    fn piped(
        &mut self,
        name: &str,
        how: Option<&str>,
        directory: &PrivateDirectory,
        sink: &mut dyn Write,
        interrupt: &Interrupt,
    ) -> Result<(Fields, u64), Fault> {
        let pipe = directory.pipe().map_err(Fault::System)?;
        let path = pipe.path.to_string_lossy().into_owned();
        let mut arguments = vec![("path", path.as_str())];
        arguments.extend(how.map(|how| ("how", how)));
        let line = command(name, &arguments);
        self.connection
            .call_with_pipe(&line, pipe, sink, PATIENCE, interrupt)
    }

    pub(crate) fn call(
        &mut self,
        name: &str,
        arguments: &[(&str, &str)],
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<Fields, Fault> {
        self.connection
            .call(&command(name, arguments), patience, interrupt)
    }
}

/// Resident and proportional set size of a process; `None` once it has gone.
fn memory(pid: Pid) -> Option<(Bytes, Option<Bytes>)> {
    match smaps_rollup::read(pid) {
        Ok(memory) => Some((memory.rss, Some(memory.pss))),
        // Older than Linux 4.14, or not allowed.
        Err(_) => Some((status::read(pid).ok()?.rss?, None)),
    }
}

pub(crate) fn required(fields: &Fields, key: &str) -> Result<u64, Fault> {
    fields
        .number(key)
        .ok_or_else(|| Fault::Garbled(format!("{key} is missing")))
}
