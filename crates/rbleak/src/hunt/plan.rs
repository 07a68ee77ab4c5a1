//! From flags and derailed's variables to what will be done, or to one
//! sentence that says why it cannot.

use super::args::{HuntArgs, PathsFrom};
use super::budget::Budget;
use super::command_line;
use super::traffic::Traffic;
use crate::derailed::Defaults;
use anyhow::{Context, Result, anyhow, bail};
use rbleak_capture::{Mode, Request};
use rbleak_trend::Margins;
use rbleak_units::Bytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use twox_hash::XxHash3_128;

/// What a hunt will do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The app's folder, absolute.
    pub(crate) directory: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) ruby: PathBuf,
    /// Sent in turn where there is one endpoint.
    pub(crate) requests: Vec<Request>,
    /// Where there are more, or may be.
    pub(crate) traffic: Option<Traffic>,
    /// Values of parameters, where the app is to be asked for its routes.
    pub(crate) routes: Option<BTreeMap<String, String>>,
    pub(crate) environment: Option<String>,
    pub(crate) bundler: bool,
    pub(crate) boot_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) stop_timeout: Duration,
    /// Requests before the first sample; `None`: one round.
    pub(crate) warmup: Option<u64>,
    /// Requests per round; `None`: by speed.
    pub(crate) per_round: Option<u64>,
    pub(crate) max_rounds: u32,
    /// Rounds before any verdict: a cache that is still filling looks like a
    /// leak for as long as it fills.
    pub(crate) min_rounds: u32,
    /// Where runs are kept.
    pub(crate) run_parent: PathBuf,
    pub(crate) keep_dumps: bool,
    /// What reading the dumps may take.
    pub(crate) memory: Option<Bytes>,
    pub(crate) quiet: bool,
    /// What may leak.
    pub(crate) budget: Option<Budget>,
    /// The command line that does the same again, without secrets.
    pub(crate) command: Vec<String>,
}

/// Rounds before any verdict unless the flags say otherwise.
const MIN_ROUNDS: u32 = 8;

impl Plan {
    /// Puts flags before variables before defaults.
    ///
    /// # Errors
    /// One sentence: what is missing or wrong, where, and what to do.
    pub(crate) fn new(args: &HuntArgs, defaults: &Defaults, here: &Path) -> Result<Plan> {
        let directory = match &args.directory {
            Some(given) => here.join(given),
            None => here.to_owned(),
        };
        let directory = directory
            .canonicalize()
            .with_context(|| format!("there is no folder {}", directory.display()))?;
        let environment = args.environment.clone().or(defaults.environment.clone());
        let mode = mode(args, defaults, here, &directory, environment.as_deref())?;
        let requests = match mode {
            Mode::Code { .. } => Vec::new(),
            _ => requests(args, defaults)?,
        };
        let traffic = traffic(args, &requests, here)?;
        Ok(Plan {
            // A boot needs one; it is replaced when all are known.
            requests: match &traffic {
                Some(traffic) if !traffic.requests.is_empty() => vec![traffic.requests[0].clone()],
                _ => requests,
            },
            traffic,
            routes: match args.paths_from {
                Some(PathsFrom::Routes) => Some(parameters(&args.param)?),
                None => None,
            },
            mode,
            directory,
            ruby: args.ruby.clone(),
            environment,
            bundler: !args.no_bundler,
            boot_timeout: Duration::from_secs(args.boot_timeout),
            request_timeout: Duration::from_secs(args.request_timeout),
            stop_timeout: Duration::from_secs(args.stop_timeout),
            warmup: args.warmup.or(defaults.warmup),
            per_round: match args.requests.or(defaults.requests) {
                Some(0) => bail!("TEST_COUNT=0 would send no request: set it to 1 or more"),
                given => given,
            },
            max_rounds: args.rounds.max(args.min_rounds.unwrap_or(0)),
            min_rounds: args.min_rounds.unwrap_or(MIN_ROUNDS.min(args.rounds)),
            run_parent: here.join(&args.run_dir),
            keep_dumps: args.keep_dumps == "yes",
            memory: args.memory,
            quiet: args.quiet,
            budget: args.max_leak.clone(),
            command: command_line::again(args, defaults),
        })
    }

