//! The environment in which allocators keep no caches for their threads. Pure:
//! from what is inherited to what is set.
//!
//! What an allocator holds back for a thread (glibc's tcache, up to 230 kB of each
//! thread; jemalloc's, up to some megabytes) counts as in use in the figures that
//! it gives of itself. Which thread serves a request is left to chance, so that
//! these caches fill for hundreds of requests after everything else is flat: in
//! a Puma of five threads that leaked nothing, malloc's bytes in use grew by 80 to
//! 270 B per request, and by none (at most 13 B) without them.
//!
//! Sources: glibc's manual, "Memory Allocation Tunables"; jemalloc(3), `opt.tcache`.

use std::ffi::{OsStr, OsString};

const GLIBC: &str = "GLIBC_TUNABLES";
const JEMALLOC: &str = "MALLOC_CONF";

/// The variables to set; `inherited` knows those that are there. Each allocator
/// reads its own and knows nothing of the other's. What the user has set of thread
/// caches stays.
pub(crate) fn without(
    inherited: impl Fn(&str) -> Option<OsString>,
) -> impl Iterator<Item = (&'static str, OsString)> {
    let off = [
        (GLIBC, ":", "glibc.malloc.tcache_count=", "0"),
        (JEMALLOC, ",", "tcache:", "false"),
    ];
    off.into_iter()
        .filter_map(move |(variable, separator, option, value)| {
            let mut all = inherited(variable).unwrap_or_default();
            if mentions(&all, separator, option) {
                return None;
            }
            if !all.is_empty() {
                all.push(separator);
            }
            all.push(option);
            all.push(value);
            Some((variable, all))
        })
}

fn mentions(all: &OsStr, separator: &str, option: &str) -> bool {
    let all = all.to_string_lossy();
    all.split(separator).any(|one| one.starts_with(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tunables: Option<&str>, conf: Option<&str>) -> Vec<(&'static str, String)> {
        without(|name| match name {
            GLIBC => tunables.map(OsString::from),
            _ => conf.map(OsString::from),
        })
        .map(|(name, value)| (name, value.into_string().expect("text")))
        .collect()
    }

    #[test]
    fn what_is_set_already_stays() {
        let alone = [
            (GLIBC, "glibc.malloc.tcache_count=0".to_owned()),
            (JEMALLOC, "tcache:false".to_owned()),
        ];
        assert_eq!(set(None, None), alone);
        assert_eq!(set(Some(""), Some("")), alone);
        assert_eq!(
            set(Some("glibc.malloc.arena_max=2"), Some("narenas:2")),
            [
                (
                    GLIBC,
                    "glibc.malloc.arena_max=2:glibc.malloc.tcache_count=0".to_owned()
                ),
                (JEMALLOC, "narenas:2,tcache:false".to_owned()),
            ]
        );
        assert_eq!(
            set(
                Some("glibc.malloc.tcache_count=7"),
                Some("background_thread:true,tcache:true")
            ),
            []
        );
    }

    #[test]
    fn an_option_is_no_prefix_of_another() {
        let [_, jemalloc] = &set(None, Some("tcache_max:4096"))[..] else {
            panic!("two variables")
        };
        assert_eq!(jemalloc.1, "tcache_max:4096,tcache:false");
    }
}
