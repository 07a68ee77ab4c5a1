//! What a document is on a page: sections with parts that are ready to be
//! shown, and the data that scripts draw from.

use super::drawing;
use super::picture::CardView;
use super::table::TableView;
use crate::document::{Block, Chart, Document, Fact, Finding, Note, Tone, Verdict};
use crate::figures::{Card, Heading, Listing, Plot, Tree};
use crate::sanitize::sanitize;
use serde_json::{Value, json};

/// A whole page.
pub(super) struct View {
    pub(super) sections: Vec<SectionView>,
    /// Of plots and trees, by the number in their `data-` attribute.
    pub(super) data: Value,
}

/// What stands under one headline.
#[derive(Default)]
pub(super) struct SectionView {
    /// The anchor; empty before the first headline.
    pub(super) key: String,
    pub(super) title: String,
    pub(super) lead: String,
    pub(super) parts: Vec<Part>,
}

/// One part of a page.
pub(super) enum Part {
    Facts(Vec<Fact>),
    Verdict(Verdict),
    Cards(Vec<CardView>),
    Table(TableView),
    Plots(Vec<PlotView>),
    Tree(TreeView),
    Listing(Listing),
    Note(Note),
}

/// A plot, drawn.
pub(super) struct PlotView {
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) tone: &'static str,
    pub(super) aside: String,
    pub(super) x_label: String,
    pub(super) still: String,
    /// Names of lines, where there are several.
    pub(super) legend: Vec<String>,
    /// Which data draws it; `None` for what is only a static picture.
    pub(super) data: Option<usize>,
}

/// A tree, drawn and as a table.
pub(super) struct TreeView {
    pub(super) title: String,
    pub(super) still: String,
    pub(super) rows: Vec<TreeRow>,
    pub(super) left_out: usize,
    pub(super) data: usize,
}

pub(super) struct TreeRow {
    pub(super) size: String,
    pub(super) share: String,
    pub(super) own: String,
    pub(super) label: String,
    pub(super) indent: u32,
    pub(super) is_marked: bool,
}

/// Deeper than this rows are not pushed further to the right.
const MOST_INDENT: u32 = 12;

/// The class of a tone.
pub(super) fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Warning => "warning",
        Tone::Plain => "plain",
    }
}

impl View {
    pub(super) fn new(document: &Document) -> View {
        let mut maker = Maker {
            data: Vec::new(),
            findings: 0,
        };
        let mut sections = vec![SectionView::default()];
        for block in &document.blocks {
            if let Block::Heading(Heading { key, title, lead }) = block {
                sections.push(SectionView {
                    key: key.clone(),
                    title: title.clone(),
                    lead: lead.clone(),
                    parts: Vec::new(),
                });
            } else if let Some(section) = sections.last_mut() {
                section.parts.extend(maker.part(block));
            }
        }
        sections.retain(|section| !section.key.is_empty() || !section.parts.is_empty());
        View {
            sections,
            data: Value::Array(maker.data),
        }
    }
}

struct Maker {
    data: Vec<Value>,
    findings: usize,
}

impl Maker {
    fn part(&mut self, block: &Block) -> Option<Part> {
        Some(match block {
            Block::Facts(facts) => Part::Facts(facts.clone()),
            Block::Verdict(verdict) => Part::Verdict(verdict.clone()),
            Block::Findings(findings) => Part::Cards(
                findings
                    .iter()
                    .map(|finding| self.finding(finding))
                    .collect(),
            ),
            Block::Cards(cards) => Part::Cards(cards.iter().map(|card| self.card(card)).collect()),
            Block::Table(table) => Part::Table(TableView::of_table(table)),
            Block::Grid(grid) => Part::Table(TableView::of_grid(grid)),
            Block::Chart(chart) => Part::Plots(vec![of_chart(chart)]),
            Block::Plots(plots) => Part::Plots(plots.iter().map(|plot| self.plot(plot)).collect()),
            Block::Tree(tree) => Part::Tree(self.tree(tree)),
            Block::Listing(listing) => Part::Listing(listing.clone()),
            Block::Note(note) => Part::Note(note.clone()),
            Block::Heading(_) => return None,
        })
    }

    fn finding(&mut self, finding: &Finding) -> CardView {
        self.findings += 1;
        CardView::of_finding(self.findings, finding)
    }

    fn card(&mut self, card: &Card) -> CardView {
        self.findings += 1;
        CardView::of_card(self.findings, card)
    }

    fn push(&mut self, data: Value) -> usize {
        self.data.push(data);
        self.data.len() - 1
    }

