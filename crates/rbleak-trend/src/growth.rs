//! Whether one figure grows, is flat, or cannot be told yet.

use crate::sen::{Point, kendall_tau, median, sen_slope};
use rbleak_units::Interval;

/// What a figure does over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// It keeps growing, by more than the margin, up to the last round.
    Growing,
    /// Its growth lies wholly below the margin.
    Flat,
    /// More rounds are needed.
    Undecided,
}

/// A figure's growth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assessment {
    /// The decision.
    pub growth: Growth,
    /// Per request, at 95 %; over the later two thirds of the rounds. `None`
    /// with too few rounds.
    pub rate: Option<Interval>,
}

/// The line that an [`Assessment`] rests on, for who draws it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Its slope; the interval is that of the assessment.
    pub rate: Interval,
    /// Where the points that are judged begin.
    pub from: f64,
    /// Where they end.
    pub to: f64,
    /// The middle of these points, about which the slope may turn.
    middle: Point,
}

impl Fit {
    /// The line at `x`, and between which values it lies there if it turns about
    /// the middle of the points as far as the interval of its slope allows. An
    /// interval of the line alone: single points lie outside.
    pub fn at(&self, x: f64) -> Interval {
        let run = x - self.middle.x;
        let value = |slope: f64| self.middle.value + slope * run;
        let (low, high) = (value(self.rate.low), value(self.rate.high));
        Interval {
            estimate: value(self.rate.estimate),
            low: low.min(high),
            high: low.max(high),
        }
    }
}

/// The line through the points that [`assess`] judges: its slope, and the height
/// that half of them lie above (Conover's estimate of the intercept). `None`
/// with too few points.
pub fn fit(points: &[Point]) -> Option<Fit> {
    let window = window(points);
    let ([first, .., last], true) = (window, window.len() >= MIN_WINDOW) else {
        return None;
    };
    let rate = rate(window, 0.95)?;
    let middle = (first.x + last.x) / 2.0;
    let mut heights: Vec<f64> = window
        .iter()
        .map(|point| point.value - rate.estimate * (point.x - middle))
        .collect();
    heights.sort_by(f64::total_cmp);
    Some(Fit {
        rate,
        from: first.x,
        to: last.x,
        middle: Point {
            x: middle,
            value: median(&heights),
        },
    })
}

/// Fewest points in the window that is judged.
const MIN_WINDOW: usize = 6;
/// Sen's interval takes the errors of the samples as independent, and
/// allocators wander: the interval is widened by half, as for the series of
/// RSS on which the factor was measured to keep its 95 %.
const WIDEN: f64 = 1.5;
/// A single step in the middle of a window gives a tau of 0.57, two steps 0.75.
const MIN_TAU: f64 = 0.8;
/// A cache that fills slows down: the last third, three rounds or more, must
/// keep this share of the slope of the whole.
const MIN_RECENT_SHARE: f64 = 0.5;

/// Judges `points` (in order of requests, the first taken after the warm-up)
/// against `margin`, in units of value per request.
///
/// The first third of the rounds only warms up and is left out. Growing needs
/// three things at once: the interval of the slope lies above the margin, the
/// order of the values is nearly that of the requests (Kendall 1975), so that
/// it is no single step, and the last third still grows at half the rate or
/// more, so that it is no cache that has just filled.
pub fn assess(points: &[Point], margin: f64) -> Assessment {
    let window = window(points);
    let undecided = Assessment {
        growth: Growth::Undecided,
        rate: None,
    };
    if window.len() < MIN_WINDOW {
        return undecided;
    }
    let Some(rate) = rate(window, 0.95) else {
        return undecided;
    };
    let growth = if rate.is_above(margin) && goes_on(window, rate.estimate, margin) {
        Growth::Growing
    } else if rate.is_below(margin) && net_rate(window) < margin {
        Growth::Flat
    } else {
        Growth::Undecided
    };
    Assessment {
        growth,
        rate: Some(rate),
    }
}

/// The upper end of the rate, with one-sided confidence of 95 %, and no less
/// than what came together from the first point of the window to the last:
/// what a test of equivalence (Schuirmann 1987) holds against the margin.
/// `None` with too few points.
pub(crate) fn at_most(points: &[Point]) -> Option<f64> {
    let window = window(points);
    if window.len() < MIN_WINDOW {
        return None;
    }
    // The upper end of a two-sided interval of 90 %.
    let rate = rate(window, 0.90)?;
    Some(rate.high.max(net_rate(window)))
}

