//! Markdown, for comments on pull requests and the summaries of CI.

use crate::chart;
use crate::document::{Align, Block, Document, Finding, Table, Tone};
use crate::figures::{Card, Picture};
use crate::sanitize::sanitize;

/// Columns of a chart: what a comment shows without a scroll bar.
const CHART_WIDTH: usize = 80;

/// Renders `document` as GitHub's Markdown, ended by a newline.
pub fn to_markdown(document: &Document) -> String {
    let mut out = String::new();
    for (index, block) in document.blocks.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        match block {
            Block::Facts(facts) => {
                for fact in facts {
                    let hint = fact.hint.as_ref().map(|hint| format!(" → {}", code(hint)));
                    let hint = hint.unwrap_or_default();
                    out.push_str(&format!(
                        "- **{}**: {}{hint}\n",
                        text(&fact.label),
                        text(&fact.text)
                    ));
                }
            }
            Block::Verdict(verdict) => {
                out.push_str(&format!(
                    "## {}\n\n{}\n",
                    text(&verdict.word),
                    text(&verdict.headline)
                ));
                for detail in &verdict.details {
                    out.push_str(&format!("\n{}\n", text(detail)));
                }
            }
            Block::Findings(findings) => {
                for (rank, finding) in findings.iter().enumerate() {
                    if rank > 0 {
                        out.push('\n');
                    }
                    push_finding(&mut out, rank + 1, finding);
                }
            }
            Block::Cards(cards) => {
                for (rank, card) in cards.iter().enumerate() {
                    if rank > 0 {
                        out.push('\n');
                    }
                    push_card(&mut out, rank + 1, card);
                }
            }
            Block::Table(table) => push_table(&mut out, table),
            Block::Grid(grid) => push_table(&mut out, &grid.table),
            Block::Chart(chart) => {
                out.push_str(&format!("{}\n\n", text(&chart.title)));
                push_code(&mut out, chart::in_text(chart, CHART_WIDTH));
            }
            Block::Plots(plots) => {
                for plot in plots {
                    out.push_str(&format!(
                        "- **{}**: {}\n",
                        text(&plot.title),
                        text(&plot.caption)
                    ));
                }
            }
            Block::Tree(tree) => {
                out.push_str(&format!("**{}**\n\n", text(&tree.title)));
                push_code(&mut out, tree.words());
                if tree.left_out > 0 {
                    out.push_str(&format!("\n… {} more\n", tree.left_out));
                }
            }
            Block::Listing(listing) => {
                if listing.is_folded {
                    out.push_str(&format!(
                        "<details><summary>{}</summary>\n\n",
                        text(&listing.title)
                    ));
                } else {
                    out.push_str(&format!("**{}**\n\n", text(&listing.title)));
                }
                push_code(&mut out, listing.text.lines().map(str::to_owned));
                if listing.is_folded {
                    out.push_str("\n</details>\n");
                }
            }
            Block::Heading(heading) => {
                out.push_str(&format!("## {}\n", text(&heading.title)));
                if !heading.lead.is_empty() {
                    out.push_str(&format!("\n{}\n", text(&heading.lead)));
                }
            }
            Block::Note(note) => {
                let word = match note.tone {
                    Tone::Warning => "**Warning:** ",
                    Tone::Bad => "**Error:** ",
                    Tone::Good | Tone::Plain => "",
                };
                out.push_str(&format!("> {word}{}\n", text(&note.text)));
            }
        }
    }
    out
}

fn push_finding(out: &mut String, rank: usize, finding: &Finding) {
    out.push_str(&format!("### {rank}. {}\n\n", text(&finding.title)));
    if !finding.summary.is_empty() {
        out.push_str(&format!("{}\n\n", text(&finding.summary)));
    }
    for section in &finding.sections {
        for (index, line) in section.lines.iter().enumerate() {
            let content = if line.emphasis {
                format!("**{}**", text(&line.text))
            } else {
                text(&line.text)
            };
            if index == 0 {
                out.push_str(&format!("- **{}**: {content}\n", text(&section.label)));
            } else {
                // Two spaces keep it within the item, the backslash breaks the line.
                let end = out.trim_end_matches('\n').len();
                out.truncate(end);
                out.push_str(&format!("\\\n  {content}\n"));
            }
        }
    }
}

