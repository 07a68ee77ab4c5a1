//! Everything of a process that a doctor asks for, read at one moment.

use anyhow::{Result, bail};
use rbleak_process::allocator::{self, Allocator, Preload, PreloadFailure};
use rbleak_process::cgroup::{self, MemoryLimit};
use rbleak_process::environ::{self, Environment};
use rbleak_process::smaps_rollup::{self, MemoryRollup};
use rbleak_process::thp::{self, HugePages};
use rbleak_process::{Pid, arenas, maps, ruby, stat, status, tree};
use std::path::Path;

/// A process as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    pub(crate) pid: Pid,
    pub(crate) name: String,
    /// What `ruby -v` would say.
    pub(crate) ruby: Option<String>,
    pub(crate) allocator: Allocator,
    pub(crate) why_not_preloaded: Option<PreloadFailure>,
    /// A library of the name that LD_PRELOAD asks for, where there is one.
    pub(crate) instead: Option<String>,
    /// LD_PRELOAD as the process has it.
    pub(crate) ld_preload: Option<String>,
    /// An ancestor with another LD_PRELOAD: its name and PID, and its value.
    pub(crate) ancestor: Option<(String, Pid, String)>,
    /// Arenas of glibc's malloc.
    pub(crate) arenas: Option<usize>,
    pub(crate) threads: Option<u32>,
    pub(crate) memory: Option<MemoryRollup>,
    pub(crate) huge_pages: Option<HugePages>,
    pub(crate) limit: Option<MemoryLimit>,
    /// Whether YJIT is asked for; where its variables say so.
    pub(crate) yjit: Option<bool>,
    /// RUBY_GC_… and the like: names and values.
    pub(crate) settings: Vec<(String, String)>,
}

/// The first Ruby among the process and those below it.
pub(crate) fn ruby_below(pid: Pid) -> Result<Option<Pid>> {
    // Its mappings are the first that is not permitted.
    let own = maps::read(pid)?;
    if ruby::is_ruby(&own) {
        return Ok(Some(pid));
    }
    let below = tree::read(pid)?.into_iter().skip(1).map(|stat| stat.pid);
    let is_ruby = |pid: &Pid| maps::read(*pid).is_ok_and(|m| ruby::is_ruby(&m));
    Ok(below.into_iter().find(is_ruby))
}

/// Looks at a process that is to be a Ruby, or has one below it.
pub(crate) fn look(pid: Pid) -> Result<Looked> {
    let Some(ruby) = ruby_below(pid)? else {
        let name = stat::read(pid).map_or(String::new(), |stat| format!(" ({})", stat.name));
        bail!("process {pid}{name} is no Ruby, and there is none below it: give the PID of one");
    };
    look_at(ruby)
}

/// Looks at a Ruby.
pub(crate) fn look_at(pid: Pid) -> Result<Looked> {
    let allocator = allocator::read(pid)?;
    let mappings = maps::read(pid)?;
    let environment = environ::read(pid)?;
    let variables = environment.variables();
    let get = |name: &str| {
        let value = variables.and_then(|all| all.get(name));
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let ld_preload = get("LD_PRELOAD");
    let (why_not_preloaded, instead) = match &allocator.preload {
        Preload::NotMapped { path } => (
            Some(allocator::why_not_mapped(pid, path, &mappings)),
            instead_of(pid, path),
        ),
        _ => (None, None),
    };
    let settings = variables.map_or(Vec::new(), |all| {
        let names = [
            "RUBY_GC_",
            "RUBY_YJIT_",
            "RUBY_THREAD_",
            "RUBY_MAX_CPU",
            "RUBYOPT",
        ];
        let found = names.iter().flat_map(|name| all.with_prefix(name));
        let owned = found.map(|(name, value)| (name.to_owned(), value.to_owned()));
        owned.collect()
    });
    let yjit = variables.map(|all| {
        let asked = all.get("RUBYOPT").is_some_and(|o| o.contains("--yjit"));
        asked || all.get("RUBY_YJIT_ENABLE").is_some_and(|v| v == "1")
    });
    Ok(Looked {
        pid,
        name: stat::read(pid).map_or(String::new(), |stat| stat.name),
        ruby: ruby::description(pid, &mappings),
        why_not_preloaded,
        instead,
        ancestor: ancestor(pid, &environment, ld_preload.as_deref()),
        ld_preload,
        arenas: arenas::count(pid, &mappings),
        threads: status::read(pid).ok().map(|status| status.threads),
        memory: smaps_rollup::read(pid).ok(),
        huge_pages: thp::read(),
        limit: cgroup::read(pid).ok().flatten(),
        yjit,
        settings,
        allocator,
    })
}

/// A library of the same name elsewhere: not the path that was asked for.
fn instead_of(pid: Pid, path: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.find(".so").map_or(file, |end| &file[..end]);
    let root = format!("/proc/{pid}/root");
    let found = allocator::libraries(Path::new(&root), &format!("{stem}.so"));
    let found = found.iter().filter_map(|found| found.to_str());
    let shown = found.map(|found| found.strip_prefix(&root).unwrap_or(found).to_owned());
    // One for the linker alone ends in .so; the loader's has a version.
    shown
        .filter(|found| found != path)
        .max_by_key(|found| !found.ends_with(".so"))
}

/// The nearest ancestor whose LD_PRELOAD differs from the process's.
fn ancestor(
    pid: Pid,
    environment: &Environment,
    own: Option<&str>,
) -> Option<(String, Pid, String)> {
    // A process that has overwritten its environment says nothing.
    environment.variables()?;
    let mut at = stat::read(pid).ok()?.parent;
    while at.0 > 1 {
        let above = stat::read(at).ok()?;
        let variables = environ::read(at).ok();
        let value = variables.as_ref().and_then(|environment| {
            let value = environment.variables()?.get("LD_PRELOAD")?;
            (!value.is_empty()).then(|| value.to_owned())
        });
        if let Some(value) = value {
            return (own != Some(value.as_str())).then_some((above.name, at, value));
        }
        at = above.parent;
    }
    None
}