/// The points that are judged: without those of the warm-up.
fn window(points: &[Point]) -> &[Point] {
    let left_out = points.len().div_ceil(3);
    &points[left_out.min(points.len().saturating_sub(MIN_WINDOW))..]
}

/// Sen's slope with its interval, widened.
fn rate(window: &[Point], confidence: f64) -> Option<Interval> {
    let sen = sen_slope(window, confidence)?;
    Some(Interval {
        estimate: sen.estimate,
        low: sen.estimate - (sen.estimate - sen.low) * WIDEN,
        high: sen.estimate + (sen.high - sen.estimate) * WIDEN,
    })
}

pub(crate) fn goes_on(window: &[Point], slope: f64, margin: f64) -> bool {
    let recent = net_rate(&window[window.len() - 1 - (window.len() / 3).max(3)..]);
    kendall_tau(window) >= MIN_TAU && recent > margin && recent >= MIN_RECENT_SHARE * slope
}

/// From the first to the last point: what the median may overlook, such as a
/// batch that is flushed every few rounds.
fn net_rate(points: &[Point]) -> f64 {
    match (points.first(), points.last()) {
        (Some(a), Some(b)) if b.x > a.x => (b.value - a.value) / (b.x - a.x),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
        values
            .into_iter()
            .enumerate()
            .map(|(i, value)| Point {
                x: i as f64 * 100.0,
                value,
            })
            .collect()
    }

    fn growth(values: &[f64]) -> Growth {
        assess(&points(values.iter().copied()), 0.1).growth
    }

    #[test]
    fn a_leak_is_told_and_its_rate_is_exact() {
        let found = assess(&points((0..9).map(|i| 1e5 + 200.0 * f64::from(i))), 0.1);
        assert_eq!(found.growth, Growth::Growing);
        assert_eq!(found.rate, Some(Interval::exact(2.0)));
    }

    #[test]
    fn the_line_runs_through_the_points_that_are_judged() {
        let found = fit(&points((0..9).map(|i| 1e5 + 200.0 * f64::from(i)))).unwrap();
        assert_eq!((found.from, found.to), (300.0, 800.0));
        assert_eq!(found.at(300.0), Interval::exact(1e5 + 600.0));
        let noisy = fit(&points([0.0, 0.0, 0.0, 9.0, 11.0, 10.0, 12.0, 9.0, 11.0])).unwrap();
        let (middle, end) = (noisy.at(550.0), noisy.at(800.0));
        assert_eq!(middle.low, middle.high);
        assert!(end.low < end.estimate && end.estimate < end.high, "{end:?}");
        assert_eq!(fit(&points([1.0, 2.0])), None);
    }

    #[test]
    fn noise_is_flat() {
        assert_eq!(
            growth(&[5.0, 3.0, 4.0, 5.0, 3.0, 4.0, 5.0, 4.0]),
            Growth::Flat
        );
    }

    #[test]
    fn a_few_rounds_tell_nothing() {
        assert_eq!(
            growth(&[0.0, 200.0, 400.0, 600.0, 800.0]),
            Growth::Undecided
        );
    }

    #[test]
    fn a_cache_that_fills_is_no_leak_however_it_ends_up() {
        for full_at in 1..14 {
            let values: Vec<f64> = (0..15).map(|i| 100.0 * f64::from(i.min(full_at))).collect();
            // Judged after every round from the moment on at which it is full
            // for two rounds.
            for end in (full_at as usize + 3).max(7)..=15 {
                assert_ne!(growth(&values[..end]), Growth::Growing, "{full_at} {end}");
            }
        }
    }

    #[test]
    fn a_single_step_is_no_leak() {
        for at in 0..12 {
            let values: Vec<f64> = (0..12).map(|i| if i < at { 0.0 } else { 900.0 }).collect();
            for end in 6..=12 {
                assert_ne!(growth(&values[..end]), Growth::Growing, "{at} {end}");
            }
        }
    }

    #[test]
    fn a_batch_every_other_round_is_a_leak() {
        let values: Vec<f64> = (0..16).map(|i| f64::from(i / 2) * 200.0).collect();
        assert_eq!(growth(&values), Growth::Growing);
    }

    #[test]
    fn a_late_burst_is_not_called_flat() {
        let mut values = vec![0.0; 10];
        values[9] = 500.0;
        assert_eq!(growth(&values), Growth::Undecided);
    }

    #[test]
    fn a_leak_under_the_margin_is_flat() {
        let values: Vec<f64> = (0..12).map(|i| f64::from(i) * 5.0).collect();
        assert_eq!(growth(&values), Growth::Flat);
    }
}
