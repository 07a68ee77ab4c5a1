//! Whether a series has a trend at all: the test of Mann and Kendall, mended
//! for samples that depend on each other.

use crate::sen::{Point, sen_slope};
use statrs::distribution::{ContinuousCDF, Normal};

/// The outcome of the test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MannKendall {
    /// One-sided, against an upward trend.
    pub(crate) p_rising: f64,
    /// By how much dependence between the samples inflates the variance of
    /// Kendall's S; 1 where there is none.
    pub(crate) inflation: f64,
}

/// Mann 1945 and Kendall 1975, with ties, and with the variance corrected for
/// autocorrelation after Hamed & Rao 1998: alone, the test calls nearly
/// anything that wanders a trend (Machida 2013 shows it for memory). Of several
/// groups, S and its variance are added up (Hirsch, Slack & Smith 1982); points
/// in order of x. `None` if no group has six.
pub(crate) fn mann_kendall(groups: &[&[Point]]) -> Option<MannKendall> {
    let (mut s, mut variance, mut plain) = (0i64, 0.0, 0.0);
    for points in groups.iter().filter(|points| points.len() >= 6) {
        for (i, a) in points.iter().enumerate() {
            for b in &points[i + 1..] {
                s += i64::from(b.value > a.value) - i64::from(b.value < a.value);
            }
        }
        let of = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
        let mut values: Vec<f64> = points.iter().map(|p| p.value).collect();
        values.sort_by(f64::total_cmp);
        let ties: f64 = values
            .chunk_by(|a, b| a == b)
            .map(|tied| of(tied.len() as f64))
            .sum();
        let own = (of(points.len() as f64) - ties) / 18.0;
        plain += own;
        variance += own * hamed_rao(points);
    }
    if groups.iter().all(|points| points.len() < 6) {
        return None;
    }
    Some(if variance <= 0.0 {
        MannKendall {
            p_rising: 1.0,
            inflation: 1.0,
        }
    } else {
        // The continuity correction of Kendall 1975.
        let z = (s - s.signum()) as f64 / variance.sqrt();
        MannKendall {
            p_rising: Normal::standard().sf(z),
            inflation: variance / plain,
        }
    })
}

/// The correction n / n* of Hamed & Rao 1998, eq. 14: from the significant
/// autocorrelations of the ranks of what is left when Sen's slope is taken
/// out. Never below 1: a saw-tooth must not make the test sharper.
fn hamed_rao(points: &[Point]) -> f64 {
    let n = points.len();
    let slope = sen_slope(points, 0.95).map_or(0.0, |slope| slope.estimate);
    let ranks = ranks(points.iter().map(|p| p.value - slope * p.x).collect());
    let mean = (n as f64 + 1.0) / 2.0;
    let of_lag = |lag: usize| -> f64 {
        (0..n - lag)
            .map(|i| (ranks[i] - mean) * (ranks[i + lag] - mean))
            .sum()
    };
    let total = of_lag(0);
    if total <= 0.0 {
        return 1.0;
    }
    let significant = Normal::standard().inverse_cdf(0.975) / (n as f64).sqrt();
    let length = n as f64;
    // Far lags have few pairs and add mostly noise.
    let sum: f64 = (1..n / 2)
        .map(|lag| (lag as f64, of_lag(lag) / total))
        .filter(|(_, correlation)| correlation.abs() > significant)
        .map(|(lag, correlation)| {
            (length - lag) * (length - lag - 1.0) * (length - lag - 2.0) * correlation
        })
        .sum();
    (1.0 + 2.0 * sum / (length * (length - 1.0) * (length - 2.0))).max(1.0)
}

/// The rank of each value, from 1; equal values share the mean of theirs.
fn ranks(values: Vec<f64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let last = first + tied.len();
        for &index in tied {
            ranks[index] = (first + 1 + last) as f64 / 2.0;
        }
        first = last;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(values: &[f64]) -> MannKendall {
        let points: Vec<Point> = values
            .iter()
            .enumerate()
            .map(|(i, &value)| Point { x: i as f64, value })
            .collect();
        mann_kendall(&[&points]).unwrap()
    }

    #[test]
    fn a_line_rises_and_a_constant_does_not() {
        let line: Vec<f64> = (0..20).map(f64::from).collect();
        assert!(test(&line).p_rising < 1e-6);
        assert_eq!(test(&[5.0; 20]).p_rising, 1.0);
        let falling: Vec<f64> = (0..20).map(|i| -f64::from(i)).collect();
        assert!(test(&falling).p_rising > 0.999);
    }

    #[test]
    fn ties_share_their_ranks() {
        assert_eq!(ranks(vec![3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    }

    /// A slow wave is the plainest dependence: the plain test is sure of a
    /// trend in its rising half, the corrected one is not.
    #[test]
    fn dependence_makes_the_test_more_careful() {
        let wave: Vec<f64> = (0..60)
            .map(|i| (f64::from(i) / 60.0 * 15.0).sin() + 0.02 * f64::from(i))
            .collect();
        let found = test(&wave);
        assert!(found.inflation > 2.0, "{found:?}");
    }

    /// Kendall's S of 1 2 3 4 5 6 is 15 of 15 pairs, its variance 28.33: the
    /// statistic is 14 / 5.323 = 2.630.
    #[test]
    fn the_statistic_is_that_of_the_textbook() {
        let found = test(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(found.inflation, 1.0);
        assert!((found.p_rising - 0.004_27).abs() < 1e-4, "{found:?}");
    }
}
