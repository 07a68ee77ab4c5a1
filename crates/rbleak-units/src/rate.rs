//! An estimate with the range it may lie in.

/// An estimate and its confidence interval; the level (95 % unless its owner
/// says otherwise) and the unit belong to whoever computed it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The point estimate.
    pub estimate: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// An interval of no width, for what is known exactly.
    pub fn exact(value: f64) -> Interval {
        Interval {
            estimate: value,
            low: value,
            high: value,
        }
    }

    /// Whether the whole interval lies above `margin`.
    pub fn is_above(&self, margin: f64) -> bool {
        self.low > margin
    }

    /// Whether the whole interval lies below `margin`.
    pub fn is_below(&self, margin: f64) -> bool {
        self.high < margin
    }

    /// The interval of the same quantity in another unit.
    pub fn scaled(&self, factor: f64) -> Interval {
        let (a, b) = (self.low * factor, self.high * factor);
        Interval {
            estimate: self.estimate * factor,
            low: a.min(b),
            high: a.max(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_of_a_margin_means_wholly() {
        let rate = Interval {
            estimate: 1.0,
            low: 0.5,
            high: 2.0,
        };
        assert!(rate.is_above(0.2) && !rate.is_above(0.5) && !rate.is_below(2.0));
        assert!(rate.is_below(2.1));
        assert_eq!(rate.scaled(-1.0).low, -2.0);
    }
}
