//! The command line that does a hunt again, kept with its run. Values of headers
//! and bodies may be secret: a `…` stands in their place.

use super::args::{HuntArgs, PathsFrom};
use crate::derailed::Defaults;

/// The words of the command; what derailed's variables said is said by flags.
pub(super) fn again(args: &HuntArgs, defaults: &Defaults) -> Vec<String> {
    let mut words = vec!["rbleak".to_owned(), "hunt".to_owned()];
    let mut flag = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([name.to_owned(), value]);
        }
    };
    let shown = |path: &std::path::PathBuf| path.display().to_string();
    flag("-C", args.directory.as_ref().map(shown));
    flag("--rackup", args.rackup.as_ref().map(shown));
    flag("--boot", args.boot.as_ref().map(shown));
    flag("--each", args.each.clone());
    flag("--log", args.log.as_ref().map(shown));
    flag("--har", args.har.as_ref().map(shown));
    flag(
        "--paths-from",
        args.paths_from.map(|PathsFrom::Routes| "routes".to_owned()),
    );
    for param in &args.param {
        flag("--param", Some(param.clone()));
    }
    match args.path.as_slice() {
        [] if args.each.is_none() => flag("--path", defaults.path.clone()),
        paths => paths
            .iter()
            .for_each(|path| flag("--path", Some(path.clone()))),
    }
    if args.each.is_none() {
        flag("--method", args.method.clone().or(defaults.method.clone()));
        let given = args
            .header
            .iter()
            .filter_map(|header| header.split_once(':'));
        let names = given.map(|(name, _)| name.trim());
        let names = names.chain(defaults.headers.iter().map(|(name, _)| name.as_str()));
        for name in names {
            flag("--header", Some(format!("{name}: …")));
        }
        let body = args.body.as_ref().or(defaults.body.as_ref());
        flag(
            "--body",
            body.map(|body| match body.starts_with('@') {
                true => body.clone(),
                false => "…".to_owned(),
            }),
        );
    }
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    flag("--warmup", number(args.warmup.or(defaults.warmup)));
    flag("--requests", number(args.requests.or(defaults.requests)));
    flag("--min-rounds", number(args.min_rounds.map(u64::from)));
    flag(
        "--environment",
        args.environment.clone().or(defaults.environment.clone()),
    );
    let ruby = shown(&args.ruby);
    flag("--ruby", (ruby != "ruby").then_some(ruby));
    flag("--port", args.port.map(|port| port.to_string()));
    if args.no_bundler {
        words.push("--no-bundler".to_owned());
    }
    if !args.command.is_empty() {
        words.push("--".to_owned());
        words.extend(args.command.iter().cloned());
    }
    words
}

/// The words as a shell takes them.
pub(crate) fn quoted(words: &[String]) -> String {
    let quote = |word: &String| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+{}".contains(c);
        match !word.is_empty() && word.chars().all(is_plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn words(flags: &[&str]) -> String {
        let all = ["rbleak", "hunt"].iter().chain(flags);
        let Command::Hunt(args) = Cli::try_parse_from(all).unwrap().command else {
            panic!("not a hunt");
        };
        quoted(&again(&args, &Defaults::default()))
    }

    #[test]
    fn what_was_asked_is_asked_again() {
        let flags = ["--path", "/a?b=1", "--path", "/it's", "--requests", "50"];
        let again = words(&flags);
        assert_eq!(
            again,
            "rbleak hunt --path '/a?b=1' --path '/it'\\''s' --requests 50"
        );
        let server = ["--path", "/x", "--", "puma", "-p", "{port}"];
        assert_eq!(words(&server), "rbleak hunt --path /x -- puma -p {port}");
        let code = ["--boot", "lib/job.rb", "--each", "Job.new.perform"];
        assert_eq!(
            words(&code),
            "rbleak hunt --boot lib/job.rb --each Job.new.perform"
        );
    }

    #[test]
    fn no_secret_is_kept() {
        let flags = [
            "--header",
            "Authorization: Bearer s3cret",
            "--body",
            "pin=s3cret",
        ];
        let again = words(&flags);
        assert!(!again.contains("s3cret"), "{again}");
        assert!(
            again.contains("'Authorization: …'") && again.contains("--body '…'"),
            "{again}"
        );
    }
}
