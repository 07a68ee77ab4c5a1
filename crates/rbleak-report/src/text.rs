//! The form for people: verdict, evidence, the next command at the right edge.

use crate::document::{Align, Block, Chart, Document, Fact, Finding, Note, Table, Tone, Verdict};
use crate::figures::{Card, Heading, Listing, Picture, Plot, Tree};
use crate::sanitize::sanitize;
use anstyle::{AnsiColor, Style};

/// How wide the text may be and whether it is coloured.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    /// Columns of the terminal; hints are pushed to this edge.
    pub width: usize,
    /// Whether ANSI colours are written.
    pub color: bool,
}

/// Where the text of a labelled line begins.
const LABEL_COLUMN: usize = 16;
/// Hints stand no further right than this, however wide the terminal is.
const HINT_EDGE: usize = 110;

/// Renders `document` as text, ended by a newline.
pub fn to_text(document: &Document, options: &TextOptions) -> String {
    let mut out = Writer {
        out: String::new(),
        options: *options,
    };
    for (index, block) in document.blocks.iter().enumerate() {
        // Notes of one tone in a row stay together; all else is set apart.
        let joined = index > 0
            && matches!(
                (&document.blocks[index - 1], block),
                (Block::Note(_), Block::Note(_))
            );
        if index > 0 && !joined {
            out.out.push('\n');
        }
        match block {
            Block::Facts(facts) => facts.iter().for_each(|fact| out.fact(fact)),
            Block::Verdict(verdict) => out.verdict(verdict),
            Block::Findings(findings) => {
                for (rank, finding) in findings.iter().enumerate() {
                    if rank > 0 {
                        out.out.push('\n');
                    }
                    out.finding(rank + 1, finding);
                }
            }
            Block::Cards(cards) => {
                for (rank, card) in cards.iter().enumerate() {
                    if rank > 0 {
                        out.out.push('\n');
                    }
                    out.card(rank + 1, card);
                }
            }
            Block::Table(table) => out.table(table),
            Block::Grid(grid) => out.table(&grid.table),
            Block::Plots(plots) => plots.iter().for_each(|plot| out.plot(plot)),
            Block::Tree(tree) => out.tree(tree),
            Block::Listing(listing) => out.listing(listing),
            Block::Heading(heading) => out.heading(heading),
            Block::Chart(chart) => out.chart(chart),
            Block::Note(note) => out.note(note),
        }
    }
    out.out
}

struct Writer {
    out: String,
    options: TextOptions,
}

impl Writer {
    fn paint(&self, style: Style, text: &str) -> String {
        let text = sanitize(text);
        if self.options.color {
            format!("{style}{text}{style:#}")
        } else {
            text.into_owned()
        }
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn fact(&mut self, fact: &Fact) {
        let label = format!("  {:<width$}", fact.label, width = LABEL_COLUMN - 2);
        let text = sanitize(&fact.text).into_owned();
        let mut line = format!("{}{text}", self.paint(Style::new().dimmed(), &label));
        if let Some(hint) = &fact.hint {
            let used = width(&label) + width(&text);
            let hint = format!("→ {hint}");
            let edge = self.options.width.min(HINT_EDGE);
            let gap = edge.saturating_sub(used + width(&hint)).max(2);
            line.push_str(&" ".repeat(gap));
            line.push_str(&self.paint(Style::new().dimmed(), &hint));
        }
        self.line(&line);
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let style = tone_style(verdict.tone).bold();
        let pad = LABEL_COLUMN.saturating_sub(2 + width(&verdict.word)).max(2);
        let line = format!(
            "  {}{}{}",
            self.paint(style, &verdict.word),
            " ".repeat(pad),
            self.paint(Style::new().bold(), &verdict.headline)
        );
        self.line(&line);
        for detail in &verdict.details {
            let line = format!("{}{}", " ".repeat(LABEL_COLUMN), sanitize(detail));
            self.line(&line);
        }
    }

    fn finding(&mut self, rank: usize, finding: &Finding) {
        let line = format!(
            "{rank:>3}  {}  {}",
            self.paint(Style::new().bold(), &finding.title),
            sanitize(&finding.summary)
        );
        self.line(&line);
        for section in &finding.sections {
            let lines = section.lines.iter();
            let lines = lines.map(|part| (part.text.clone(), part.emphasis));
            self.evidence(&section.label, lines);
        }
    }

    /// Lines beside and under a label; true for one that is meant.
    fn evidence(&mut self, label: &str, lines: impl IntoIterator<Item = (String, bool)>) {
        for (index, (text, emphasis)) in lines.into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let label = format!("     {label:<width$}", width = LABEL_COLUMN - 1);
            let style = if emphasis {
                Style::new().bold()
            } else {
                Style::new()
            };
            let line = format!(
                "{}{}",
                self.paint(Style::new().dimmed(), &label),
                self.paint(style, &text)
            );
            self.line(&line);
        }
    }

