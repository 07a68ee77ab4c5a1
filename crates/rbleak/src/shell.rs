//! The only place that writes to the terminal: data to stdout, progress and
//! errors to stderr.

use crate::cli::Format;
use crate::hunt::args::HuntFormat;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use rbleak_report::{
    Document, TextOptions, Tool, sanitize, to_github, to_json, to_junit, to_markdown, to_sarif,
    to_text,
};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rendering {
    Text,
    Json,
    Sarif,
    Markdown,
    Github,
    Junit,
}

/// Writes `document` to stdout, or to `file` where one is named.
pub(crate) fn show(document: &Document, format: Format, file: Option<&Path>) -> Result<()> {
    let rendering = match format {
        Format::Text => Rendering::Text,
        Format::Json => Rendering::Json,
    };
    show_as(document, rendering, file)
}

impl From<HuntFormat> for Rendering {
    fn from(format: HuntFormat) -> Rendering {
        match format {
            HuntFormat::Text => Rendering::Text,
            HuntFormat::Json => Rendering::Json,
            HuntFormat::Markdown => Rendering::Markdown,
            HuntFormat::Github => Rendering::Github,
            HuntFormat::Junit => Rendering::Junit,
        }
    }
}

/// As [`show`], in any form.
pub(crate) fn show_as(document: &Document, form: Rendering, file: Option<&Path>) -> Result<()> {
    match file {
        Some(path) => {
            let text = render(document, form, false)?;
            crate::files::write_atomically(path, |out| out.write_all(text.as_bytes()))
                .with_context(|| format!("cannot write {}", path.display()))
        }
        None => {
            // anstream strips what NO_COLOR, TERM=dumb or a pipe does not want.
            let text = render(document, form, true)?;
            print(&text)
        }
    }
}

/// Writes text to stdout as it is; a reader that has gone away is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

fn render(document: &Document, form: Rendering, color: bool) -> Result<String> {
    Ok(match form {
        Rendering::Text => to_text(
            document,
            &TextOptions {
                width: terminal_width(),
                color,
            },
        ),
        Rendering::Json => to_json(document),
        Rendering::Sarif => to_sarif(
            document,
            &Tool {
                name: "rbleak",
                version: env!("CARGO_PKG_VERSION"),
                url: env!("CARGO_PKG_REPOSITORY"),
            },
        ),
        Rendering::Markdown => to_markdown(document),
        Rendering::Github => to_github(document),
        Rendering::Junit => to_junit(document).context("cannot write JUnit's XML")?,
    })
}

/// A line on stderr that is neither data nor an error.
pub(crate) fn warn(text: &str) {
    // Nothing can be said about a stderr that is closed.
    let _ = writeln!(anstream::stderr(), "rbleak: warning: {}", sanitize(text));
}

/// A line on stderr that is worth knowing while something goes on.
pub(crate) fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "rbleak: {}", sanitize(text));
}

/// An error: one sentence, and its evidence on the lines below.
pub(crate) fn error(sentence: &str, evidence: Option<&str>) {
    let mut err = anstream::stderr().lock();
    let _ = writeln!(err, "rbleak: {}", sanitize(sentence));
    for line in evidence.into_iter().flat_map(str::lines) {
        let _ = writeln!(err, "  │ {}", sanitize(line));
    }
}

fn terminal_width() -> usize {
    if !io::stdout().is_terminal() {
        return 100;
    }
    rustix::termios::tcgetwinsize(io::stdout()).map_or(100, |size| usize::from(size.ws_col).max(40))
}

/// What is going on, on a terminal's stderr; nothing elsewhere.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(quiet: bool) -> Progress {
        if quiet || !io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }

    pub(crate) fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }

    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}
