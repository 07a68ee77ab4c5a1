//! Theil–Sen slope and its confidence interval.
//!
//! Theil 1950, Sen 1968 ("Estimates of the regression coefficient based on
//! Kendall's tau"): the median of the slopes between all pairs of points, and
//! an interval from Kendall's S, both insensitive to single outliers: a late
//! `require` or an allocator's jump moves neither.

use rbleak_units::Interval;
use statrs::distribution::{ContinuousCDF, Normal};

/// A value, and where on the axis it was taken: after so many requests or
/// seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Requests or seconds since the first sample.
    pub x: f64,
    /// The value, in any unit.
    pub value: f64,
}

/// The slope of `points` in units of value per unit of x, with its two-sided
/// interval at `confidence` (0.95). `None` with fewer than five points, below
/// which no such interval exists, or when all x are equal.
pub fn sen_slope(points: &[Point], confidence: f64) -> Option<Interval> {
    sen_slope_of_groups(&[points], confidence, 1.0)
}

/// The slope that several groups of points have in common: only pairs within
/// a group count, as Sen does it for seasons (Hirsch, Slack & Smith 1982). The
/// variance of Kendall's S is taken `inflation` times as large, for points
/// that are not independent (Hamed & Rao 1998).
pub(crate) fn sen_slope_of_groups(
    groups: &[&[Point]],
    confidence: f64,
    inflation: f64,
) -> Option<Interval> {
    let n: usize = groups.iter().map(|points| points.len()).sum();
    if n < 5 {
        return None;
    }
    let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
    let mut variance = 0.0;
    for points in groups {
        for (i, a) in points.iter().enumerate() {
            for b in &points[i + 1..] {
                let run = b.x - a.x;
                if run != 0.0 {
                    slopes.push((b.value - a.value) / run);
                }
            }
        }
        // Sen 1968, eq. 2.6: the variance of Kendall's S without ties.
        let n = points.len() as f64;
        variance += n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    }
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let count = slopes.len() as f64;
    let z = Normal::standard().inverse_cdf(0.5 + confidence / 2.0);
    let reach = z * (variance * inflation).sqrt();
    let low_rank = ((count - reach) / 2.0).floor().max(0.0) as usize;
    let high_rank = ((count + reach) / 2.0).ceil().min(count - 1.0) as usize;
    Some(Interval {
        estimate: median(&slopes),
        low: slopes[low_rank],
        high: slopes[high_rank],
    })
}

/// Kendall's tau-a of the values against x: +1 when every later
/// value is larger, 0 when there is no trend; ties count for nothing. Points
/// are in order of x.
pub(crate) fn kendall_tau(points: &[Point]) -> f64 {
    let n = points.len();
    if n < 2 {
        return 0.0;
    }
    let mut s = 0i64;
    for (i, a) in points.iter().enumerate() {
        for b in &points[i + 1..] {
            s += match b.value.total_cmp(&a.value) {
                std::cmp::Ordering::Greater => 1,
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
            };
        }
    }
    s as f64 / (n * (n - 1) / 2) as f64
}

/// The median of sorted values; they are not empty.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(slope: f64, n: usize) -> Vec<Point> {
        (0..n)
            .map(|i| Point {
                x: i as f64 * 100.0,
                value: 5_000.0 + slope * i as f64 * 100.0,
            })
            .collect()
    }

    #[test]
    fn an_exact_line_has_an_interval_of_no_width() {
        let slope = sen_slope(&line(2.0, 8), 0.95).unwrap();
        assert_eq!((slope.low, slope.estimate, slope.high), (2.0, 2.0, 2.0));
    }

    #[test]
    fn too_few_points_have_no_interval() {
        assert_eq!(sen_slope(&line(2.0, 4), 0.95), None);
        assert_eq!(sen_slope(&[Point { x: 1.0, value: 1.0 }; 9], 0.95), None);
    }

    #[test]
    fn one_outlier_moves_nothing() {
        let mut points = line(1.0, 12);
        points[5].value += 1e6;
        let slope = sen_slope(&points, 0.95).unwrap();
        assert!((slope.estimate - 1.0).abs() < 1e-9);
    }

    /// Sen's example of 1968 (section 5): t = 1 2 3 4 10 12 18, x = 9 15 19 20
    /// 45 55 78; the estimate is 4 and the 93 % interval is 3.71 to 4.50 or so.
    #[test]
    fn the_example_of_the_paper() {
        let points: Vec<Point> = [1.0, 2.0, 3.0, 4.0, 10.0, 12.0, 18.0]
            .into_iter()
            .zip([9.0, 15.0, 19.0, 20.0, 45.0, 55.0, 78.0])
            .map(|(x, value)| Point { x, value })
            .collect();
        let slope = sen_slope(&points, 0.93).unwrap();
        assert_eq!(slope.estimate, 4.0);
        assert!((3.5..4.0).contains(&slope.low), "{slope:?}");
        assert!((4.1..5.1).contains(&slope.high), "{slope:?}");
    }

    proptest! {
        #[test]
        fn the_estimate_lies_within_its_interval(values in prop::collection::vec(-1e6..1e6f64, 5..40)) {
            let points: Vec<Point> = values.iter().enumerate()
                .map(|(i, &value)| Point { x: i as f64, value }).collect();
            let slope = sen_slope(&points, 0.95).unwrap();
            prop_assert!(slope.low <= slope.estimate && slope.estimate <= slope.high);
        }

        #[test]
        fn adding_a_line_adds_its_slope(values in prop::collection::vec(-1e3..1e3f64, 5..20), slope in -10.0..10.0f64) {
            let points: Vec<Point> = values.iter().enumerate()
                .map(|(i, &value)| Point { x: i as f64, value }).collect();
            let tilted: Vec<Point> = points.iter()
                .map(|p| Point { value: p.value + slope * p.x, ..*p }).collect();
            let (flat, tilted) = (sen_slope(&points, 0.95).unwrap(), sen_slope(&tilted, 0.95).unwrap());
            prop_assert!((tilted.estimate - flat.estimate - slope).abs() < 1e-6);
            prop_assert!((tilted.low - flat.low - slope).abs() < 1e-6);
        }
    }
}
