//! Static pictures: what a page shows without JavaScript and in print. Colours
//! are those of the style sheet, by class.

use super::escape::escaped;
use crate::document::Chart;
use crate::figures::{Bars, Plot, Quantity, Tree};
use std::fmt::Write;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 10.0;
const BELOW: f64 = 28.0;
/// Gaps between marks of an axis, about.
const MARKS: f64 = 4.0;
/// Points of a line at most: more are not told apart.
const MOST_POINTS: usize = 600;

/// One direction of a plot.
#[derive(Clone, Debug)]
struct Axis {
    from: f64,
    to: f64,
    marks: Vec<(f64, String)>,
}

impl Axis {
    /// Around all values; what hardly moves is not blown up to the whole
    /// height.
    fn around(values: impl Iterator<Item = f64>, quantity: Quantity, least: f64) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let span = (high - low).max(least * high.abs()).max(f64::MIN_POSITIVE);
        let middle = (low + high) / 2.0;
        let (low, high) = (middle - span * 0.54, middle + span * 0.54);
        let step = nice_step((high - low) / MARKS);
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        let places = (first..=last.min(first.saturating_add(20))).map(|n| n as f64 * step);
        let places: Vec<f64> = places.collect();
        let labels = quantity.marks(&places);
        Axis {
            from: low,
            to: high,
            marks: places.into_iter().zip(labels).collect(),
        }
    }

    fn of_ticks(ticks: &[(f64, String)]) -> Option<Axis> {
        match ticks {
            [(from, _), .., (to, _)] => Some(Axis {
                from: *from,
                to: *to,
                marks: ticks.to_vec(),
            }),
            _ => None,
        }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.from) / (self.to - self.from).max(f64::MIN_POSITIVE)
    }
}

/// 1, 2 or 5 times a power of ten, no less than `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10f64.powf(step.max(f64::MIN_POSITIVE).log10().floor());
    let found = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|n| n * power >= step);
    found.unwrap_or(10.0) * power
}

/// A plane in which lines are drawn.
struct Plane {
    x: Axis,
    y: Axis,
    out: String,
}

impl Plane {
    /// With its frame.
    fn new(title: &str, x: Axis, y: Axis) -> Plane {
        let mut plane = Plane {
            x,
            y,
            out: format!(
                "<svg class=\"still\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
                escaped(title)
            ),
        };
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BELOW);
        for (value, label) in plane.y.marks.clone() {
            let at = plane.top(value);
            plane.put(&format!(
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/><text class=\"tick\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                escaped(&label)
            ));
        }
        for (value, label) in plane.x.marks.clone() {
            let at = plane.left(value);
            plane.put(&format!(
                "<text class=\"tick\" x=\"{at:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                escaped(&label)
            ));
        }
        plane.put(&format!(
            "<path class=\"axis\" d=\"M{LEFT} {bottom}H{right}\"/>"
        ));
        plane
    }

    fn left(&self, x: f64) -> f64 {
        LEFT + self.x.share(x).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn top(&self, y: f64) -> f64 {
        HEIGHT - BELOW - self.y.share(y).clamp(-0.02, 1.02) * (HEIGHT - TOP - BELOW)
    }

    fn put(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    fn line(&mut self, points: &[(f64, f64)], class: &str) {
        let path = self.way(points);
        if !path.is_empty() {
            self.put(&format!("<path class=\"{class}\" d=\"{path}\"/>"));
        }
    }

    fn way(&self, points: &[(f64, f64)]) -> String {
        let stride = points.len().div_ceil(MOST_POINTS).max(1);
        let mut path = String::new();
        for (index, &(x, y)) in points.iter().enumerate() {
            if index % stride == 0 || index + 1 == points.len() {
                let letter = if path.is_empty() { 'M' } else { 'L' };
                let _ = write!(path, "{letter}{:.1} {:.1}", self.left(x), self.top(y));
            }
        }
        path
    }

    fn end(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }
}

/// Points, the fitted line, and its interval around it.
pub(super) fn plot(plot: &Plot) -> String {
    let points = plot.points.iter();
    let fits = plot.fit.iter();
    let xs = points.clone().map(|p| p.x).chain(fits.clone().map(|f| f.x));
    let ys = points
        .clone()
        .map(|p| p.y)
        .chain(fits.clone().flat_map(|f| [f.low, f.estimate, f.high]));
    let mut plane = Plane::new(
        &format!("{}: {}", plot.title, plot.caption),
        Axis::around(xs, plot.x, 0.0),
        Axis::around(ys, plot.y, 0.002),
    );
    let low: Vec<(f64, f64)> = fits.clone().map(|f| (f.x, f.low)).collect();
    let high: Vec<(f64, f64)> = fits.clone().rev().map(|f| (f.x, f.high)).collect();
    if low.len() > 1 {
        let around = [low, high].concat();
        let path = plane.way(&around);
        plane.put(&format!("<path class=\"band\" d=\"{path}Z\"/>"));
    }
    let fit: Vec<(f64, f64)> = fits.map(|f| (f.x, f.estimate)).collect();
    plane.line(&fit, "fit");
    if plot.is_joined {
        let joined: Vec<(f64, f64)> = points.map(|p| (p.x, p.y)).collect();
        plane.line(&joined, "line s0");
    } else {
        for point in points {
            let class = if point.is_aside {
                "point aside"
            } else {
                "point"
            };
            let (x, y) = (plane.left(point.x), plane.top(point.y));
            plane.put(&format!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"
            ));
        }
    }
    plane.end()
}