    fn card(&mut self, rank: usize, card: &Card) {
        self.finding(rank, &card.finding);
        let plain = |lines: Vec<String>| lines.into_iter().map(|line| (line, false)).collect();
        for picture in &card.pictures {
            let (label, lines): (&str, Vec<(String, bool)>) = match picture {
                Picture::Path(path) => (&path.label, vec![(path.words(), false)]),
                Picture::Source(source) => (&source.label, source.words()),
                Picture::Bars(bars) => (&bars.label, plain(bars.words())),
                Picture::Grid(grid) => {
                    self.table(&grid.table);
                    continue;
                }
            };
            self.evidence(label, lines);
        }
    }

    fn plot(&mut self, plot: &Plot) {
        let label = format!("  {:<width$}", plot.title, width = LABEL_COLUMN - 2);
        let line = format!(
            "{}{}",
            self.paint(Style::new().dimmed(), &label),
            sanitize(&plot.caption)
        );
        self.line(&line);
    }

    fn tree(&mut self, tree: &Tree) {
        let line = format!("  {}", self.paint(Style::new().bold(), &tree.title));
        self.line(&line);
        for words in tree.words() {
            let line = format!("   {}", sanitize(&words));
            self.line(&line);
        }
        if tree.left_out > 0 {
            let line = format!("   … {} more", tree.left_out);
            self.line(&line);
        }
    }

    fn listing(&mut self, listing: &Listing) {
        let line = format!("  {}", self.paint(Style::new().bold(), &listing.title));
        self.line(&line);
        for words in listing.text.lines() {
            let line = format!("    {}", sanitize(words));
            self.line(&line);
        }
    }

    fn heading(&mut self, heading: &Heading) {
        let line = format!("  {}", self.paint(Style::new().bold(), &heading.title));
        self.line(&line);
        if !heading.lead.is_empty() {
            let line = format!("  {}", sanitize(&heading.lead));
            self.line(&line);
        }
    }

    fn table(&mut self, table: &Table) {
        if let Some(title) = &table.title {
            let line = format!("  {}", self.paint(Style::new().bold(), title));
            self.line(&line);
        }
        let rows: Vec<Vec<String>> = table
            .rows
            .iter()
            .map(|row| row.cells.iter().map(|c| sanitize(c).into_owned()).collect())
            .collect();
        let widths: Vec<usize> = table
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                rows.iter()
                    .filter_map(|row| row.get(index))
                    .map(|cell| width(cell))
                    .chain([width(&column.heading)])
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let aligned = |cells: &[String]| {
            let mut line = String::from(" ");
            for ((cell, column), wide) in cells.iter().zip(&table.columns).zip(&widths) {
                let gap = " ".repeat(wide.saturating_sub(width(cell)));
                line.push_str("  ");
                match column.align {
                    Align::Left => line.extend([cell.as_str(), &gap]),
                    Align::Right => line.extend([gap.as_str(), cell]),
                }
            }
            line.trim_end().to_owned()
        };
        let headings: Vec<String> = table.columns.iter().map(|c| c.heading.clone()).collect();
        let line = self.paint(Style::new().dimmed(), &aligned(&headings));
        self.line(&line);
        for row in &rows {
            let line = aligned(row);
            self.line(&line);
        }
        if table.left_out > 0 {
            let line = format!("   … {} more rows (--limit)", table.left_out);
            self.line(&line);
        }
    }

    fn chart(&mut self, chart: &Chart) {
        for line in crate::chart::in_text(chart, self.options.width) {
            self.line(&line);
        }
    }

    fn note(&mut self, note: &Note) {
        let (mark, style) = match note.tone {
            Tone::Warning => ("warning: ", tone_style(Tone::Warning)),
            Tone::Bad => ("error: ", tone_style(Tone::Bad)),
            Tone::Good | Tone::Plain => ("", tone_style(note.tone)),
        };
        let line = format!("  {}{}", self.paint(style, mark), sanitize(&note.text));
        self.line(&line);
    }
}

