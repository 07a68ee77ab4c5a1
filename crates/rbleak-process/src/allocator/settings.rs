//! How many arenas glibc may make; see mallopt(3) and the GNU C library's
//! manual, "Memory Allocation Tunables".

use std::fmt;

use crate::environ::Variables;

/// The limit of glibc's arenas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArenaMax {
    /// Not limited: up to eight arenas for each core.
    NotSet,
    /// Limited.
    Limit {
        /// How many arenas there may be.
        arenas: u32,
        /// The variable that says so.
        variable: &'static str,
    },
    /// Set to what is no number of arenas. Versions of glibc differ in what
    /// they make of it.
    Invalid {
        /// The value.
        value: String,
        /// The variable that says so.
        variable: &'static str,
    },
    /// The process has overwritten its environment.
    Unknown,
}

impl ArenaMax {
    pub(super) fn of(variables: Option<&Variables>) -> ArenaMax {
        let Some(variables) = variables else {
            return ArenaMax::Unknown;
        };
        // GLIBC_TUNABLES wins over the older variable.
        let tunable = variables
            .get("GLIBC_TUNABLES")
            .and_then(|tunables| {
                let mut settings = tunables.split(':');
                settings.find_map(|setting| setting.strip_prefix("glibc.malloc.arena_max="))
            })
            .map(|value| ("GLIBC_TUNABLES", value));
        let older = || {
            let value = variables.get("MALLOC_ARENA_MAX")?;
            Some(("MALLOC_ARENA_MAX", value))
        };
        let Some((variable, value)) = tunable.or_else(older) else {
            return ArenaMax::NotSet;
        };
        match value.parse() {
            Ok(arenas) if arenas > 0 => ArenaMax::Limit { arenas, variable },
            _ => ArenaMax::Invalid {
                value: value.to_owned(),
                variable,
            },
        }
    }
}

impl fmt::Display for ArenaMax {
    /// A clause: `MALLOC_ARENA_MAX is 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArenaMax::NotSet => f.write_str("MALLOC_ARENA_MAX is not set"),
            ArenaMax::Limit {
                arenas,
                variable: "MALLOC_ARENA_MAX",
            } => write!(f, "MALLOC_ARENA_MAX is {arenas}"),
            ArenaMax::Limit { arenas, variable } => {
                write!(f, "{variable} sets arena_max to {arenas}")
            }
            ArenaMax::Invalid { value, variable } => {
                write!(f, "{variable} gives no number of arenas: {value:?}")
            }
            ArenaMax::Unknown => {
                f.write_str("MALLOC_ARENA_MAX is unknown (the process's title overwrote it)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arena_max<const N: usize>(variables: [(&str, &str); N]) -> String {
        ArenaMax::of(Some(&variables.into_iter().collect())).to_string()
    }

    #[test]
    fn both_variables_are_read() {
        assert_eq!(arena_max([]), "MALLOC_ARENA_MAX is not set");
        assert_eq!(
            arena_max([("MALLOC_ARENA_MAX", "2")]),
            "MALLOC_ARENA_MAX is 2"
        );
        assert_eq!(
            arena_max([
                ("MALLOC_ARENA_MAX", "2"),
                (
                    "GLIBC_TUNABLES",
                    "glibc.malloc.check=1:glibc.malloc.arena_max=1"
                ),
            ]),
            "GLIBC_TUNABLES sets arena_max to 1"
        );
    }

    #[test]
    fn what_is_no_number_is_shown() {
        for value in ["", "0", "two", "-1", "2 "] {
            assert_eq!(
                arena_max([("MALLOC_ARENA_MAX", value)]),
                format!("MALLOC_ARENA_MAX gives no number of arenas: {value:?}")
            );
        }
    }

    #[test]
    fn an_overwritten_environment_says_nothing() {
        assert_eq!(ArenaMax::of(None), ArenaMax::Unknown);
    }
}