    fn plot(&mut self, plot: &Plot) -> PlotView {
        PlotView {
            title: plot.title.clone(),
            caption: plot.caption.clone(),
            tone: tone_class(plot.tone),
            aside: match plot.points.iter().any(|point| point.is_aside) {
                true => plot.aside.clone(),
                false => String::new(),
            },
            x_label: plot.x_label.clone(),
            still: drawing::plot(plot),
            legend: Vec::new(),
            data: Some(self.push(plot_data(plot))),
        }
    }

    fn tree(&mut self, tree: &Tree) -> TreeView {
        let whole = tree.nodes.first().map_or(0.0, |root| root.size);
        let rows = tree.nodes.iter().map(|node| TreeRow {
            size: tree.quantity.words(node.size),
            share: match whole > 0.0 {
                true => format!("{:.1} %", 100.0 * node.size / whole),
                false => String::new(),
            },
            own: tree.quantity.words(node.own),
            label: node.label.clone(),
            indent: node.depth.min(MOST_INDENT),
            is_marked: node.is_marked,
        });
        let nodes = tree.nodes.iter().map(|node| {
            json!([
                node.depth,
                sanitize(&node.label),
                node.size,
                node.own,
                u8::from(node.is_marked)
            ])
        });
        let data = json!({
            "kind": "tree",
            "quantity": tree.quantity.name(),
            "nodes": nodes.collect::<Vec<_>>(),
        });
        TreeView {
            title: tree.title.clone(),
            still: drawing::tree(tree),
            rows: rows.collect(),
            left_out: tree.left_out,
            data: self.push(data),
        }
    }
}

/// Columns over one axis, as the charting library takes them: what a series
/// lacks at a place is null.
fn plot_data(plot: &Plot) -> Value {
    let mut xs: Vec<f64> = plot.points.iter().map(|point| point.x).collect();
    xs.extend(plot.fit.iter().map(|fit| fit.x));
    xs.sort_by(f64::total_cmp);
    xs.dedup();
    let column = |of: &dyn Fn(f64) -> Option<f64>| -> Vec<Value> {
        xs.iter().map(|&x| json!(of(x))).collect()
    };
    let point = |x: f64, aside: bool| {
        let mut points = plot.points.iter();
        points
            .find(|point| point.x == x && point.is_aside == aside)
            .map(|point| point.y)
    };
    let fit = |x: f64| plot.fit.iter().find(|fit| fit.x == x);
    json!({
        "kind": "plot",
        "title": sanitize(&plot.title),
        "xLabel": sanitize(&plot.x_label),
        "xQuantity": plot.x.name(),
        "quantity": plot.y.name(),
        "joined": plot.is_joined,
        "x": xs,
        "points": column(&|x| point(x, false)),
        "aside": column(&|x| point(x, true)),
        "fit": column(&|x| fit(x).map(|fit| fit.estimate)),
        "low": column(&|x| fit(x).map(|fit| fit.low)),
        "high": column(&|x| fit(x).map(|fit| fit.high)),
    })
}

fn of_chart(chart: &Chart) -> PlotView {
    let names = chart.lines.iter().map(|line| line.name.clone());
    PlotView {
        title: chart.title.clone(),
        caption: String::new(),
        tone: tone_class(Tone::Plain),
        aside: String::new(),
        x_label: String::new(),
        still: drawing::chart(chart),
        legend: names.filter(|name| !name.is_empty()).collect(),
        data: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{FitPoint, PlotPoint, Quantity};

    /// A count is what is neither of the others.
    #[test]
    fn scripts_know_every_quantity() {
        let script = include_str!("../../assets/report.js");
        for quantity in [Quantity::Bytes, Quantity::Seconds] {
            assert!(script.contains(&format!("'{}'", quantity.name())));
        }
    }

    #[test]
    fn points_and_line_share_one_axis() {
        let point = |x, is_aside| PlotPoint {
            x,
            y: x * 2.0,
            is_aside,
        };
        let fit = |x: f64| FitPoint {
            x,
            estimate: x,
            low: x - 1.0,
            high: x + 1.0,
        };
        let data = plot_data(&Plot {
            key: "k".into(),
            title: "t".into(),
            caption: String::new(),
            tone: Tone::Plain,
            x_label: "requests".into(),
            x: Quantity::Count,
            y: Quantity::Count,
            points: vec![point(0.0, false), point(100.0, false), point(200.0, true)],
            is_joined: false,
            aside: "aside".into(),
            fit: vec![fit(50.0), fit(200.0)],
        });
        assert_eq!(data["x"], json!([0.0, 50.0, 100.0, 200.0]));
        assert_eq!(data["points"], json!([0.0, null, 200.0, null]));
        assert_eq!(data["aside"], json!([null, null, null, 400.0]));
        assert_eq!(data["fit"], json!([null, 50.0, null, 200.0]));
    }
}