fn push_card(out: &mut String, rank: usize, card: &Card) {
    push_finding(out, rank, &card.finding);
    for picture in &card.pictures {
        match picture {
            Picture::Path(path) => {
                out.push_str(&format!(
                    "- **{}**: {}\n",
                    text(&path.label),
                    text(&path.words())
                ));
            }
            Picture::Source(source) => {
                out.push_str(&format!("\n{}\n\n", text(&source.place)));
                push_code(out, source.words().into_iter().map(|(line, _)| line));
            }
            Picture::Bars(bars) => {
                out.push_str(&format!("\n**{}**\n\n", text(&bars.label)));
                push_code(out, bars.words());
            }
            Picture::Grid(grid) => {
                out.push('\n');
                push_table(out, &grid.table);
            }
        }
    }
}

/// A block of code that nothing in it ends: its fence is longer than any there.
fn push_code(out: &mut String, lines: impl IntoIterator<Item = String>) {
    let lines: Vec<String> = lines
        .into_iter()
        .map(|line| sanitize(&line).into_owned())
        .collect();
    let longest = lines
        .iter()
        .flat_map(|line| line.split(|c| c != '`').map(str::len))
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    out.push_str(&format!("{fence}text\n"));
    for line in lines {
        out.push_str(&format!("{line}\n"));
    }
    out.push_str(&format!("{fence}\n"));
}

fn push_table(out: &mut String, table: &Table) {
    if let Some(title) = &table.title {
        out.push_str(&format!("**{}**\n\n", text(title)));
    }
    let row = |cells: &mut dyn Iterator<Item = String>| -> String {
        let cells: Vec<String> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    out.push_str(&row(&mut table
        .columns
        .iter()
        .map(|column| text(&column.heading))));
    out.push_str(&row(&mut table.columns.iter().map(|column| {
        match column.align {
            Align::Left => "---".to_owned(),
            Align::Right => "---:".to_owned(),
        }
    })));
    for line in &table.rows {
        out.push_str(&row(&mut line.cells.iter().map(|cell| text(cell))));
    }
    if table.left_out > 0 {
        out.push_str(&format!("\n… {} more rows\n", table.left_out));
    }
}

/// Nothing in `given` is taken for markup or HTML. Addresses stay links.
fn text(given: &str) -> String {
    let mut out = String::with_capacity(given.len());
    for word in sanitize(given).split_inclusive(' ') {
        if word.starts_with("https://") && !word.contains(['<', '>', '|', '`']) {
            out.push_str(word);
            continue;
        }
        for c in word.chars() {
            if matches!(
                c,
                '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '@'
            ) {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out
}

/// As code; one with a backtick in it stays text.
fn code(given: &str) -> String {
    if given.contains('`') {
        return text(given);
    }
    format!("`{}`", sanitize(given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Column, Fact, Note, Row, Section, Verdict};
    use serde_json::json;

    #[test]
    fn every_part_has_its_form_and_no_text_is_markup() {
        let mut document = Document::new("t");
        document.push(Block::Facts(vec![
            Fact::new("lock_file", "a_b", json!(null)).hint("rbleak audit --update"),
        ]));
        document.push(Block::Verdict(Verdict {
            word: "LEAKS".into(),
            tone: Tone::Bad,
            headline: "1 of <b>84</b>".into(),
            details: vec!["more".into()],
            data: json!({}),
        }));
        document.push(Block::Findings(vec![Finding {
            title: "oj 3.14.2".into(),
            summary: "fixed in 3.17.4".into(),
            sections: vec![Section::new(
                "leaks",
                ["a|b".into(), "https://a.b/c_d x_y".into()],
            )],
            data: json!({}),
        }]));
        document.push(Block::Table(Table {
            key: "rows".into(),
            title: None,
            columns: vec![Column {
                heading: "n".into(),
                align: Align::Right,
            }],
            rows: vec![Row {
                cells: vec!["1".into()],
                data: json!({}),
            }],
            left_out: 2,
        }));
        document.note(Note::warning("weak"));
        assert_eq!(
            to_markdown(&document),
            "- **lock file**: a\\_b → `rbleak audit --update`\n\n## LEAKS\n\n1 of \\<b\\>84\\</b\\>\n\nmore\n\n### 1. oj 3.14.2\n\nfixed in 3.17.4\n\n- **leaks**: a\\|b\\\n  https://a.b/c_d x\\_y\n\n| n |\n| ---: |\n| 1 |\n\n… 2 more rows\n\n> **Warning:** weak\n"
        );
    }
}
