//! The environment that a process was started with: `/proc/PID/environ`, see
//! proc_pid_environ(5). What the process sets later is not in there, which
//! is right for settings that are read once at the start, as malloc's are.
//!
//! The environment holds secrets: [`Variables`] never shows values by itself.

use std::fmt;

use crate::{Pid, ProcessError, procfs};

/// The environment of a process, as far as it is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environment {
    /// As it was at the start.
    Known(Variables),
    /// Lost: the process gave itself a title (Ruby's `$0=`) longer than its
    /// command line, and titles are written over command line and
    /// environment, the rest of which is zeroed.
    Overwritten,
}

/// Names and values.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Variables(Vec<(String, String)>);

impl Environment {
    /// The variables, unless they are lost.
    pub fn variables(&self) -> Option<&Variables> {
        match self {
            Environment::Known(variables) => Some(variables),
            Environment::Overwritten => None,
        }
    }
}

impl Variables {
    /// The value of a variable; of several with one name the first, as in
    /// getenv(3).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Variables {
    /// Those whose names begin so, in their order.
    pub fn with_prefix<'v>(&'v self, prefix: &'v str) -> impl Iterator<Item = (&'v str, &'v str)> {
        let all = self
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(move |(name, _)| name.starts_with(prefix))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let owned = |(name, value): (N, V)| (name.into(), value.into());
        Variables(variables.into_iter().map(owned).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// The environment of a process.
///
/// # Errors
/// See [`ProcessError`].
pub fn read(pid: Pid) -> Result<Environment, ProcessError> {
    Ok(parse(&procfs::bytes(pid, "environ")?))
}

/// Reads the bytes of `/proc/PID/environ`: `NAME=value`, each with a zero byte
/// behind it.
pub fn parse(bytes: &[u8]) -> Environment {
    let mut entries = bytes.split(|&byte| byte == 0).peekable();
    let untouched = match entries.peek() {
        Some(first) => bytes.is_empty() || variable(first).is_some(),
        None => true,
    };
    if untouched {
        Environment::Known(entries.filter_map(variable).collect())
    } else {
        Environment::Overwritten
    }
}

fn variable(entry: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(entry);
    let (name, value) = text.split_once('=')?;
    // POSIX allows any character but '='; shells pass on exported functions
    // as `BASH_FUNC_name%%`. A title holds blanks, a name hardly does.
    let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace());
    is_name.then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_by_name() {
        let environment = parse(b"MALLOC_ARENA_MAX=2\0EMPTY=\0A=b=c\0A=later\0");
        let variables = environment.variables().unwrap();
        assert_eq!(variables.get("MALLOC_ARENA_MAX"), Some("2"));
        assert_eq!(variables.get("EMPTY"), Some(""));
        assert_eq!(variables.get("A"), Some("b=c"));
        assert_eq!(variables.get("MALLOC"), None);
    }

    #[test]
    fn an_empty_environment_is_one() {
        assert_eq!(parse(b""), Environment::Known(Variables::default()));
    }

    #[test]
    fn a_title_that_ran_over_it_is_noticed() {
        // What Ruby leaves: the end of the title, then zeros.
        assert_eq!(
            parse(b"ter worker 0: 7712 [app]\0\0\0\0"),
            Environment::Overwritten
        );
        assert_eq!(parse(b"\0\0\0\0"), Environment::Overwritten);
        assert_eq!(parse(b" url=x\0\0"), Environment::Overwritten);
    }

    #[test]
    fn values_are_not_shown() {
        let environment = parse(b"SECRET_KEY_BASE=hunter2\0");
        assert_eq!(format!("{environment:?}"), r#"Known(["SECRET_KEY_BASE"])"#);
    }
}
