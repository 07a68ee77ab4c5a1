//! A [`Document`] of facts, a verdict, findings, tables, charts and notes, and its
//! renderings.
//!
//! Every command ends in one document; every format renders any document, so
//! that N commands and M formats cost N + M. This crate knows no domain: it
//! must not know what a heap dump, a request or a leak is. Text for people and
//! data for machines stand side by side in each part and are filled in by the
//! command layer; integers in the data carry their unit in the key
//! (`retained_bytes`).

mod annotation;
mod chart;
mod document;
mod figures;
mod github;
mod html;
mod json;
mod junit;
mod markdown;
mod sanitize;
mod sarif;
mod svg;
mod text;

pub use annotation::{Annotation, Level, Rule};
pub use document::{
    Align, Block, Chart, ChartLine, Check, Column, Document, Fact, Finding, Line, Note, Outcome,
    Row, Section, Table, Tone, Verdict,
};
pub use figures::{
    Bar, Bars, Card, FitPoint, Grid, Heading, Listing, Measure, Path, PathStep, Picture, Plot,
    PlotPoint, Quantity, Source, SourceLine, Tree, TreeNode,
};
pub use github::to_github;
pub use html::{Page, to_html};
pub use json::to_json;
pub use junit::to_junit;
pub use markdown::to_markdown;
pub use sanitize::sanitize;
pub use sarif::{Tool, to_sarif};
pub use serde_json::{Value, json};
pub use svg::to_svg;
pub use text::{TextOptions, to_text};
