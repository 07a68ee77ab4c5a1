//! Rates with their intervals, and the test for a plateau.

use crate::envelope::{Axis, blocks_for_slopes, envelope};
use crate::kendall::{MannKendall, mann_kendall};
use crate::lives::Reading;
use crate::sen::{Point, sen_slope_of_groups};
use crate::shapes::Fit;
use rbleak_units::Interval;

/// The interval is widened: factor by which it keeps its 95 % on series whose
/// noise wanders.
const WIDEN: f64 = 1.75;
/// The first third of a life only warms up.
const WARM_UP: f64 = 1.0 / 3.0;
/// Parts by which it is told whether growth comes in lumps.
const COARSE: usize = 16;
/// A slope has an interval from so many points on.
const FEWEST_POINTS: usize = 6;
/// But no more than this is left out.
const MOST_LEFT_OUT: f64 = 0.6;

/// A life with the fit by which what is no line is taken out of it.
pub(crate) struct Fitted<'a> {
    pub(crate) readings: &'a [Reading],
    pub(crate) fit: Option<&'a Fit>,
    /// The level that the fit was scaled by.
    pub(crate) level: f64,
}

/// The slope that all lives have in common in their later parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slope {
    /// Per unit of the axis, two-sided at 95 %.
    pub(crate) interval: Interval,
    /// One-sided upper bound at 95 %.
    pub(crate) upper: f64,
    /// The test for a trend in the same points.
    pub(crate) trend: MannKendall,
    /// The same of the last half of the points alone.
    pub(crate) recent: Interval,
    /// The part of the growth that the two largest of the rises between
    /// neighbouring blocks make up.
    pub(crate) lumped: f64,
}

/// Theil-Sen with the interval of Sen 1968, its variance corrected for
/// autocorrelation and widened.
pub(crate) fn slope(lives: &[Fitted<'_>], axis: Axis) -> Option<Slope> {
    let groups: Vec<Vec<Point>> = lives
        .iter()
        .filter_map(|life| later_points(life, axis))
        .collect();
    let groups: Vec<&[Point]> = groups.iter().map(Vec::as_slice).collect();
    let trend = mann_kendall(&groups)?;
    let of = |confidence: f64| {
        let sen = sen_slope_of_groups(&groups, confidence, trend.inflation)?;
        Some(Interval {
            estimate: sen.estimate,
            low: sen.estimate - (sen.estimate - sen.low) * WIDEN,
            high: sen.estimate + (sen.high - sen.estimate) * WIDEN,
        })
    };
    let recent: Vec<&[Point]> = groups
        .iter()
        .map(|points| &points[points.len() - (points.len() / 2).max(5).min(points.len())..])
        .collect();
    let interval = of(0.95)?;
    Some(Slope {
        interval,
        upper: of(0.90)?.high,
        trend,
        recent: sen_slope_of_groups(&recent, 0.95, trend.inflation).unwrap_or(interval),
        lumped: lumped(&groups),
    })
}

fn lumped(groups: &[&[Point]]) -> f64 {
    let rises = groups.iter().flat_map(|points| {
        let coarse: Vec<f64> = points
            .chunks(points.len().div_ceil(COARSE))
            .map(|part| part.iter().map(|p| p.value).sum::<f64>() / part.len() as f64)
            .collect();
        coarse
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect::<Vec<f64>>()
    });
    let mut rises: Vec<f64> = rises.map(|rise| rise.max(0.0)).collect();
    rises.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = rises.iter().sum();
    rises.iter().take(2).sum::<f64>() / total.max(f64::MIN_POSITIVE)
}

/// The envelope of the later part of a life, without the transients of its
/// fit, in the signal's unit.
fn later_points(life: &Fitted<'_>, axis: Axis) -> Option<Vec<Point>> {
    let readings = life.readings;
    let from = axis.of(readings.first()?)?;
    let span = axis.of(readings.last()?)? - from;
    let start = life.fit.map_or(0.0, Fit::last_change);
    let start = from + span * start.clamp(WARM_UP, MOST_LEFT_OUT);
    let points = envelope(readings, axis, blocks_for_slopes(readings.len()))?;
    let first = points
        .iter()
        .position(|p| p.x >= start)?
        .min(points.len().saturating_sub(FEWEST_POINTS));
    let later: Vec<Point> = points[first..]
        .iter()
        .map(|p| Point {
            x: p.x,
            value: p.value
                - life.level
                    * life
                        .fit
                        .map_or(0.0, |fit| fit.transient((p.x - from) / span)),
        })
        .collect();
    (later.len() >= FEWEST_POINTS).then_some(later)
}
