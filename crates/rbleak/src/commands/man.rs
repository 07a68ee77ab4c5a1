//! `rbleak man`: man pages, made of the definition of the command line: one of
//! rbleak and one of each command.

use crate::cli::{Cli, WRITTEN_EXIT_CODES};
use crate::exit::ExitStatus;
use crate::files::write_for_all;
use crate::shell;
use anyhow::{Context, Result, bail};
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use roff::{Roff, roman};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = WRITTEN_EXIT_CODES, after_long_help = MAN_HELP)]
pub(crate) struct ManArgs {
    /// The command that the page is of [default: rbleak itself]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub(crate) of: Option<String>,
    /// Write all pages into DIR: rbleak.1, rbleak-hunt.1 and so on
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

const MAN_HELP: &str = "\
Examples:
  rbleak man hunt | man -l -
  rbleak man --dir ~/.local/share/man/man1

Exit codes: 0 written, 2 wrong use or failure.";

/// Runs the command.
pub(crate) fn run(args: &ManArgs) -> Result<ExitStatus> {
    let pages = pages();
    if let Some(dir) = &args.dir {
        write_all(&pages, dir)?;
        return Ok(ExitStatus::Clean);
    }
    let page = match &args.of {
        None => pages.first(),
        Some(command) => pages.iter().skip(1).find(|it| it.get_name() == command),
    };
    let Some(page) = page else {
        bail!(
            "there is no command `{}`; `rbleak --help` lists them",
            args.of.as_deref().unwrap_or_default()
        );
    };
    shell::print(&text(page)?)?;
    Ok(ExitStatus::Clean)
}

/// rbleak, then its commands.
fn pages() -> Vec<Command> {
    let mut all = Cli::command().disable_help_subcommand(true);
    // It tells commands their whole names, and adds what all have.
    all.build();
    let commands = all.get_subcommands().filter(|it| !it.is_hide_set());
    let mut pages: Vec<Command> = commands.cloned().collect();
    pages.insert(0, all);
    pages
}

fn write_all(pages: &[Command], dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for page in pages {
        let path = dir.join(Man::new(page.clone()).get_filename());
        write_for_all(&path, text(page)?.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A page, for `man`.
fn text(page: &Command) -> Result<String> {
    let man = Man::new(page.clone())
        // No date: pages of the same version are the same. It has to be written all
        // the same, as what follows it is told by its place.
        .date(" ")
        .source(concat!("rbleak ", env!("CARGO_PKG_VERSION")))
        .manual("rbleak");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if page.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    let help = page.get_after_long_help().or(page.get_after_help());
    if let Some(help) = help {
        closing(&help.to_string()).to_writer(&mut out)?;
    }
    let text = String::from_utf8(out).context("a man page is no text")?;
    // What clap_mangen writes above possible values, without the empty line between
    // its two breaks, of which linters warn.
    Ok(text.replace("\n.br\n\n.br\n", "\n.sp\n"))
}

/// What `--help` ends with: examples and what else stands in columns as it is,
/// the rest as running text.
fn closing(help: &str) -> Roff {
    let mut roff = Roff::new();
    let mut is_in_notes = false;
    for paragraph in help.split("\n\n") {
        let (heading, body) = if let Some(rest) = paragraph.strip_prefix("Examples:") {
            (Some("EXAMPLES"), rest)
        } else if let Some(rest) = paragraph.strip_prefix("Exit codes:") {
            (Some("EXIT STATUS"), rest)
        } else if is_in_notes {
            (None, paragraph)
        } else {
            (Some("NOTES"), paragraph)
        };
        is_in_notes = heading.is_none_or(|it| it == "NOTES");
        match heading {
            Some(heading) => roff.control("SH", [heading]),
            None => roff.control("PP", []),
        };
        let mut is_as_it_stands = false;
        for line in body.lines().filter(|line| !line.trim().is_empty()) {
            if line.starts_with("  ") != is_as_it_stands {
                is_as_it_stands = !is_as_it_stands;
                roff.control(if is_as_it_stands { "nf" } else { "fi" }, []);
            }
            let shown = match is_as_it_stands {
                true => line.strip_prefix("  ").unwrap_or(line),
                false => line.trim(),
            };
            roff.text([roman(shown)]);
        }
        if is_as_it_stands {
            roff.control("fi", []);
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_stay_in_their_lines_and_exit_codes_have_a_section() {
        let help = "Examples:\n  rbleak x      one\n  rbleak y\n\nA note\nthat goes on:\n  key: 1\n\nOne more.\n\nExit codes: 0 told, 2 failure.";
        let body = [
            ".SH EXAMPLES",
            ".nf",
            "rbleak x      one",
            "rbleak y",
            ".fi",
            ".SH NOTES",
            "A note",
            "that goes on:",
            ".nf",
            "key: 1",
            ".fi",
            ".PP",
            "One more.",
            ".SH \"EXIT STATUS\"",
            "0 told, 2 failure.",
        ];
        let page = closing(help).render();
        assert!(page.ends_with(&(body.join("\n") + "\n")), "{page}");
    }
}
