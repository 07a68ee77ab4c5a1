//! What a command has to say, free of any format.

use crate::annotation::Annotation;
use crate::figures::{Card, Grid, Heading, Listing, Plot, Tree};
use serde_json::Value;

/// The whole answer of one command.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The name and version of the wire schema, such as `rbleak/diff/v1`.
    pub schema: String,
    /// The parts, in reading order.
    pub blocks: Vec<Block>,
    /// Places in files that it speaks of; only formats that point at lines
    /// show them.
    pub annotations: Vec<Annotation>,
    /// What was checked, one by one; only formats of test runs show them.
    pub checks: Vec<Check>,
}

/// One thing that was checked, and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked: `GET /users does not leak`.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// One line that says so with figures.
    pub message: String,
    /// Evidence, a line each.
    pub details: Vec<String>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// Not as it should.
    Failed,
    /// It could not be told.
    Untold,
}

/// One part of a document.
#[derive(Clone, Debug)]
pub enum Block {
    /// Labelled lines: what was looked at, and how.
    Facts(Vec<Fact>),
    /// The answer in one word and a line or two.
    Verdict(Verdict),
    /// Ranked findings.
    Findings(Vec<Finding>),
    /// Ranked findings with pictures of their evidence.
    Cards(Vec<Card>),
    /// Rows and columns.
    Table(Table),
    /// Rows and columns, some cells measured with an interval.
    Grid(Grid),
    /// Lines over an axis.
    Chart(Chart),
    /// Measured points with fitted lines, side by side.
    Plots(Vec<Plot>),
    /// What is within what.
    Tree(Tree),
    /// Text to be copied.
    Listing(Listing),
    /// A headline over what follows.
    Heading(Heading),
    /// A remark of one paragraph.
    Note(Note),
}

/// How a thing is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Something was found.
    Bad,
    /// Worth knowing before the rest is believed.
    Warning,
    /// Neither.
    Plain,
}

/// A labelled line.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The key in JSON.
    pub key: String,
    /// The label in text.
    pub label: String,
    /// The line for people.
    pub text: String,
    /// The same for machines.
    pub data: Value,
    /// The next command, shown at the right edge.
    pub hint: Option<String>,
}

impl Fact {
    /// A fact whose label is its key.
    pub fn new(key: &str, text: impl Into<String>, data: Value) -> Fact {
        Fact {
            key: key.to_owned(),
            label: key.replace('_', " "),
            text: text.into(),
            data,
            hint: None,
        }
    }

    /// The same fact with the next command beside it.
    pub fn hint(mut self, hint: impl Into<String>) -> Fact {
        self.hint = Some(hint.into());
        self
    }
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// One word or two: `LEAK`, `NO LEAK`.
    pub word: String,
    /// Its colour.
    pub tone: Tone,
    /// The line beside the word.
    pub headline: String,
    /// Further lines under it.
    pub details: Vec<String>,
    /// The same for machines.
    pub data: Value,
}

/// One finding: a title, why it stands there, and its evidence.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What is found, in the reader's own words: `Leaky::STORE`.
    pub title: String,
    /// The rest of the first line.
    pub summary: String,
    /// Evidence.
    pub sections: Vec<Section>,
    /// The same for machines.
    pub data: Value,
}

/// A labelled piece of evidence within a finding.
#[derive(Clone, Debug)]
pub struct Section {
    /// The label, such as `held by`.
    pub label: String,
    /// Lines beside and under the label.
    pub lines: Vec<Line>,
}

impl Section {
    /// A section of plain lines.
    pub fn new(label: &str, lines: impl IntoIterator<Item = String>) -> Section {
        Section {
            label: label.to_owned(),
            lines: lines.into_iter().map(Line::plain).collect(),
        }
    }
}

/// A line of evidence.
#[derive(Clone, Debug)]
pub struct Line {
    /// The text.
    pub text: String,
    /// Whether it is the line meant (the source line of an allocation).
    pub emphasis: bool,
}

impl Line {
    /// A line like any other.
    pub fn plain(text: String) -> Line {
        Line {
            text,
            emphasis: false,
        }
    }
}

/// Rows and columns.
#[derive(Clone, Debug)]
pub struct Table {
    /// The key in JSON.
    pub key: String,
    /// A line above the table.
    pub title: Option<String>,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, as many cells in each as there are columns.
    pub rows: Vec<Row>,
    /// How many rows were left out by a limit.
    pub left_out: usize,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading in text.
    pub heading: String,
    /// To which side cells are pushed.
    pub align: Align,
}

/// To which side the cells of a column are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// A cell for each column.
    pub cells: Vec<String>,
    /// The same for machines: an object.
    pub data: Value,
}

/// Lines over an axis. Its figures stand elsewhere in the data: JSON has none.
#[derive(Clone, Debug)]
pub struct Chart {
    /// A line above it.
    pub title: String,
    /// The lines, over one axis.
    pub lines: Vec<ChartLine>,
    /// Marks of the vertical axis from below, with their labels; the first and
    /// the last bound it.
    pub y_ticks: Vec<(f64, String)>,
    /// The same of the horizontal axis.
    pub x_ticks: Vec<(f64, String)>,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct ChartLine {
    /// Its name; empty where there is only one.
    pub name: String,
    /// Points in order of x; a gap parts two pieces.
    pub pieces: Vec<Vec<(f64, f64)>>,
}

/// A remark.
#[derive(Clone, Debug)]
pub struct Note {
    /// How it is to be taken.
    pub tone: Tone,
    /// The remark.
    pub text: String,
}

impl Note {
    /// A warning.
    pub fn warning(text: impl Into<String>) -> Note {
        Note {
            tone: Tone::Warning,
            text: text.into(),
        }
    }

    /// A plain remark.
    pub fn plain(text: impl Into<String>) -> Note {
        Note {
            tone: Tone::Plain,
            text: text.into(),
        }
    }
}

impl Document {
    /// An empty document of `schema`.
    pub fn new(schema: &str) -> Document {
        Document {
            schema: schema.to_owned(),
            blocks: Vec::new(),
            annotations: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Adds a part.
    pub fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Adds a remark.
    pub fn note(&mut self, note: Note) {
        self.blocks.push(Block::Note(note));
    }
}
