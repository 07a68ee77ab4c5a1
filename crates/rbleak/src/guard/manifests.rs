//! What the documentation tells people to deploy is what this rbleak takes.

use crate::cli::{Cli, Command};
use clap::Parser;
use rbleak_report::Value;

const DOCUMENTED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guard.md"));

/// The fenced block of a language.
fn block(language: &str) -> &'static str {
    let start = format!("```{language}\n");
    let (_, rest) = DOCUMENTED.split_once(&start).expect(language);
    rest.split_once("```").expect("its end").0
}

fn guarded(arguments: &[&str]) -> super::GuardArgs {
    let all = [&["rbleak"], arguments].concat();
    match Cli::try_parse_from(&all).map(|cli| cli.command) {
        Ok(Command::Guard(args)) => *args,
        Ok(_) => panic!("another command: {all:?}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_sidecar_s_arguments_parse_and_end_in_time() {
    let pod: Value = serde_saphyr::from_str(block("yaml")).expect("YAML");
    let spec = &pod["spec"];
    assert_eq!(spec["shareProcessNamespace"], true);
    let sidecar = &spec["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always");
    let arguments = sidecar["args"].as_array().expect("arguments");
    let arguments: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
    let args = guarded(&arguments);
    assert_eq!(args.find.as_deref(), Some("puma"));
    let mount = &sidecar["volumeMounts"][0];
    assert_eq!(args.run_dir.to_str(), mount["mountPath"].as_str());
    assert_eq!(mount["name"], spec["volumes"][0]["name"]);
    let seconds = spec["terminationGracePeriodSeconds"].as_u64();
    assert!(seconds > Some(args.grace.as_secs()));
}

#[test]
fn the_unit_s_command_parses_and_ends_in_time() {
    let unit = block("ini");
    let value = |key: &str| {
        let mut lines = unit.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| *name == key).expect(key).1
    };
    let mut words = value("ExecStart").split(' ');
    assert!(
        words
            .next()
            .is_some_and(|program| program.ends_with("/rbleak"))
    );
    let args = guarded(&words.collect::<Vec<_>>());
    let state = format!("/var/lib/{}", value("StateDirectory"));
    assert_eq!(args.run_dir.to_str(), Some(state.as_str()));
    let timeout: u64 = value("TimeoutStopSec").parse().expect("seconds");
    assert!(timeout > args.grace.as_secs());
    // What it found is no failure.
    assert_eq!(value("SuccessExitStatus"), "1");
}
