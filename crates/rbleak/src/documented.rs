//! A test alone: every command line that is written down somewhere, in README.md,
//! in the book, in examples of `--help`, is one that rbleak takes.

use crate::cli::Cli;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use std::path::{Path, PathBuf};

/// Words before `rbleak` where it is the name of something else.
const NAMES: [&str; 6] = ["-t", "--image", "image:", "name:", "cd", "-v"];

#[test]
fn every_command_line_that_is_written_down_is_one() {
    let mut lines = Vec::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        let page = page.file_name().unwrap().to_string_lossy().into_owned();
        lines.extend(
            of_fences(&text)
                .into_iter()
                .map(|line| (page.clone(), line)),
        );
    }
    for command in Cli::command().get_subcommands() {
        let help = command.get_after_long_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let examples = help.lines().filter_map(|line| line.strip_prefix("  "));
        // What is said of an example stands to the right of it.
        let examples = examples.filter_map(|line| line.trim_start().split("  ").next());
        let page = format!("{} --help", command.get_name());
        lines.extend(examples.map(|line| (page.clone(), line.to_owned())));
    }
    let mut wrong = Vec::new();
    let mut count = 0;
    for (page, line) in lines {
        for words in commands(&line) {
            count += 1;
            match Cli::try_parse_from(&words) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::DisplayHelp => {}
                Err(error) => wrong.push(format!("{page}: {line}\n{words:?}\n{error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // It cannot have overlooked most of them.
    assert!(count > 150, "{count}");
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec![root.join("README.md"), root.join("gem/README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// The lines of fences in which commands may stand; outputs left out.
fn of_fences(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut language = None;
    let mut action_command = String::new();
    let joined = text.replace("\\\n> ", " ").replace("\\\n", " ");
    for line in joined.lines() {
        if let Some(mark) = line.strip_prefix("```") {
            language = match language {
                None => Some(mark.to_owned()),
                Some(_) => None,
            };
            continue;
        }
        let line = match language.as_deref() {
            None => continue,
            Some("console") => match line.strip_prefix("$ ").or(line.strip_prefix("> ")) {
                Some(line) => line.to_owned(),
                None => continue,
            },
            // Arguments of the GitHub Action.
            Some("yaml") if line.trim().starts_with("command: ") && !line.contains('[') => {
                action_command = line.trim().replacen("command: ", "", 1);
                continue;
            }
            Some("yaml") if line.trim().starts_with("- uses: ") => {
                action_command = "hunt".to_owned();
                continue;
            }
            Some("yaml") if line.trim().starts_with("args: ") => {
                let baseline = match action_command.as_str() {
                    "verify" => " --baseline main",
                    _ => "",
                };
                line.replacen("args: ", &format!("rbleak {action_command}{baseline} "), 1)
            }
            Some("yaml") => line
                .replace("[rbleak, ", "rbleak ")
                .replace([',', ']'], " "),
            Some(_) => line.to_owned(),
        };
        lines.push(line);
    }
    lines
}

/// What of a line runs rbleak, as words. Lines within quotes are looked into.
fn commands(line: &str) -> Vec<Vec<String>> {
    let Some(words) = shlex::split(line) else {
        // An apostrophe in what is no command line.
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut words = words.into_iter().peekable();
    let mut before = String::new();
    while let Some(word) = words.next() {
        if word.trim_start_matches(['<', '(', '$']) != "rbleak" || NAMES.contains(&before.as_str())
        {
            if word.contains("rbleak ") && word.contains(' ') {
                let inner = &word[word.find("rbleak ").unwrap_or(0)..];
                found.extend(commands(inner));
            }
            before = word;
            continue;
        }
        let mut command = vec!["rbleak".to_owned()];
        for word in words.by_ref() {
            if ["|", "||", "&&", "&", ";", ">", "2>&1"].contains(&word.as_str()) {
                break;
            }
            // What a shell would put there is a number: a PID.
            let is_pid = word.starts_with("$(") || word == "$pid" || word == "$!";
            let end = word.ends_with(';') || (word.ends_with(')') && !word.contains('('));
            // And there the names of the two runs.
            if word == ".rbleak/*" {
                command.extend([".rbleak/A".to_owned(), ".rbleak/B".to_owned()]);
                continue;
            }
            command.push(match is_pid {
                true => "4711".to_owned(),
                false if end => word.trim_end_matches([';', ')']).to_owned(),
                false => word,
            });
            if end {
                break;
            }
        }
        if command.len() > 1 {
            found.push(command);
        }
        before = String::new();
    }
    found
}

#[test]
fn commands_are_found_in_pipes_quotes_and_substitutions() {
    let found = |line: &str| -> Vec<String> {
        commands(line).iter().map(|words| words.join(" ")).collect()
    };
    assert_eq!(found("curl x | rbleak trend - | head"), ["rbleak trend -"]);
    assert_eq!(
        found("eval \"$(rbleak agent --env)\"  # note"),
        ["rbleak agent --env"]
    );
    assert_eq!(
        found("source <(rbleak completions bash)"),
        ["rbleak completions bash"]
    );
    assert_eq!(found("sh -c 'rbleak hunt -q; code=$?'"), ["rbleak hunt -q"]);
    assert_eq!(
        found("rbleak watch \"$(pgrep -o puma)\""),
        ["rbleak watch 4711"]
    );
    assert_eq!(found("docker build -t rbleak ."), [] as [&str; 0]);
}
