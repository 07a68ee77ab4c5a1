//! How long something lasts at the pace at which it goes. Pure.

use std::collections::VecDeque;

/// What was longer ago says nothing about now, in seconds.
const WINDOW: f64 = 60.0;
/// Fewer tell no pace.
const LEAST: usize = 4;
const MOST: usize = 600;

/// What was left, at the last moments.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    points: VecDeque<(f64, f64)>,
}

impl Pace {
    /// So much is left at this second.
    pub(crate) fn push(&mut self, now: f64, left: f64) {
        self.points.push_back((now, left));
        let is_old = |point: &(f64, f64)| now - point.0 > WINDOW;
        while self.points.front().is_some_and(is_old) || self.points.len() > MOST {
            self.points.pop_front();
        }
    }

    /// Seconds until nothing is left, by the line of least squares; `None`
    /// where it does not get less, or too little was seen.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let (_, left) = *self.points.back()?;
        if left <= 0.0 {
            return Some(0.0);
        }
        if self.points.len() < LEAST {
            return None;
        }
        let count = self.points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| self.points.iter().map(of).sum::<f64>() / count;
        let (at, value) = (mean(|p| p.0), mean(|p| p.1));
        let (mut above, mut below) = (0.0, 0.0);
        for (x, y) in &self.points {
            above += (x - at) * (y - value);
            below += (x - at) * (x - at);
        }
        let slope = above / below;
        (slope < 0.0).then(|| left / -slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gets_less_has_an_end() {
        let mut pace = Pace::default();
        for second in 0..10 {
            pace.push(f64::from(second), 100.0 - 5.0 * f64::from(second));
        }
        let seconds = pace.seconds().unwrap();
        assert!((seconds - 11.0).abs() < 1e-6, "{seconds}");
        pace.push(10.0, -1.0);
        assert_eq!(pace.seconds(), Some(0.0));
    }

    #[test]
    fn what_does_not_get_less_or_was_hardly_seen_has_none() {
        let mut pace = Pace::default();
        for second in 0..3 {
            pace.push(f64::from(second), 10.0 - f64::from(second));
        }
        assert_eq!(pace.seconds(), None);
        for second in 0..200 {
            pace.push(100.0 + f64::from(second), 50.0);
        }
        assert_eq!(pace.seconds(), None);
        assert!(pace.points.len() < 100, "what is old is forgotten");
    }
}