    /// Growth below these is no leak.
    pub(crate) fn margins(&self) -> Margins {
        self.budget
            .as_ref()
            .map(Budget::margins)
            .unwrap_or_default()
    }

    /// What is hunted, in a word or two.
    pub(crate) fn target(&self) -> String {
        match &self.mode {
            Mode::InProcess { rackup } => rackup
                .strip_prefix(&self.directory)
                .unwrap_or(rackup)
                .display()
                .to_string(),
            Mode::Server { command, .. } => command.join(" "),
            Mode::Code { each, .. } => each.clone(),
        }
    }

    /// A digest of the headers and bodies that are sent; `None` where there are
    /// none.
    pub(crate) fn sent_digest(&self) -> Option<String> {
        let mut bytes = Vec::new();
        let mut is_any = false;
        let of_traffic = self.traffic.iter().flat_map(|traffic| &traffic.requests);
        for request in self.requests.iter().chain(of_traffic) {
            let headers = request.headers.iter();
            let headers = headers.flat_map(|(name, value)| [name, value]);
            for text in headers.chain(&request.body) {
                is_any = true;
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
            bytes.push(0xff);
        }
        is_any.then(|| format!("{:032x}", XxHash3_128::oneshot(&bytes)))
    }

    /// How it is driven.
    pub(crate) fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::InProcess { .. } => "in process",
            Mode::Server { .. } => "server",
            Mode::Code { .. } => "code",
        }
    }
}

fn mode(
    args: &HuntArgs,
    defaults: &Defaults,
    here: &Path,
    directory: &Path,
    environment: Option<&str>,
) -> Result<Mode> {
    if let Some(each) = &args.each {
        let boot = args.boot.as_ref().map(|file| here.join(file));
        if let Some(file) = &boot
            && !file.is_file()
        {
            bail!("there is no file {} (--boot)", file.display());
        }
        return Ok(Mode::Code {
            boot,
            each: each.clone(),
        });
    }
    let concurrency = usize::from(args.concurrency);
    if !args.command.is_empty() {
        return Ok(Mode::Server {
            command: args.command.clone(),
            port: args.port,
            concurrency,
        });
    }
    let rackup = match &args.rackup {
        Some(given) => here.join(given),
        None => directory.join("config.ru"),
    };
    if !rackup.is_file() {
        bail!(
            "there is no {}: give the app's with --rackup FILE, its folder with -C DIR, a server with -- CMD, or code with --each CODE",
            rackup.display()
        );
    }
    if let Some(server) = &defaults.server {
        return Ok(Mode::Server {
            command: rackup_command(server, &rackup, environment),
            port: None,
            concurrency,
        });
    }
    Ok(Mode::InProcess { rackup })
}

/// derailed's USE_SERVER=puma, as a command.
fn rackup_command(server: &str, rackup: &Path, environment: Option<&str>) -> Vec<String> {
    [
        "rackup",
        "-s",
        server,
        "-o",
        "127.0.0.1",
        "-p",
        "{port}",
        "-E",
        environment.unwrap_or("production"),
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([rackup.display().to_string()])
    .collect()
}

/// The endpoints that are known before the app is booted; `None` where there
/// is but one.
fn traffic(args: &HuntArgs, requests: &[Request], here: &Path) -> Result<Option<Traffic>> {
    let is_recorded = args.log.is_some() || args.har.is_some();
    let mut traffic = Traffic::default();
    let has_more = is_recorded || args.paths_from.is_some();
    if !has_more || !args.path.is_empty() {
        traffic.add_wanted(requests.iter().cloned());
    }
    let read = |file: &Path, flag: &str| {
        std::fs::read(here.join(file))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .with_context(|| format!("cannot read {} ({flag})", file.display()))
    };
    if let (Some(file), Some(like)) = (&args.log, requests.first()) {
        let added = traffic.add_log(&read(file, "--log")?, like);
        added.map_err(|why| anyhow!("cannot use {} (--log): {why}", file.display()))?;
    }
    if let Some(file) = &args.har {
        let added = traffic.add_har(&read(file, "--har")?);
        added.map_err(|why| anyhow!("cannot use {} (--har): {why}", file.display()))?;
    }
    Ok((has_more || traffic.endpoints.len() > 1).then_some(traffic))
}

fn parameters(given: &[String]) -> Result<BTreeMap<String, String>> {
    given
        .iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => bail!("--param '{text}' has no name and value: write --param id=1"),
        })
        .collect()
}