/// Lines over an axis; empty where the chart has no bounds.
pub(super) fn chart(chart: &Chart) -> String {
    let axes = (
        Axis::of_ticks(&chart.x_ticks),
        Axis::of_ticks(&chart.y_ticks),
    );
    let (Some(x), Some(y)) = axes else {
        return String::new();
    };
    let mut plane = Plane::new(&chart.title, x, y);
    for (index, line) in chart.lines.iter().enumerate() {
        let class = format!("line s{}", index % 8);
        for piece in &line.pieces {
            plane.line(piece, &class);
        }
    }
    plane.end()
}

/// Levels of a tree drawn at most, and the height of one.
const LEVELS: u32 = 7;
const LEVEL: f64 = 26.0;
const TREE_WIDTH: f64 = 1000.0;
/// Units of width of a letter.
const LETTER: f64 = 7.2;
/// Nodes narrower than this are not drawn.
const NARROWEST: f64 = 1.5;

/// Each node above what is within it, as wide as it is large.
pub(super) fn tree(tree: &Tree) -> String {
    let Some(root) = tree.nodes.first().filter(|root| root.size > 0.0) else {
        return String::new();
    };
    let scale = TREE_WIDTH / root.size;
    // Where the next child of a node at this depth begins.
    let mut next = vec![0.0; LEVELS as usize + 2];
    let mut levels = 0;
    let mut nodes = String::new();
    for node in &tree.nodes {
        let depth = node.depth as usize;
        if node.depth >= LEVELS {
            continue;
        }
        let (left, wide) = (next[depth], node.size * scale);
        next[depth] += wide;
        next[depth + 1] = left;
        if wide < NARROWEST {
            continue;
        }
        levels = levels.max(node.depth + 1);
        let top = f64::from(node.depth) * LEVEL;
        let marked = if node.is_marked { " marked" } else { "" };
        let _ = write!(
            nodes,
            "<rect class=\"node d{}{marked}\" x=\"{left:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\"><title>{}: {}</title></rect>",
            depth % 6,
            (wide - 1.0).max(0.8),
            LEVEL - 2.0,
            escaped(&node.label),
            tree.quantity.words(node.size),
        );
        let letters = ((wide - 10.0) / LETTER) as usize;
        if letters > 2 {
            let label = shortened(&node.label, letters);
            let _ = write!(
                nodes,
                "<text class=\"label\" x=\"{:.1}\" y=\"{}\">{}</text>",
                left + 6.0,
                top + 16.0,
                escaped(&label)
            );
        }
    }
    format!(
        "<svg class=\"still\" viewBox=\"0 0 {TREE_WIDTH} {}\" role=\"img\" aria-label=\"{}\">{nodes}</svg>",
        f64::from(levels) * LEVEL,
        escaped(&tree.title)
    )
}

fn shortened(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(letters.saturating_sub(1)).collect();
    out.push('…');
    out
}

const BARS_WIDTH: f64 = 600.0;
const BARS_HEIGHT: f64 = 72.0;

/// A bar each, the highest as high as there is room.
pub(super) fn bars(bars: &Bars) -> String {
    let most = bars.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let wide = BARS_WIDTH / bars.bars.len() as f64;
    let mut out = format!(
        "<svg class=\"bars\" viewBox=\"0 0 {BARS_WIDTH} {BARS_HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        escaped(&bars.label)
    );
    for (index, bar) in bars.bars.iter().enumerate() {
        if bar.value <= 0.0 {
            continue;
        }
        let high = (bar.value / most * (BARS_HEIGHT - 2.0)).max(1.0);
        let _ = write!(
            out,
            "<rect x=\"{:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{high:.1}\"><title>{}: {}</title></rect>",
            index as f64 * wide + wide * 0.1,
            BARS_HEIGHT - high,
            wide * 0.8,
            escaped(&bar.label),
            bars.quantity.words(bar.value)
        );
    }
    let _ = write!(
        out,
        "<path class=\"axis\" d=\"M0 {BARS_HEIGHT}H{BARS_WIDTH}\"/></svg>"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::TreeNode;
    use serde_json::json;

    #[test]
    fn marks_are_round_numbers_within_the_axis() {
        let axis = Axis::around([30_386.0, 34_822.0].into_iter(), Quantity::Count, 0.0);
        let marks: Vec<&str> = axis.marks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(marks, ["32 000", "34 000"]);
        assert_eq!(nice_step(0.3), 0.5);
        assert_eq!(nice_step(1000.0), 1000.0);
        // A constant, and nothing at all.
        for values in [vec![5.0; 3], vec![], vec![f64::NAN]] {
            let axis = Axis::around(values.into_iter(), Quantity::Bytes, 0.002);
            assert!(axis.from < axis.to && axis.marks.len() <= 21, "{axis:?}");
        }
    }

    #[test]
    fn children_lie_within_their_parents() {
        let node = |depth, size| TreeNode {
            depth,
            label: "n".into(),
            size,
            own: 0.0,
            is_marked: false,
            data: json!({}),
        };
        let svg = tree(&Tree {
            key: "t".into(),
            title: "t".into(),
            quantity: Quantity::Bytes,
            nodes: vec![
                node(0, 100.0),
                node(1, 60.0),
                node(2, 30.0),
                node(1, 40.0),
                node(2, 40.0),
            ],
            left_out: 0,
        });
        let lefts: Vec<&str> = svg
            .match_indices(" x=\"")
            .map(|(at, _)| {
                let rest = &svg[at + 4..];
                &rest[..rest.find('"').unwrap()]
            })
            .filter(|x| x.ends_with(".0") && !x.ends_with("6.0"))
            .collect();
        assert_eq!(lefts, ["0.0", "0.0", "0.0", "600.0", "600.0"]);
    }
}
