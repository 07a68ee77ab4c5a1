//! Parts of a document that have a picture: plots with a fitted line, trees,
//! paths, histograms, tables with intervals.
//!
//! Each has a form in text, too: what cannot be drawn is said.

use crate::document::{Finding, Table, Tone};
use rbleak_units::{Bytes, grouped};
use serde_json::Value;

/// What a number counts, so that whoever shows one can word it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// Seconds.
    Seconds,
}

impl Quantity {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Bytes => "bytes",
            Quantity::Count => "count",
            Quantity::Seconds => "seconds",
        }
    }

    /// `value` for people; what is below zero has its sign.
    pub fn words(self, value: f64) -> String {
        let sign = if value < 0.0 { "-" } else { "" };
        let size = value.abs().round() as u64;
        match self {
            Quantity::Bytes => format!("{sign}{}", Bytes(size)),
            Quantity::Count => format!("{sign}{}", grouped(size)),
            Quantity::Seconds => format!("{sign}{} s", grouped(size)),
        }
    }
    /// Marks of an axis: in one unit, with as many digits as tell them apart.
    pub(crate) fn marks(self, values: &[f64]) -> Vec<String> {
        let (Quantity::Bytes, [first, second, ..]) = (self, values) else {
            return values.iter().map(|&value| self.words(value)).collect();
        };
        let most = values
            .iter()
            .fold(0.0, |most: f64, value| most.max(value.abs()));
        let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
        let unit = units.into_iter().find(|(size, _)| most >= *size);
        let (factor, unit) = unit.unwrap_or((1.0, "B"));
        let step = (second - first).abs() / factor;
        let digits = match factor == 1.0 {
            true => 0,
            false => (-step.log10() - 1e-9).ceil().clamp(0.0, 6.0) as usize,
        };
        let mark = |value: &f64| format!("{:.digits$} {unit}", value / factor);
        values.iter().map(mark).collect()
    }
}

/// A headline over the parts that follow.
#[derive(Clone, Debug)]
pub struct Heading {
    /// Unique within the document, of letters and dashes: an anchor.
    pub key: String,
    /// The headline.
    pub title: String,
    /// A sentence under it; may be empty.
    pub lead: String,
}

/// Measured points, and the line through them with its interval.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The key in JSON.
    pub key: String,
    /// What is shown: `Ruby objects`.
    pub title: String,
    /// What follows from it: `+2.00 per request (95 %: 1.98–2.00)`.
    pub caption: String,
    /// How that is to be taken.
    pub tone: Tone,
    /// What the horizontal axis counts: `requests`.
    pub x_label: String,
    /// What the horizontal axis counts, for numbers on it.
    pub x: Quantity,
    /// What the vertical axis counts.
    pub y: Quantity,
    /// What was measured, in order of x.
    pub points: Vec<PlotPoint>,
    /// Whether points are joined by a line.
    pub is_joined: bool,
    /// What the aside points are; empty where there are none.
    pub aside: String,
    /// The fitted line, in order of x; may be empty.
    pub fit: Vec<FitPoint>,
}

/// A measured point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlotPoint {
    /// Where.
    pub x: f64,
    /// How much.
    pub y: f64,
    /// Whether nothing rests on it.
    pub is_aside: bool,
}

/// The fitted line at one place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitPoint {
    /// Where.
    pub x: f64,
    /// The line.
    pub estimate: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What is within what, and how large.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The key in JSON.
    pub key: String,
    /// A line above it.
    pub title: String,
    /// What sizes count.
    pub quantity: Quantity,
    /// The root first, each node before what is within it, the largest child
    /// first. What is missing of a node's size is its own, or was left out.
    pub nodes: Vec<TreeNode>,
    /// How many nodes were left out by a limit.
    pub left_out: usize,
}

/// One node of a tree.
#[derive(Clone, Debug)]
pub struct TreeNode {
    /// How many nodes it is within.
    pub depth: u32,
    /// What it is.
    pub label: String,
    /// Its size, with all that is within it.
    pub size: f64,
    /// What it takes by itself.
    pub own: f64,
    /// Whether it is what a reader should look at.
    pub is_marked: bool,
    /// The same for machines: an object.
    pub data: Value,
}

/// A finding with pictures of its evidence.
#[derive(Clone, Debug)]
pub struct Card {
    /// The finding; its sections come first.
    pub finding: Finding,
    /// One figure that tells how bad it is: `816 B per request`.
    pub figure: String,
    /// Its part of the whole, from 0 to 1.
    pub share: Option<f64>,
    /// The pictures.
    pub pictures: Vec<Picture>,
}

/// A picture of evidence.
#[derive(Clone, Debug)]
pub enum Picture {
    /// How one thing leads to another.
    Path(Path),
    /// Lines of a source file.
    Source(Source),
    /// How much of each.
    Bars(Bars),
    /// Rows and columns.
    Grid(Grid),
}

