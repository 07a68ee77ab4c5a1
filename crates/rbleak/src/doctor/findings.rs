//! What is wrong with what was found, why it matters, and what mends it.

use super::look::Looked;
use rbleak_process::allocator::{AllocatorKind, ArenaMax, Preload, PreloadFailure};
use rbleak_process::thp::HugePages;

/// Something that is set and does not work, or that costs memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A name that stays: `preload-not-mapped`.
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) evidence: Vec<String>,
    pub(crate) why: &'static str,
    pub(crate) fix: Fix,
}

/// What mends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fix {
    /// In a sentence.
    pub(crate) text: String,
    /// Variables to set; an empty value: to remove.
    pub(crate) set: Vec<(String, String)>,
    /// A package of Debian's that it needs.
    pub(crate) package: Option<&'static str>,
    /// Only works behind the wrapper that clears it.
    pub(crate) behind_wrapper: bool,
}

/// More arenas than this are too many to be called limited.
const FEW_ARENAS: u32 = 4;
/// Huge pages below this share of the memory do not matter.
const MUCH: f64 = 0.25;
const JEMALLOC: &str = "libjemalloc.so.2";

/// What is wrong, the gravest first.
pub(crate) fn findings(looked: &Looked) -> Vec<Finding> {
    [
        preload_not_mapped(looked),
        preload_lost(looked),
        several(looked),
        arenas_invalid(looked),
        arenas_without_effect(looked),
        arenas_above_limit(looked),
        malloc_conf_without_effect(looked),
        glibc_unlimited(looked),
        huge_pages(looked),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn set(name: &str, value: impl Into<String>) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.into())]
}

fn preload_not_mapped(looked: &Looked) -> Option<Finding> {
    let Preload::NotMapped { path } = &looked.allocator.preload else {
        return None;
    };
    let why = looked
        .why_not_preloaded
        .unwrap_or(PreloadFailure::Unexplained);
    let reason = match why {
        PreloadFailure::Missing => "there is no such file",
        PreloadFailure::NoLibrary => "the file is no shared library",
        PreloadFailure::OtherMachine => "the library is for another machine than the program",
        PreloadFailure::OtherLibc => "the library is for another C library than the program's",
        PreloadFailure::SetUser => "the program changes its user at the start",
        PreloadFailure::Unexplained => "the file is there, and the loader did not take it",
    };
    let all = looked.ld_preload.clone().unwrap_or_default();
    let names = |with: &str| {
        let parts = all.split([' ', ':']).filter(|part| !part.is_empty());
        let kept = parts.filter_map(|part| match part == path.as_str() {
            true => Some(with).filter(|with| !with.is_empty()),
            false => Some(part),
        });
        kept.collect::<Vec<_>>().join(":")
    };
    let fix = match (why, &looked.instead) {
        (PreloadFailure::SetUser, _) => Fix {
            text: "start the program as its user, without set-user-ID or capabilities".to_owned(),
            ..Fix::default()
        },
        (_, Some(found)) => Fix {
            text: format!("name the one that is there, {found}"),
            set: set("LD_PRELOAD", names(found)),
            ..Fix::default()
        },
        (_, None) if path.contains("jemalloc") => Fix {
            text: "install jemalloc, and name it without a folder".to_owned(),
            set: set("LD_PRELOAD", names(JEMALLOC)),
            package: Some("libjemalloc2"),
            ..Fix::default()
        },
        (_, None) => Fix {
            text: "install the library, or take its name out of LD_PRELOAD".to_owned(),
            set: set("LD_PRELOAD", names("")),
            ..Fix::default()
        },
    };
    Some(Finding {
        id: "preload-not-mapped",
        what: format!("LD_PRELOAD names {path}, which is not loaded"),
        evidence: vec![
            reason.to_owned(),
            format!("malloc is {}'s", looked.allocator.name()),
        ],
        why: "the loader warns on stderr and goes on: the process runs on the C library's malloc",
        fix,
    })
}

