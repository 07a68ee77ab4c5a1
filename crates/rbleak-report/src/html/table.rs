//! Tables as the page shows them: cells with what rows are sorted by, and a
//! little bar where a cell was measured with an interval.

use crate::document::{Align, Table};
use crate::figures::{Grid, Measure};
use std::fmt::Write;

/// A table, ready to be shown.
pub(super) struct TableView {
    pub(super) title: String,
    pub(super) columns: Vec<ColumnView>,
    pub(super) rows: Vec<Vec<CellView>>,
    pub(super) left_out: usize,
}

pub(super) struct ColumnView {
    pub(super) heading: String,
    pub(super) class: &'static str,
}

pub(super) struct CellView {
    pub(super) text: String,
    pub(super) class: &'static str,
    /// By what rows are sorted: a number where one can be read.
    pub(super) key: String,
    /// A picture of the interval; may be empty.
    pub(super) bar: String,
}

impl TableView {
    pub(super) fn of_table(table: &Table) -> TableView {
        TableView::new(table, &[])
    }

    pub(super) fn of_grid(grid: &Grid) -> TableView {
        TableView::new(&grid.table, &grid.measures)
    }

    fn new(table: &Table, measures: &[Vec<Option<Measure>>]) -> TableView {
        let measure = |row: usize, column: usize| *measures.get(row)?.get(column)?;
        let scales: Vec<Option<Scale>> = (0..table.columns.len())
            .map(|column| Scale::of((0..table.rows.len()).filter_map(|row| measure(row, column))))
            .collect();
        let class = |column: usize| match table.columns.get(column).map(|c| c.align) {
            Some(Align::Right) => "num",
            _ => "text",
        };
        let rows = table.rows.iter().enumerate().map(|(at, row)| {
            let cells = row.cells.iter().enumerate().map(|(column, text)| {
                let measured = measure(at, column);
                let scale = scales.get(column).and_then(Option::as_ref);
                CellView {
                    text: text.clone(),
                    class: class(column),
                    key: match measured {
                        Some(measured) => measured.estimate.to_string(),
                        None => sort_key(text),
                    },
                    bar: match (measured, scale) {
                        (Some(measured), Some(scale)) => scale.bar(measured),
                        _ => String::new(),
                    },
                }
            });
            cells.collect()
        });
        TableView {
            title: table.title.clone().unwrap_or_default(),
            columns: table
                .columns
                .iter()
                .enumerate()
                .map(|(at, column)| ColumnView {
                    heading: column.heading.clone(),
                    class: class(at),
                })
                .collect(),
            rows: rows.collect(),
            left_out: table.left_out,
        }
    }
}

/// The number at the beginning of a cell, its unit taken into account; else the
/// text in small letters.
fn sort_key(text: &str) -> String {
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | ' ' | '\u{a0}');
    let end = text.find(|c| !digits(c)).unwrap_or(text.len());
    let number: String = text[..end].chars().filter(|c| !c.is_whitespace()).collect();
    let unit = text[end..].split([' ', ',', '(', '/']).next().unwrap_or("");
    let factor = match unit {
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "" | "B" | "%" | "s" => 1.0,
        // `3 B` is a number, `2.1-alpha` and `7th` are none.
        _ => f64::NAN,
    };
    match number.trim_start_matches('+').parse::<f64>() {
        Ok(number) if factor.is_finite() => (number * factor).to_string(),
        _ => text.to_lowercase(),
    }
}

/// What bars of one column have in common.
struct Scale {
    low: f64,
    high: f64,
}

const WIDE: f64 = 96.0;
const HIGH: f64 = 12.0;

impl Scale {
    /// From zero, or what lies below it, to the highest end; `None` where no
    /// cell has an interval.
    fn of(measures: impl Iterator<Item = Measure>) -> Option<Scale> {
        let mut scale = Scale {
            low: 0.0,
            high: 0.0,
        };
        let mut is_any = false;
        for (low, high) in measures.filter_map(|measure| measure.interval) {
            is_any |= low.is_finite() && high.is_finite();
            if low.is_finite() && high.is_finite() {
                scale.low = scale.low.min(low);
                scale.high = scale.high.max(high);
            }
        }
        (is_any && scale.high > scale.low).then_some(scale)
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        3.0 + share.clamp(0.0, 1.0) * (WIDE - 6.0)
    }

    fn bar(&self, measure: Measure) -> String {
        let Some((low, high)) = measure.interval else {
            return String::new();
        };
        let (zero, at) = (self.place(0.0), self.place(measure.estimate));
        let (low, high) = (self.place(low), self.place(high).max(self.place(low) + 1.0));
        let middle = HIGH / 2.0;
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<svg class=\"interval\" viewBox=\"0 0 {WIDE} {HIGH}\" width=\"{WIDE}\" height=\"{HIGH}\" aria-hidden=\"true\">\
             <path class=\"zero\" d=\"M{zero:.1} 0V{HIGH}\"/>\
             <path class=\"stem\" d=\"M{zero:.1} {middle}H{at:.1}\"/>\
             <path class=\"range\" d=\"M{low:.1} {middle}H{high:.1}\"/>\
             <circle cx=\"{at:.1}\" cy=\"{middle}\" r=\"3\"/></svg>"
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_sorted_by_the_number_they_begin_with() {
        let key = |text: &str| sort_key(text).parse::<f64>().ok();
        assert_eq!(key("1 500"), Some(1500.0));
        assert_eq!(key("2.5 kB"), Some(2500.0));
        assert_eq!(key("12 %"), Some(12.0));
        assert_eq!(key("7.00 (7.00–7.02)"), Some(7.0));
        assert_eq!(key("-0.5"), Some(-0.5));
        assert_eq!(key("816 B (811–836 B)"), Some(816.0));
        assert_eq!(sort_key("Endpoints::ONE"), "endpoints::one");
        assert_eq!(sort_key("2.1-alpha"), "2.1-alpha");
        assert_eq!(sort_key(""), "");
    }

    #[test]
    fn a_bar_lies_within_its_picture() {
        let measure = |estimate, low, high| Measure {
            estimate,
            interval: Some((low, high)),
        };
        let all = [measure(7.0, 6.9, 7.1), measure(0.0, -0.1, 0.1)];
        let scale = Scale::of(all.into_iter()).unwrap();
        assert_eq!(scale.place(7.1), WIDE - 3.0);
        assert!(scale.place(-5.0) >= 0.0);
        assert!(Scale::of([Measure::exact(1.0)].into_iter()).is_none());
        assert!(Scale::of([measure(1.0, f64::NEG_INFINITY, f64::INFINITY)].into_iter()).is_none());
    }
}
