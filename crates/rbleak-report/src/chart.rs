//! A chart for a terminal: columns of eighths of a block, the lowest and the
//! highest value of the axis at the side.

use crate::document::{Chart, ChartLine};
use crate::sanitize::sanitize;

/// Lines of text that the plot of one line takes, alone and among others.
const HEIGHT: usize = 6;
const HEIGHT_AMONG_OTHERS: usize = 2;
/// Columns at most and at least.
const WIDEST: usize = 96;
const NARROWEST: usize = 20;
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The lines of text.
pub(crate) fn in_text(chart: &Chart, width: usize) -> Vec<String> {
    let ([(low, _), .., (high, _)], [(from, _), .., (to, _)]) =
        (chart.y_ticks.as_slice(), chart.x_ticks.as_slice())
    else {
        return Vec::new();
    };
    let side = chart.y_ticks.iter().map(|(_, label)| count(label)).max();
    let side = side.unwrap_or(0) + 3;
    let columns = width.saturating_sub(side + 2).clamp(NARROWEST, WIDEST);
    let height = match chart.lines.len() {
        0 | 1 => HEIGHT,
        _ => HEIGHT_AMONG_OTHERS,
    };
    let mut out = Vec::new();
    for line in &chart.lines {
        let title = match line.name.as_str() {
            "" => chart.title.clone(),
            name => format!("{} · {name}", chart.title),
        };
        out.push(format!("  {}", sanitize(&title)));
        let levels = levels(line, (*from, *to), (*low, *high), (columns, height));
        for row in (0..height).rev() {
            let label = match row {
                0 => &chart.y_ticks[0].1,
                _ if row == height - 1 => &chart.y_ticks[chart.y_ticks.len() - 1].1,
                _ => "",
            };
            let gap = " ".repeat(side.saturating_sub(count(label) + 1));
            let cells = levels.iter().map(|level| {
                let eighths = level.map_or(0, |level| level.saturating_sub(row * 8).min(8));
                EIGHTHS[eighths]
            });
            let cells: String = cells.collect();
            out.push(format!("{gap}{label} │{cells}").trim_end().to_owned());
        }
        let (first, last) = (
            &chart.x_ticks[0].1,
            &chart.x_ticks[chart.x_ticks.len() - 1].1,
        );
        let gap = columns.saturating_sub(count(first) + count(last)).max(1);
        out.push(format!(
            "{}{first}{}{last}",
            " ".repeat(side + 1),
            " ".repeat(gap)
        ));
    }
    out
}

fn count(text: &str) -> usize {
    text.chars().count()
}

/// How many eighths high each column is: the mean of what falls into it, or of
/// the column before where nothing does within a piece.
fn levels(
    line: &ChartLine,
    (from, to): (f64, f64),
    (low, high): (f64, f64),
    (columns, height): (usize, usize),
) -> Vec<Option<usize>> {
    let mut sums = vec![(0.0, 0.0); columns];
    let mut covered = vec![false; columns];
    let place = |x: f64| {
        let share = (x - from) / (to - from).max(f64::MIN_POSITIVE);
        ((share * columns as f64) as usize).min(columns - 1)
    };
    for piece in &line.pieces {
        for &(x, y) in piece {
            let sum = &mut sums[place(x)];
            sum.0 += y;
            sum.1 += 1.0;
        }
        if let (Some(first), Some(last)) = (piece.first(), piece.last()) {
            covered[place(first.0)..=place(last.0)].fill(true);
        }
    }
    let most = (height * 8) as f64;
    let mut before = None;
    sums.iter()
        .zip(covered)
        .map(|(&(sum, n), covered)| {
            if n > 0.0 {
                let share = (sum / n - low) / (high - low).max(f64::MIN_POSITIVE);
                // A value at the lower end is to be seen, too.
                before = Some(((share * most).round() as usize).clamp(1, height * 8));
            } else if !covered {
                before = None;
            }
            before
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_rises_from_left_to_right() {
        let chart = Chart {
            title: "RSS".into(),
            lines: vec![ChartLine {
                name: String::new(),
                pieces: vec![(0..20).map(|i| (f64::from(i), f64::from(i))).collect()],
            }],
            y_ticks: vec![(0.0, "0".into()), (19.0, "19 MB".into())],
            x_ticks: vec![(0.0, "0 s".into()), (19.0, "19 s".into())],
        };
        let lines = in_text(&chart, 30);
        assert_eq!(lines.len(), HEIGHT + 2);
        assert!(lines[1].starts_with("  19 MB │") && lines[1].ends_with('█'));
        assert!(lines[HEIGHT].contains("0 │▁"), "{lines:?}");
        assert!(lines[HEIGHT + 1].contains("0 s") && lines[HEIGHT + 1].ends_with("19 s"));
    }
}
