//! Charts as SVG, by themselves: no script, no font and no network.

use crate::document::{Block, Chart, Document};
use crate::sanitize::sanitize;
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const PLOT: f64 = 260.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 48.0;
const BELOW: f64 = 40.0;
/// One colour a line, told apart by the colour-blind, too (Okabe & Ito 2008).
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];
/// Points of a line at most: more are not to be seen.
const MOST_POINTS: usize = 2000;

/// The charts of `document` below one another, with `caption` above them.
pub fn to_svg(document: &Document, caption: &str) -> String {
    let charts: Vec<&Chart> = document
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Chart(chart) => Some(chart),
            _ => None,
        })
        .collect();
    let each = TOP + PLOT + BELOW;
    let height = 36.0 + each * charts.len() as f64;
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>",
        escape(caption)
    );
    for (index, chart) in charts.iter().enumerate() {
        draw(&mut out, chart, 36.0 + each * index as f64);
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, chart: &Chart, top: f64) {
    let ([(low, _), .., (high, _)], [(from, _), .., (to, _)]) =
        (chart.y_ticks.as_slice(), chart.x_ticks.as_slice())
    else {
        return;
    };
    let plot_top = top + TOP;
    let bottom = plot_top + PLOT;
    let right = WIDTH - RIGHT;
    let x =
        |value: f64| LEFT + (value - from) / (to - from).max(f64::MIN_POSITIVE) * (right - LEFT);
    let y = |value: f64| bottom - (value - low) / (high - low).max(f64::MIN_POSITIVE) * PLOT;
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{}</text>",
        top + 18.0,
        escape(&chart.title)
    );
    for (value, label) in &chart.y_ticks {
        let at = y(*value);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            escape(label)
        );
    }
    for (value, label) in &chart.x_ticks {
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(*value),
            bottom + 18.0,
            escape(label)
        );
    }
    let mut legend = LEFT;
    for (line, colour) in chart.lines.iter().zip(COLOURS.iter().cycle()) {
        for piece in &line.pieces {
            let stride = piece.len().div_ceil(MOST_POINTS).max(1);
            let mut path = String::new();
            for (index, &(px, py)) in piece.iter().enumerate() {
                if index % stride == 0 || index + 1 == piece.len() {
                    let letter = if path.is_empty() { 'M' } else { 'L' };
                    let _ = write!(path, "{letter}{:.1} {:.1}", x(px), y(py));
                }
            }
            let _ = writeln!(
                out,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"
            );
        }
        if !line.name.is_empty() {
            let _ = writeln!(
                out,
                "<text x=\"{legend:.0}\" y=\"{:.0}\" fill=\"{colour}\">{}</text>",
                top + 36.0,
                escape(&line.name)
            );
            legend += 7.0 * line.name.chars().count() as f64 + 24.0;
        }
    }
}

fn escape(text: &str) -> String {
    sanitize(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::ChartLine;

    #[test]
    fn what_is_shown_is_escaped_and_in_place() {
        let mut document = Document::new("t");
        document.push(Block::Chart(Chart {
            title: "a<b".into(),
            lines: vec![ChartLine {
                name: "web & co".into(),
                pieces: vec![vec![(0.0, 0.0), (10.0, 5.0)]],
            }],
            y_ticks: vec![(0.0, "0".into()), (5.0, "5".into())],
            x_ticks: vec![(0.0, "0 s".into()), (10.0, "10 s".into())],
        }));
        let svg = to_svg(&document, "\"x\"");
        assert!(svg.contains("a&lt;b") && svg.contains("web &amp; co"));
        assert!(svg.contains("d=\"M90.0 344.0L940.0 84.0\""), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
