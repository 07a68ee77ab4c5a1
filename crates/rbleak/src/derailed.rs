//! derailed_benchmarks' environment variables as defaults for the flags of
//! `hunt`, so that a command line that worked there works here.
//!
//! Meanings are those of its `lib/derailed_benchmarks/load_tasks.rb`. This
//! module must not read the environment itself: it is handed the pairs.

use std::ffi::OsString;

/// What the environment asks for; a flag goes before each of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// `TEST_COUNT` (or `CNT`): requests per round.
    pub(crate) requests: Option<u64>,
    /// `WARM_COUNT`: requests before the first sample.
    pub(crate) warmup: Option<u64>,
    /// `PATH_TO_HIT` (or `ENDPOINT`).
    pub(crate) path: Option<String>,
    /// `REQUEST_METHOD`.
    pub(crate) method: Option<String>,
    /// `REQUEST_BODY`.
    pub(crate) body: Option<String>,
    /// `HTTP_…` as headers, by name.
    pub(crate) headers: Vec<(String, String)>,
    /// `USE_SERVER`: the handler that `rackup -s` takes.
    pub(crate) server: Option<String>,
    /// `RAILS_ENV`, else `RACK_ENV`.
    pub(crate) environment: Option<String>,
}

/// Not headers: settings of HTTP clients, and of derailed's own server.
const NO_HEADERS: [&str; 4] = [
    "HTTP_PROXY",
    "HTTP_PORT",
    "HTTP_HOST",
    "HTTP_PROXY_REQUEST_FULLURI",
];

impl Defaults {
    /// Reads `variables`.
    ///
    /// # Errors
    /// One sentence for a value that does not parse.
    pub(crate) fn read(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Defaults, String> {
        let mut all: Vec<(String, String)> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        all.sort();
        let get = |name: &str| {
            all.iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        let count = |name: &str| -> Result<Option<u64>, String> {
            get(name)
                .map(|value| {
                    value.trim().parse().map_err(|_| {
                        format!(
                            "{name}={value} is not a number of requests: set it to a whole number or unset it"
                        )
                    })
                })
                .transpose()
        };
        Ok(Defaults {
            requests: count("TEST_COUNT")?.or(count("CNT")?),
            warmup: count("WARM_COUNT")?,
            path: get("PATH_TO_HIT").or(get("ENDPOINT")),
            method: get("REQUEST_METHOD"),
            body: get("REQUEST_BODY"),
            headers: all
                .iter()
                .filter(|(key, _)| !NO_HEADERS.contains(&key.as_str()))
                .filter_map(|(key, value)| Some((key.strip_prefix("HTTP_")?, value)))
                .filter(|(name, _)| !name.is_empty())
                .map(|(name, value)| (header_name(name), value.clone()))
                .collect(),
            server: get("USE_SERVER"),
            environment: get("RAILS_ENV").or(get("RACK_ENV")),
        })
    }
}

/// `ACCEPT_CHARSET` → `Accept-Charset`.
fn header_name(variable: &str) -> String {
    variable
        .split('_')
        .map(|word| {
            let mut letters = word.chars();
            let first: String = letters
                .next()
                .map(|c| c.to_ascii_uppercase())
                .into_iter()
                .collect();
            first + &letters.as_str().to_ascii_lowercase()
        })
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Defaults, String> {
        Defaults::read(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())))
    }

    #[test]
    fn every_variable_has_its_flag() {
        let found = read(&[
            ("TEST_COUNT", "500"),
            ("WARM_COUNT", "10"),
            ("PATH_TO_HIT", "/users"),
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_BODY", "a=1"),
            ("HTTP_ACCEPT_CHARSET", "utf-8"),
            ("HTTP_PROXY", "http://localhost:1"),
            ("USE_SERVER", "puma"),
            ("RACK_ENV", "staging"),
        ])
        .unwrap();
        assert_eq!(found.requests, Some(500));
        assert_eq!(found.warmup, Some(10));
        assert_eq!(found.path.as_deref(), Some("/users"));
        assert_eq!(
            found.headers,
            [("Accept-Charset".to_owned(), "utf-8".to_owned())]
        );
        assert_eq!(found.environment.as_deref(), Some("staging"));
    }

    #[test]
    fn a_count_that_is_none_is_refused_by_name() {
        let error = read(&[("TEST_COUNT", "abc")]).unwrap_err();
        assert!(
            error.starts_with("TEST_COUNT=abc is not a number"),
            "{error}"
        );
    }

    #[test]
    fn empty_is_unset() {
        assert_eq!(read(&[("TEST_COUNT", "")]), Ok(Defaults::default()));
    }
}