fn preload_lost(looked: &Looked) -> Option<Finding> {
    let (name, pid, value) = looked.ancestor.as_ref()?;
    // What it has in its place is told of by itself.
    if looked.allocator.kind != AllocatorKind::Glibc && looked.allocator.kind != AllocatorKind::Musl
    {
        return None;
    }
    if matches!(looked.allocator.preload, Preload::NotMapped { .. }) {
        return None;
    }
    let own = match &looked.ld_preload {
        Some(own) => format!("process {} has LD_PRELOAD={own}", looked.pid),
        None => format!("process {} has no LD_PRELOAD", looked.pid),
    };
    Some(Finding {
        id: "preload-lost",
        what: format!("LD_PRELOAD={value} does not reach the process"),
        evidence: vec![format!("process {pid} ({name}), above it, has it"), own],
        why: "a wrapper, sudo or a service manager between them clears or overrides it",
        fix: Fix {
            text: "set it behind what clears it: in the last wrapper before ruby".to_owned(),
            set: set("LD_PRELOAD", value.clone()),
            behind_wrapper: true,
            ..Fix::default()
        },
    })
}

fn several(looked: &Looked) -> Option<Finding> {
    if looked.allocator.beside.is_empty() {
        return None;
    }
    Some(Finding {
        id: "several-allocators",
        what: format!(
            "{} is used, and other allocators are loaded beside it",
            looked.allocator.name()
        ),
        evidence: looked.allocator.beside.clone(),
        why: "memory of one that is freed by the other crashes; at best one of them is dead weight",
        fix: Fix {
            text: "leave one of them in LD_PRELOAD, and none where one is linked in".to_owned(),
            set: set("LD_PRELOAD", ""),
            ..Fix::default()
        },
    })
}

fn arenas_invalid(looked: &Looked) -> Option<Finding> {
    let ArenaMax::Invalid { value, variable } = &looked.allocator.arena_max else {
        return None;
    };
    Some(Finding {
        id: "arena-max-invalid",
        what: format!("{variable} is {value:?}, which is no number of arenas"),
        evidence: vec![looked.allocator.summary()],
        why: "glibc takes it for no limit, or for another one",
        fix: Fix {
            text: "give a number".to_owned(),
            set: set("MALLOC_ARENA_MAX", "2"),
            ..Fix::default()
        },
    })
}

fn arenas_without_effect(looked: &Looked) -> Option<Finding> {
    let ArenaMax::Limit { arenas, variable } = &looked.allocator.arena_max else {
        return None;
    };
    if looked.allocator.kind == AllocatorKind::Glibc {
        return None;
    }
    Some(Finding {
        id: "arena-max-without-effect",
        what: format!("{variable} limits arenas to {arenas}, which only glibc reads"),
        evidence: vec![format!("malloc is {}'s", looked.allocator.name())],
        why: "it does nothing; jemalloc's own setting is MALLOC_CONF=narenas:2",
        fix: Fix {
            text: "remove it".to_owned(),
            set: set(variable, ""),
            ..Fix::default()
        },
    })
}

fn arenas_above_limit(looked: &Looked) -> Option<Finding> {
    let ArenaMax::Limit { arenas, variable } = &looked.allocator.arena_max else {
        return None;
    };
    let counted = looked.arenas?;
    if looked.allocator.kind != AllocatorKind::Glibc || counted <= *arenas as usize {
        return None;
    }
    Some(Finding {
        id: "arena-max-exceeded",
        what: format!("{variable} allows {arenas} arenas, and there are {counted}"),
        evidence: vec!["counted in the mappings of the process".to_owned()],
        why: "the program sets its own limit by mallopt, or set the variable after it had started",
        fix: Fix {
            text: "set it before the process starts, not within it".to_owned(),
            set: set(variable, arenas.to_string()),
            ..Fix::default()
        },
    })
}

fn malloc_conf_without_effect(looked: &Looked) -> Option<Finding> {
    let conf = looked.allocator.malloc_conf.as_ref()?;
    if looked.allocator.kind == AllocatorKind::Jemalloc {
        return None;
    }
    Some(Finding {
        id: "malloc-conf-without-effect",
        what: format!("MALLOC_CONF is {conf}, which only jemalloc reads"),
        evidence: vec![format!("malloc is {}'s", looked.allocator.name())],
        why: "somebody meant jemalloc to be there",
        fix: Fix {
            text: "load jemalloc".to_owned(),
            set: set("LD_PRELOAD", JEMALLOC),
            package: Some("libjemalloc2"),
            ..Fix::default()
        },
    })
}

