//! Two rates, and by how much they differ.

use rbleak_units::Interval;

/// What `after` is more than `before`, with an interval of the same confidence
/// as theirs; negative where it is less.
///
/// The two are of different runs, and so independent. The interval is that of
/// Zou & Donner 2008 ("Construction of confidence limits about effect
/// measures"): the variances are recovered from the limits of each, which need
/// be neither symmetric nor normal, as Sen's are not.
pub fn difference(before: Interval, after: Interval) -> Interval {
    let estimate = after.estimate - before.estimate;
    Interval {
        estimate,
        low: estimate - (after.estimate - after.low).hypot(before.high - before.estimate),
        high: estimate + (after.high - after.estimate).hypot(before.estimate - before.low),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval(low: f64, estimate: f64, high: f64) -> Interval {
        Interval {
            estimate,
            low,
            high,
        }
    }

    #[test]
    fn exact_rates_differ_exactly() {
        let found = difference(Interval::exact(2.0), Interval::exact(0.5));
        assert_eq!(found, Interval::exact(-1.5));
    }

    /// Limits of the same width on all sides are those of a sum of squares.
    #[test]
    fn symmetric_limits_add_as_variances_do() {
        let found = difference(interval(7.0, 10.0, 13.0), interval(-4.0, 0.0, 4.0));
        assert_eq!(found, interval(-15.0, -10.0, -5.0));
    }

    #[test]
    fn each_side_has_its_own_width() {
        let found = difference(interval(0.0, 1.0, 5.0), interval(2.0, 4.0, 4.5));
        assert!((found.low - (3.0 - 20f64.sqrt())).abs() < 1e-12);
        assert!((found.high - (3.0 + 1.25f64.sqrt())).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_other_way_round_is_the_same_with_its_sign_turned(
            a in -1e6..1e6f64, b in -1e6..1e6f64,
            widths in prop::array::uniform4(0.0..1e5f64),
        ) {
            let x = interval(a - widths[0], a, a + widths[1]);
            let y = interval(b - widths[2], b, b + widths[3]);
            let (there, back) = (difference(x, y), difference(y, x));
            prop_assert!(there.low <= there.estimate && there.estimate <= there.high);
            prop_assert!((there.low + back.high).abs() < 1e-6);
            prop_assert!((there.estimate + back.estimate).abs() < 1e-6);
        }
    }
}
