//! `--memory`, and what there is without it.
//!
//! Before dumps are read their need is estimated; while they are read it is
//! held to what is allowed. Knows no columns: the library counts.

use crate::shell;
use anyhow::{Result, anyhow, bail};
use rbleak_heap::{Analysis, Extent, Memory, estimate};
use rbleak_process::available;
use rbleak_units::Bytes;
use std::path::{Path, PathBuf};

/// Reads a size with its unit.
pub(crate) fn size(text: &str) -> Result<Bytes, String> {
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    match text.parse::<bytesize::ByteSize>() {
        Ok(size) if has_unit && size.as_u64() > 0 => Ok(Bytes(size.as_u64())),
        _ => Err("expected a size with its unit, such as 2GiB, 500MB or 1.5G".to_owned()),
    }
}

/// A dump, and whether its references are read.
pub(crate) type Wanted<'a> = (&'a Path, bool);

/// What the dumps may take: as much as `flag` says, or as there is. Refuses
/// what is known to need more, and warns of what is more than free now.
pub(crate) fn allow(
    flag: Option<Bytes>,
    analysis: Analysis,
    dumps: &[Wanted<'_>],
) -> Result<Memory> {
    let here = available::read().ok();
    let Some(allowed) = flag.or(here.map(|here| here.total)) else {
        return Ok(Memory::unlimited());
    };
    let mut known: Vec<Extent> = Vec::new();
    for (path, references) in dumps {
        // What cannot be read at all is told by who reads it.
        known.extend(estimate(path, *references).ok().flatten());
    }
    if known.is_empty() {
        return Ok(Memory::limited(allowed, analysis));
    }
    let needed = Memory::needed(analysis, &known);
    if needed > allowed {
        bail!(refusal(flag, analysis, &known, needed, allowed));
    }
    if let Some(here) = here
        && needed > here.free
        && flag.is_none()
    {
        shell::warn(&format!(
            "this needs about {needed} of memory, and {} are free {}: it may be killed, or everything may get slow",
            here.free,
            place(here.is_group)
        ));
    }
    Ok(Memory::limited(allowed, analysis))
}

/// What may be taken while others go on: as much as `flag` says, or as is
/// free.
pub(crate) fn beside(flag: Option<Bytes>, analysis: Analysis) -> Memory {
    let free = || Some(available::read().ok()?.free);
    match flag.or_else(free) {
        Some(allowed) => Memory::limited(allowed, analysis),
        None => Memory::unlimited(),
    }
}

fn refusal(
    flag: Option<Bytes>,
    analysis: Analysis,
    known: &[Extent],
    needed: Bytes,
    allowed: Bytes,
) -> String {
    let by = match flag {
        Some(_) => format!("--memory allows {allowed}: allow more"),
        None => format!("there are {allowed}: take a machine or a container with more"),
    };
    let less = match analysis {
        Analysis::Holders => {
            let without: Vec<Extent> = known
                .iter()
                .map(|heap| Extent {
                    references: 0,
                    is_linked: false,
                    ..*heap
                })
                .collect();
            let less = Memory::needed(Analysis::Diff, &without);
            format!("; without --holders about {less} will do")
        }
        _ => String::new(),
    };
    format!("this needs about {needed} of memory, and {by}{less}")
}

fn place(is_group: bool) -> &'static str {
    match is_group {
        true => "in this container or control group",
        false => "on this machine",
    }
}

/// The same sentence for what turned out to need more while it was read.
pub(crate) fn told(flag: Option<Bytes>, error: rbleak_heap::ReadError) -> anyhow::Error {
    match (error, flag) {
        (
            rbleak_heap::ReadError::TooLarge {
                name,
                needed,
                allowed,
                is_least,
                ..
            },
            Some(_),
        ) => {
            let about = if is_least { "more than" } else { "about" };
            anyhow!(
                "{name} needs {about} {needed} of memory, and --memory allows {allowed}: allow more"
            )
        }
        (error, _) => error.into(),
    }
}

/// What is wanted of several dumps alike.
pub(crate) fn all(dumps: &[PathBuf], references: bool) -> Vec<Wanted<'_>> {
    dumps
        .iter()
        .map(|path| (path.as_path(), references))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_and_is_one() {
        for (text, bytes) in [
            ("2GiB", 2 << 30),
            ("500MB", 500_000_000),
            ("1.5G", 1_500_000_000),
            ("1.5 GiB", 3 << 29),
            ("64k", 64_000),
            ("900000000b", 900_000_000),
        ] {
            assert_eq!(size(text), Ok(Bytes(bytes)), "{text}");
        }
        for text in [
            "", "2", "GiB", "-1GB", "2 GiB!", "1.2.3MB", "0GB", "2Gigs", "inf", "1e3MB",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