fn glibc_unlimited(looked: &Looked) -> Option<Finding> {
    if looked.allocator.kind != AllocatorKind::Glibc {
        return None;
    }
    let limit = match &looked.allocator.arena_max {
        ArenaMax::NotSet => "MALLOC_ARENA_MAX is not set".to_owned(),
        ArenaMax::Limit { arenas, .. } if *arenas > FEW_ARENAS => {
            format!("MALLOC_ARENA_MAX allows {arenas} arenas")
        }
        _ => return None,
    };
    let counted = looked.arenas.map(|n| match n {
        1 => "1 arena now".to_owned(),
        n => format!("{n} arenas now"),
    });
    let threads = looked.threads.map(|n| match n {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads"),
    });
    let mut evidence = vec![limit];
    evidence.extend(counted);
    evidence.extend(threads);
    Some(Finding {
        id: "glibc-arenas-unlimited",
        what: format!(
            "{} without a limit of arenas: up to eight for each core",
            looked.allocator.name()
        ),
        evidence: vec![evidence.join(", ")],
        why: "each thread frees into its own arena, which the others cannot use: RSS grows with threads and time",
        fix: Fix {
            text: "limit the arenas, or load jemalloc (LD_PRELOAD=libjemalloc.so.2)".to_owned(),
            set: set("MALLOC_ARENA_MAX", "2"),
            ..Fix::default()
        },
    })
}

fn huge_pages(looked: &Looked) -> Option<Finding> {
    let memory = looked.memory?;
    let share = memory.huge.as_f64() / memory.rss.as_f64().max(1.0);
    if looked.huge_pages != Some(HugePages::Always) || share < MUCH {
        return None;
    }
    Some(Finding {
        id: "huge-pages",
        what: format!("{} of {} RSS lie in huge pages", memory.huge, memory.rss),
        evidence: vec!["transparent_hugepage/enabled is always".to_owned()],
        why: "a page of 2 MB stays as long as anything in it does, and is copied whole after a fork",
        fix: Fix {
            text: "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled".to_owned(),
            ..Fix::default()
        },
    })
}

/// Heroku's slugs have no apt: a buildpack brings jemalloc and sets the
/// variable itself.
const BUILDPACK: [&str; 2] = [
    "heroku buildpacks:add --index 1 https://github.com/gaffneyc/heroku-buildpack-jemalloc",
    "heroku config:set JEMALLOC_ENABLED=true",
];

impl Fix {
    /// The same for each way to run an app: its name, and the lines to write.
    pub(crate) fn places(&self) -> Vec<(&'static str, Vec<String>)> {
        if self.set.is_empty() {
            return Vec::new();
        }
        if self.behind_wrapper {
            let all = self.set.iter().map(|(n, v)| format!("{n}={}", quoted(v)));
            let all = all.collect::<Vec<_>>().join(" ");
            return vec![
                ("docker", vec![format!("CMD wrapper env {all} ruby …")]),
                ("heroku", vec![format!("web: wrapper env {all} ruby …")]),
                (
                    "systemd",
                    vec![format!("ExecStart=wrapper env {all} ruby …")],
                ),
                ("shell", vec![format!("wrapper env {all} ruby …")]),
            ];
        }
        let each = |first: Option<String>, to: &dyn Fn(&str, &str) -> String| {
            let all = self.set.iter().map(|(name, value)| to(name, value));
            first.into_iter().chain(all).collect::<Vec<String>>()
        };
        let install = |before: &str| self.package.map(|package| format!("{before} {package}"));
        let docker = |name: &str, value: &str| format!("ENV {name}={}", quoted(value));
        let heroku = |name: &str, value: &str| match value {
            "" => format!("heroku config:unset {name}"),
            _ => format!("heroku config:set {name}={}", quoted(value)),
        };
        let systemd = |name: &str, value: &str| match value {
            "" => format!("UnsetEnvironment={name}"),
            _ => format!("Environment=\"{name}={value}\""),
        };
        let shell = |name: &str, value: &str| match value {
            "" => format!("unset {name}"),
            _ => format!("export {name}={}", quoted(value)),
        };
        const APT: &str = "apt-get install -y --no-install-recommends";
        vec![
            (
                "docker",
                each(install(&format!("RUN apt-get update && {APT}")), &docker),
            ),
            (
                "heroku",
                match self.package {
                    Some("libjemalloc2") => BUILDPACK.map(str::to_owned).to_vec(),
                    _ => each(None, &heroku),
                },
            ),
            (
                "systemd",
                each(install(&format!("# as root: {APT}")), &systemd),
            ),
            ("shell", each(install(APT), &shell)),
        ]
    }
}

/// For a shell, where it is not plain.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:+,=".contains(c);
    match value.chars().all(plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}