/// How one thing leads to another.
#[derive(Clone, Debug)]
pub struct Path {
    /// The label.
    pub label: String,
    /// From the first on.
    pub steps: Vec<PathStep>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStep {
    /// How the step before leads here: `@token`.
    pub edge: Option<String>,
    /// What is here.
    pub node: String,
}

/// Lines of a source file around the one meant.
#[derive(Clone, Debug)]
pub struct Source {
    /// The label.
    pub label: String,
    /// The file and line: `app.rb:45`.
    pub place: String,
    /// The lines.
    pub lines: Vec<SourceLine>,
}

/// A line of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// From 1.
    pub number: u32,
    /// The text, without its end.
    pub text: String,
    /// Whether it is the line meant.
    pub is_meant: bool,
}

/// How much of each, in order.
#[derive(Clone, Debug)]
pub struct Bars {
    /// The label.
    pub label: String,
    /// A sentence on how to read it; may be empty.
    pub lead: String,
    /// What is counted.
    pub quantity: Quantity,
    /// The bars.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it is of.
    pub label: String,
    /// How much.
    pub value: f64,
}

/// A table some of whose cells are measured with an interval.
#[derive(Clone, Debug)]
pub struct Grid {
    /// The table, whose cells say all in words.
    pub table: Table,
    /// Of each row and each column what was measured; rows and columns at the
    /// end may be missing.
    pub measures: Vec<Vec<Option<Measure>>>,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// By which rows are sorted.
    pub estimate: f64,
    /// The interval, where there is one.
    pub interval: Option<(f64, f64)>,
}

impl Measure {
    /// A figure without an interval.
    pub fn exact(estimate: f64) -> Measure {
        Measure {
            estimate,
            interval: None,
        }
    }
}

/// Text to be copied: a command line, a file.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The key in JSON.
    pub key: String,
    /// A line above it.
    pub title: String,
    /// The text; may have several lines.
    pub text: String,
    /// Whether it is long, and shown when asked for.
    pub is_folded: bool,
}

impl Path {
    /// In one line: `Leaky::STORE → Array (1 500) → @token → String`.
    pub(crate) fn words(&self) -> String {
        let steps = self.steps.iter();
        let parts = steps.flat_map(|step| step.edge.iter().chain([&step.node]));
        let parts: Vec<&str> = parts.map(String::as_str).collect();
        parts.join(" → ")
    }
}

impl Source {
    /// Numbered, the line meant marked; true for that one.
    pub(crate) fn words(&self) -> Vec<(String, bool)> {
        let last = self.lines.last().map_or(0, |line| line.number);
        let digits = last.to_string().len();
        let line = |line: &SourceLine| {
            let mark = if line.is_meant { '>' } else { ' ' };
            let text = format!("{mark} {:>digits$} │ {}", line.number, line.text);
            (text.trim_end().to_owned(), line.is_meant)
        };
        self.lines.iter().map(line).collect()
    }
}

impl Bars {
    /// One line a bar that is more than nothing.
    pub(crate) fn words(&self) -> Vec<String> {
        let bars = || self.bars.iter().filter(|bar| bar.value != 0.0);
        let wide = bars().map(|bar| bar.label.chars().count()).max();
        let wide = wide.unwrap_or(0);
        let line = |bar: &Bar| format!("{:<wide$}  {}", bar.label, self.quantity.words(bar.value));
        bars().map(line).collect()
    }
}

impl Tree {
    /// Size and label of each node, indented.
    pub(crate) fn words(&self) -> Vec<String> {
        let sizes: Vec<String> = self.nodes.iter().map(|node| self.size(node)).collect();
        let wide = sizes.iter().map(|size| size.chars().count()).max();
        let wide = wide.unwrap_or(0);
        let line = |(node, size): (&TreeNode, &String)| {
            let indent = "  ".repeat(node.depth as usize);
            let mark = if node.is_marked { "  ←" } else { "" };
            format!("{size:>wide$}  {indent}{}{mark}", node.label)
        };
        self.nodes.iter().zip(&sizes).map(line).collect()
    }

    fn size(&self, node: &TreeNode) -> String {
        self.quantity.words(node.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_has_a_picture_has_words() {
        let step = |edge: Option<&str>, node: &str| PathStep {
            edge: edge.map(str::to_owned),
            node: node.to_owned(),
        };
        let path = Path {
            label: "held by".into(),
            steps: vec![
                step(None, "A::STORE"),
                step(None, "Array (3)"),
                step(Some("@token"), "String"),
            ],
        };
        assert_eq!(path.words(), "A::STORE → Array (3) → @token → String");
        let tree = Tree {
            key: "t".into(),
            title: String::new(),
            quantity: Quantity::Bytes,
            nodes: [(0, "all", 20_000.0), (1, "part", 900.0)]
                .map(|(depth, label, size)| TreeNode {
                    depth,
                    label: label.into(),
                    size,
                    own: 0.0,
                    is_marked: depth == 1,
                    data: json!({}),
                })
                .into(),
            left_out: 0,
        };
        assert_eq!(tree.words(), ["20 kB  all", "900 B    part  ←"]);
        assert_eq!(Quantity::Count.words(-1500.2), "-1 500");
        let marks = Quantity::Bytes.marks(&[2_420_000.0, 2_430_000.0]);
        assert_eq!(marks, ["2.42 MB", "2.43 MB"]);
        assert_eq!(Quantity::Bytes.marks(&[0.0, 500.0]), ["0 B", "500 B"]);
    }
}