fn requests(args: &HuntArgs, defaults: &Defaults) -> Result<Vec<Request>> {
    let mut paths = args.path.clone();
    if paths.is_empty() {
        paths.push(defaults.path.clone().unwrap_or_else(|| "/".to_owned()));
    }
    let mut headers = defaults.headers.clone();
    for header in &args.header {
        let Some((name, value)) = header.split_once(':') else {
            bail!("--header '{header}' has no colon: write --header 'Name: value'");
        };
        let name = name.trim();
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let body = match args.body.as_deref() {
        Some(file) if file.starts_with('@') => {
            let file = &file[1..];
            Some(
                std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the body from {file}"))?,
            )
        }
        Some(text) => Some(text.to_owned()),
        None => defaults.body.clone(),
    };
    let method = args
        .method
        .clone()
        .or(defaults.method.clone())
        .unwrap_or_else(|| "GET".to_owned())
        .to_uppercase();
    Ok(paths
        .into_iter()
        .map(|path| Request {
            method: method.clone(),
            path: if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            },
            headers: headers.clone(),
            body: body.clone(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn plan(flags: &[&str], defaults: &Defaults) -> Result<Plan> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.ru"), "run 1").unwrap();
        let all = ["rbleak", "hunt"].iter().chain(flags);
        let Command::Hunt(args) = Cli::try_parse_from(all)?.command else {
            panic!("not a hunt");
        };
        Plan::new(&args, defaults, directory.path())
    }

    #[test]
    fn flags_go_before_variables() {
        let defaults = Defaults {
            requests: Some(7),
            warmup: Some(8),
            path: Some("variable".into()),
            headers: vec![("Accept".into(), "a".into()), ("X-A".into(), "b".into())],
            ..Defaults::default()
        };
        let found = plan(
            &[
                "--path",
                "/flag",
                "--requests",
                "9",
                "--header",
                "accept: z",
            ],
            &defaults,
        );
        let found = found.unwrap();
        assert_eq!((found.per_round, found.warmup), (Some(9), Some(8)));
        assert_eq!(found.requests[0].path, "/flag");
        assert_eq!(
            found.requests[0].headers,
            [
                ("X-A".to_owned(), "b".to_owned()),
                ("accept".to_owned(), "z".to_owned())
            ]
        );
        assert_eq!(plan(&[], &defaults).unwrap().requests[0].path, "/variable");
    }

    #[test]
    fn use_server_becomes_a_command() {
        let defaults = Defaults {
            server: Some("puma".into()),
            ..Defaults::default()
        };
        let found = plan(&[], &defaults).unwrap();
        assert_eq!(found.mode_name(), "server");
        assert!(
            found
                .target()
                .starts_with("rackup -s puma -o 127.0.0.1 -p {port}")
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = plan(&["--rackup", "none.ru"], &Defaults::default()).unwrap_err();
        assert!(error.to_string().contains("none.ru"));
        let error = plan(&["--header", "nothing"], &Defaults::default()).unwrap_err();
        assert!(error.to_string().contains("no colon"));
        let error = plan(&["--boot", "x.rb", "--each", "1"], &Defaults::default()).unwrap_err();
        assert!(error.to_string().contains("x.rb"));
    }
}
