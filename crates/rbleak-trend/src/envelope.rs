//! The lower envelope of a life: what stays when the noise is off.

use crate::lives::Reading;
use crate::sen::Point;

/// Memory that is soon freed rides on top of what is kept: of each block the
/// value is taken below which this share of its readings lies.
const QUANTILE: f64 = 0.3;

/// Along which axis growth is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Seconds.
    Time,
    /// Requests answered.
    Requests,
}

impl Axis {
    pub(crate) fn of(self, reading: &Reading) -> Option<f64> {
        match self {
            Axis::Time => Some(reading.at),
            Axis::Requests => reading.requests,
        }
    }
}

/// How many blocks shapes are fitted to.
pub(crate) fn blocks_for_shapes(readings: usize) -> usize {
    (readings / 4).clamp(8, 32)
}

/// How many blocks tests and slopes are computed from.
pub(crate) fn blocks_for_slopes(readings: usize) -> usize {
    (readings / 3).clamp(8, 96)
}

/// `blocks` blocks of equally many readings each, one point a block: the mean
/// of the axis and the lower quantile of the values. `None` if the axis is not
/// known throughout or does not move.
pub(crate) fn envelope(readings: &[Reading], axis: Axis, blocks: usize) -> Option<Vec<Point>> {
    let n = readings.len();
    let blocks = blocks.min(n);
    if blocks < 2 {
        return None;
    }
    let mut points = Vec::with_capacity(blocks);
    for block in 0..blocks {
        let part = &readings[block * n / blocks..(block + 1) * n / blocks];
        let mut x = 0.0;
        for reading in part {
            x += axis.of(reading)?;
        }
        let mut values: Vec<f64> = part.iter().map(|r| r.value).collect();
        values.sort_by(f64::total_cmp);
        points.push(Point {
            x: x / part.len() as f64,
            value: quantile(&values, QUANTILE),
        });
    }
    let moves = points.is_sorted_by(|a, b| a.x <= b.x) && points[blocks - 1].x > points[0].x;
    moves.then_some(points)
}

/// Of sorted values that are not empty, with linear interpolation.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(values: impl IntoIterator<Item = f64>) -> Vec<Reading> {
        let reading = |(i, value)| Reading {
            at: i as f64,
            requests: None,
            value,
        };
        values.into_iter().enumerate().map(reading).collect()
    }

    #[test]
    fn garbage_on_top_is_left_out() {
        let saw = readings((0..100).map(|i| 100.0 + f64::from(i % 10)));
        let points = envelope(&saw, Axis::Time, 10).unwrap();
        assert!(points.iter().all(|p| (p.value - 102.7).abs() < 1e-9));
        assert_eq!((points[0].x, points[9].x), (4.5, 94.5));
    }

    #[test]
    fn an_axis_that_is_not_there_or_stands_still_has_none() {
        assert_eq!(envelope(&readings([1.0; 50]), Axis::Requests, 10), None);
        let mut still = readings([1.0; 50]);
        still.iter_mut().for_each(|r| r.requests = Some(3.0));
        assert_eq!(envelope(&still, Axis::Requests, 10), None);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0], 0.5), 1.5);
        assert_eq!(quantile(&[7.0], 0.3), 7.0);
    }
}
