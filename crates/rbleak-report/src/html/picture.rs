//! Findings as cards, with their pictures.

use super::drawing;
use super::table::TableView;
use crate::document::{Finding, Section};
use crate::figures::{Bars, Card, Path, Picture, Source};

/// A finding on a page.
pub(super) struct CardView {
    pub(super) rank: usize,
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) figure: String,
    /// In percent; empty where there is none.
    pub(super) share: String,
    /// Of a bar of 100.
    pub(super) bar: f64,
    pub(super) sections: Vec<Section>,
    pub(super) pictures: Vec<PictureView>,
    /// The first few are open from the start.
    pub(super) is_open: bool,
}

/// A picture on a page.
pub(super) enum PictureView {
    Path(PathView),
    Source(Source),
    Bars(BarsView),
    Grid(TableView),
}

pub(super) struct PathView {
    pub(super) label: String,
    pub(super) steps: Vec<StepView>,
}

pub(super) struct StepView {
    pub(super) edge: String,
    pub(super) node: String,
    /// What stands in brackets after the name: `1 500`.
    pub(super) count: String,
}

pub(super) struct BarsView {
    pub(super) label: String,
    pub(super) lead: String,
    pub(super) still: String,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) most: String,
}

/// Cards that are open when the page opens.
const OPEN: usize = 2;

impl CardView {
    pub(super) fn of_finding(rank: usize, finding: &Finding) -> CardView {
        CardView {
            rank,
            title: finding.title.clone(),
            summary: finding.summary.clone(),
            figure: String::new(),
            share: String::new(),
            bar: 0.0,
            sections: finding.sections.clone(),
            pictures: Vec::new(),
            is_open: rank <= OPEN,
        }
    }

    pub(super) fn of_card(rank: usize, card: &Card) -> CardView {
        let share = card.share.filter(|share| share.is_finite());
        CardView {
            figure: card.figure.clone(),
            share: share.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share)),
            bar: share.map_or(0.0, |share| 100.0 * share.clamp(0.0, 1.0)),
            pictures: card.pictures.iter().map(PictureView::new).collect(),
            ..CardView::of_finding(rank, &card.finding)
        }
    }
}

impl PictureView {
    fn new(picture: &Picture) -> PictureView {
        match picture {
            Picture::Path(path) => PictureView::Path(PathView::new(path)),
            Picture::Source(source) => PictureView::Source(source.clone()),
            Picture::Bars(bars) => PictureView::Bars(BarsView::new(bars)),
            Picture::Grid(grid) => PictureView::Grid(TableView::of_grid(grid)),
        }
    }
}

impl PathView {
    fn new(path: &Path) -> PathView {
        let steps = path.steps.iter().map(|step| {
            let (node, count) = match step.node.rsplit_once(" (") {
                Some((node, rest)) if rest.ends_with(')') && !node.is_empty() => {
                    (node, &rest[..rest.len() - 1])
                }
                _ => (step.node.as_str(), ""),
            };
            StepView {
                edge: step.edge.clone().unwrap_or_default(),
                node: node.to_owned(),
                count: count.to_owned(),
            }
        });
        PathView {
            label: path.label.clone(),
            steps: steps.collect(),
        }
    }
}

impl BarsView {
    fn new(bars: &Bars) -> BarsView {
        let label =
            |bar: Option<&crate::figures::Bar>| bar.map_or(String::new(), |bar| bar.label.clone());
        let most = bars.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
        BarsView {
            label: bars.label.clone(),
            lead: bars.lead.clone(),
            still: drawing::bars(bars),
            first: label(bars.bars.first()),
            last: label(bars.bars.last()),
            most: bars.quantity.words(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::PathStep;

    #[test]
    fn a_step_is_told_from_its_count() {
        let view = PathView::new(&Path {
            label: String::new(),
            steps: ["Array (1 500)", "(odd)", "Proc at a.rb:1", "A (class)"]
                .map(|node| PathStep {
                    edge: None,
                    node: node.into(),
                })
                .into(),
        });
        let told: Vec<(&str, &str)> = view
            .steps
            .iter()
            .map(|step| (step.node.as_str(), step.count.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("Array", "1 500"),
                ("(odd)", ""),
                ("Proc at a.rb:1", ""),
                ("A", "class")
            ]
        );
    }
}