fn tone_style(tone: Tone) -> Style {
    let color = match tone {
        Tone::Good => AnsiColor::Green,
        Tone::Bad => AnsiColor::Red,
        Tone::Warning => AnsiColor::Yellow,
        Tone::Plain => return Style::new(),
    };
    Style::new().fg_color(Some(color.into()))
}

/// Columns that `text` takes: one a character, which holds for all that rbleak
/// itself writes.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Column, Line, Row, Section};
    use serde_json::json;

    const PLAIN: TextOptions = TextOptions {
        width: 60,
        color: false,
    };

    #[test]
    fn hints_stand_at_the_right_edge_and_never_touch_the_text() {
        let mut document = Document::new("t");
        document.push(Block::Facts(vec![
            Fact::new("allocator", "glibc", json!(null)).hint("rbleak doctor"),
            Fact::new("load", "x".repeat(60), json!(null)).hint("more"),
        ]));
        let text = to_text(&document, &PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(width(lines[0]), 60);
        assert!(lines[0].ends_with("→ rbleak doctor"));
        assert!(lines[1].ends_with("x  → more"));
    }

    #[test]
    fn a_finding_shows_its_evidence_under_its_title() {
        let mut document = Document::new("t");
        document.push(Block::Findings(vec![Finding {
            title: "Leaky::STORE".into(),
            summary: "holds 100 %".into(),
            sections: vec![Section {
                label: "source".into(),
                lines: vec![Line {
                    text: "> 45 │ x".into(),
                    emphasis: true,
                }],
            }],
            data: json!({}),
        }]));
        assert_eq!(
            to_text(&document, &PLAIN),
            "  1  Leaky::STORE  holds 100 %\n     source         > 45 │ x\n"
        );
    }

    #[test]
    fn what_has_a_picture_is_said_in_lines() {
        use crate::figures::{Path, PathStep, Quantity, Source, SourceLine, TreeNode};
        let mut document = Document::new("t");
        document.push(Block::Heading(Heading {
            key: "findings".into(),
            title: "Findings".into(),
            lead: String::new(),
        }));
        let step = |node: &str| PathStep {
            edge: None,
            node: node.into(),
        };
        let line = |number, text: &str| SourceLine {
            number,
            text: text.into(),
            is_meant: number == 10,
        };
        document.push(Block::Cards(vec![Card {
            finding: Finding {
                title: "A".into(),
                summary: "grows".into(),
                sections: vec![],
                data: json!({}),
            },
            figure: String::new(),
            share: None,
            pictures: vec![
                Picture::Path(Path {
                    label: "held by".into(),
                    steps: vec![step("A"), step("String")],
                }),
                Picture::Source(Source {
                    label: "source".into(),
                    place: "a.rb:10".into(),
                    lines: vec![line(9, "x"), line(10, "y")],
                }),
            ],
        }]));
        document.push(Block::Tree(Tree {
            key: "t".into(),
            title: "what keeps what".into(),
            quantity: Quantity::Bytes,
            nodes: vec![TreeNode {
                depth: 0,
                label: "all".into(),
                size: 10.0,
                own: 0.0,
                is_marked: false,
                data: json!({}),
            }],
            left_out: 3,
        }));
        assert_eq!(
            to_text(&document, &PLAIN),
            "  Findings\n\n  1  A  grows\n     held by        A → String\n     source            9 │ x\n                    > 10 │ y\n\n  what keeps what\n   10 B  all\n   … 3 more\n"
        );
    }

    #[test]
    fn columns_line_up_and_what_is_left_out_is_said() {
        let mut document = Document::new("t");
        let column = |heading: &str, align| Column {
            heading: heading.into(),
            align,
        };
        document.push(Block::Table(Table {
            key: "rows".into(),
            title: None,
            columns: vec![column("bytes", Align::Right), column("site", Align::Left)],
            rows: vec![Row {
                cells: vec!["1 500".into(), "a.rb:1".into()],
                data: json!({}),
            }],
            left_out: 2,
        }));
        assert_eq!(
            to_text(&document, &PLAIN),
            "   bytes  site\n   1 500  a.rb:1\n   … 2 more rows (--limit)\n"
        );
    }

    #[test]
    fn nothing_from_a_heap_reaches_the_terminal_raw() {
        let mut document = Document::new("t");
        document.note(Note::plain("evil\x1b[2J"));
        assert!(!to_text(&document, &PLAIN).contains('\x1b'));
    }
}
