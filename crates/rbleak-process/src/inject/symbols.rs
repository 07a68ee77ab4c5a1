//! Where in a process Ruby's entries lie, and an instruction that calls the
//! kernel. From files and mappings alone: the process is not touched.

use std::fs::File;
use std::os::unix::fs::FileExt;

use memchr::memmem;
use object::{Object, ObjectSymbol};

use super::native::not_permitted;
use super::{InjectError, arch};
use crate::maps::{self, Backing, Mapping};
use crate::{Pid, exports, procfs, ruby};

const EVAL: &str = "rb_eval_string";

/// Addresses in the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entries {
    pub(super) eval: u64,
    pub(super) postpone: Postpone,
    pub(super) syscall: u64,
}

/// How this Ruby takes a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Postpone {
    /// `rb_postponed_job_register_one(flags, function, data)`: up to 4.0.
    RegisterOne(u64),
    /// `rb_postponed_job_preregister(flags, function, data)` answers a handle
    /// for `rb_postponed_job_trigger(handle)`: 3.3 and later.
    Trigger { preregister: u64, trigger: u64 },
}

/// Finds what an injection needs.
pub(super) fn find(pid: Pid) -> Result<Entries, InjectError> {
    let mappings = maps::read(pid)?;
    let (eval, postpone) = entries(pid, &mappings)?;
    Ok(Entries {
        eval,
        postpone,
        syscall: syscall_in(pid, &mappings)?,
    })
}

/// Finds an instruction that calls the kernel.
pub(super) fn syscall(pid: Pid) -> Result<u64, InjectError> {
    syscall_in(pid, &maps::read(pid)?)
}

fn entries(pid: Pid, mappings: &[Mapping]) -> Result<(u64, Postpone), InjectError> {
    let mut missing = EVAL;
    for mapping in mappings.iter().filter(|mapping| mapping.offset == 0) {
        if !ruby::is_ruby(std::slice::from_ref(mapping)) {
            continue;
        }
        let Ok(bytes) = procfs::mapped_file(pid, mapping) else {
            continue;
        };
        let Ok(file) = object::File::parse(&*bytes) else {
            continue;
        };
        let bias = exports::bias(&file, mapping);
        let address = |name: &str| {
            let mut symbols = file.dynamic_symbols().chain(file.symbols());
            let found = symbols.find(|it| it.is_definition() && it.name() == Ok(name));
            found.map(|symbol| symbol.address().wrapping_add(bias))
        };
        let Some(eval) = address(EVAL) else {
            continue;
        };
        let trigger =
            address("rb_postponed_job_preregister").zip(address("rb_postponed_job_trigger"));
        let one = address("rb_postponed_job_register_one");
        match (trigger, one) {
            (Some((preregister, trigger)), _) => {
                let postpone = Postpone::Trigger {
                    preregister,
                    trigger,
                };
                return Ok((eval, postpone));
            }
            (None, Some(one)) => return Ok((eval, Postpone::RegisterOne(one))),
            (None, None) => missing = "rb_postponed_job_register_one",
        }
    }
    Err(InjectError::NoSymbol {
        pid,
        symbol: missing,
    })
}

/// The kernel maps one, and libraries have some more.
fn syscall_in(pid: Pid, mappings: &[Mapping]) -> Result<u64, InjectError> {
    let system = |source| InjectError::System { pid, source };
    let memory = File::open(procfs::path(pid, "mem")).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => not_permitted(pid),
        _ => system(error),
    })?;
    let is_meant = |mapping: &&Mapping| {
        let named = match &mapping.backing {
            Backing::File(file) => {
                let name = file.name();
                arch::LIBRARIES.iter().any(|it| name.starts_with(it))
            }
            Backing::Kernel(name) => name == "vdso",
            _ => false,
        };
        mapping.access.execute && named
    };
    for mapping in mappings.iter().filter(is_meant) {
        let mut text = vec![0; usize::try_from(mapping.size().0).unwrap_or_default()];
        if memory.read_exact_at(&mut text, mapping.start.0).is_err() {
            continue;
        }
        let mut found = memmem::find_iter(&text, &arch::SYSCALL);
        if let Some(at) = found.find(|at| at.is_multiple_of(arch::ALIGNMENT)) {
            return Ok(mapping.start.0 + at as u64);
        }
    }
    Err(InjectError::Failed {
        pid,
        what: "no instruction was found in it that calls the kernel".to_owned(),
    })
}
