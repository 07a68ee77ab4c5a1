//! What of two outputs has to be equal.
//!
//! Of everything that works on given files: every character but
//!
//! - the versions of Ruby, Rack, glibc and rbleak,
//! - the time in the name of a run's folder,
//! - how old the advisories are, and how many.
//!
//! Of what measures a running process (`hunt`, `verify`, `watch`, `capture`,
//! `doctor`, `demo`): words, names, places in files, verdicts, and the rates that
//! are certain (`+2.00 Ruby objects`, `1.00/request`). All other numbers, with
//! their units and intervals, the widths of columns, and the lines of what was left
//! out, of what this very Ruby is known for, and of caches of Ruby's own that were
//! seen to fill may be others.

use crate::pages::{Console, Page};
use regex::{Captures, Regex};
use std::sync::LazyLock;

const MEASURES: [&str; 6] = ["hunt", "verify", "watch", "capture", "doctor", "demo"];

static VERSIONS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?P<name>Ruby|ruby|Rack|Rails|glibc|Puma|rbleak) v?\d+(\.\d+)+(p\d+)?")
});
static TIMES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d([-.]\d+)?"));
static ADVISORIES: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d+ of \d{4}-\d\d-\d\d \([^)]*\)"));
/// A number with what belongs to it, or what looks like one and has to be equal.
static NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)
        (?P<keep> [\w/.-]+\.(?:rb|ru|lock|json):\d+ | \+\d+\.\d\d\ Ruby\ objects | \d+\.\d\d/request | [\w/]*[A-Za-z_/]\w*\d\w* | <\w+>)
        | \(95\ %[^)]*\)
        | [+-]?\d+(?:[\ \u{a0}\u{202f}]\d{3}\b)*(?:[.,]\d+)*(?:\ ?(?:%|[kMG]?i?B|ms|s|min|h)\b)?
        ",
    )
});
/// `(1–2)` where both are positive, `(-1 to 2)` elsewhere.
static INTERVALS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\(#(?:–| to )#\)"));
static SPACES: LazyLock<Regex> = LazyLock::new(|| pattern(r" +"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| panic!("{error}"))
}

/// What of an output of this block is compared.
pub(crate) fn compared(block: &Console, output: &str) -> String {
    let text = VERSIONS.replace_all(output, "$name <version>");
    let text = TIMES.replace_all(&text, "<time>");
    let text = ADVISORIES.replace_all(&text, "<advisories>");
    let measures = block.commands.iter().any(|command| {
        let mut words = command.text.split(|c: char| c.is_whitespace() || c == '(');
        let is_rbleak = words.any(|word| word == "rbleak");
        is_rbleak && words.next().is_some_and(|word| MEASURES.contains(&word))
    });
    if !measures {
        return text.into_owned();
    }
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("  left out ") && !line.contains(" is known to leak in "));
    let lines = lines.map(|line| {
        let line = NUMBERS.replace_all(line, |found: &Captures| match found.name("keep") {
            Some(kept) => kept.as_str().to_owned(),
            None => "#".to_owned(),
        });
        let line = INTERVALS.replace_all(&line, "(#)");
        SPACES.replace_all(&line, " ").into_owned() + "\n"
    });
    lines.collect()
}

/// What is let pass must not be what the page is there to show.
#[test]
fn figures_may_differ_and_what_is_said_may_not() {
    let page = Page {
        name: "a page".to_owned(),
        text: "```console\n$ rbleak hunt\n```\n".to_owned(),
    };
    let hunt = &page.consoles()[0];
    let said = "  LEAK    +2.00 Ruby objects, +170 B per request (95 %: 2.00–2.00; 157–183 B)\n\
                \x20 1  Leaky::STORE  holds 98 % of 2 000 objects\n  at   app.rb:45  1.00/request\n";
    let same = |other: &str| compared(hunt, said) == compared(hunt, other);
    assert!(same(&said.replace("+170 B", "+1.7 kB").replace("157", "9")));
    assert!(same(
        &said.replace("98 %", "100 %").replace("2 000", "12 001")
    ));
    for (one, other) in [
        ("+2.00", "+3.00"),
        ("LEAK", "NO LEAK"),
        ("STORE", "CACHE"),
        (":45", ":46"),
        ("1.00/request", "2.00/request"),
        ("of 2 000", "of 2 000 000 more"),
    ] {
        assert!(!same(&said.replace(one, other)), "{one}");
    }
    let page = Page {
        name: "a page".to_owned(),
        text: "```console\n$ rbleak path . --class Session\n```\n".to_owned(),
    };
    let path = &page.consoles()[0];
    assert_ne!(
        compared(path, "2 402 objects"),
        compared(path, "2 403 objects")
    );
}
