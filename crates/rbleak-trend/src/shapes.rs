//! The families of shapes that a memory series may have, and their fits.

use crate::least_squares::solve;
use crate::sen::Point;
use std::f64::consts::TAU;

/// The shape of a series. Places and times are shares of the window, from 0 to
/// 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Flat.
    Constant,
    /// A straight line, up or down.
    Linear,
    /// Rises ever more slowly to a level, with this time constant.
    Saturating {
        /// The time constant.
        tau: f64,
    },
    /// As the logarithm of the time, which is how high-water marks grow.
    Logarithm {
        /// Time before the window.
        start: f64,
    },
    /// As a power of the time.
    Power {
        /// The exponent.
        exponent: f64,
    },
    /// Rises in a straight line and stops.
    Knee {
        /// Where it stops.
        at: f64,
    },
    /// Flat, then a straight line.
    LateRise {
        /// Where it begins.
        at: f64,
    },
    /// Flat between one to three steps.
    Steps {
        /// How many.
        count: usize,
    },
    /// Flat before and behind one step, after a start-up.
    Step {
        /// Where the step is.
        at: f64,
    },
    /// A straight line with one step.
    StepLinear {
        /// Where the step is.
        at: f64,
    },
    /// Goes up and down around a level, as load over the day does.
    Wave {
        /// So many times within the window.
        cycles: f64,
    },
    /// The same around a straight line.
    WaveLinear {
        /// So many times within the window.
        cycles: f64,
    },
}

/// A shape fitted to points whose x runs from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fit {
    pub(crate) shape: Shape,
    /// The time constant of a start-up before it, if there is one.
    pub(crate) boot: Option<f64>,
    /// Free parameters, those of the shape itself too.
    pub(crate) parameters: usize,
    pub(crate) mean_square: f64,
    /// Of the terms of the shape, then of the start-up.
    coefficients: Vec<f64>,
    /// Of steps: where, and the level from there on.
    levels: Vec<(f64, f64)>,
}

/// Time constants of saturation that are tried, those within the window's
/// reach and those beyond; between them the best is searched for.
const FAST_TAUS: [f64; 11] = [
    0.008, 0.015, 0.025, 0.04, 0.06, 0.09, 0.13, 0.17, 0.21, 0.26, 0.32,
];
const SLOW_TAUS: [f64; 6] = [0.321, 0.4, 0.5, 0.65, 0.8, 1.0];
/// Beside a line, a slower start-up could not be told from the line.
const BOOTS: [f64; 7] = [0.01, 0.02, 0.04, 0.07, 0.11, 0.16, 0.22];
/// Start-ups beside what has a place or a period of its own.
const FEW_BOOTS: [f64; 3] = [0.02, 0.05, 0.1];
const STARTS: [f64; 5] = [0.003, 0.01, 0.03, 0.1, 0.2];
const EXPONENTS: [f64; 4] = [0.3, 0.4, 0.5, 0.6];
const CYCLES: [f64; 16] = [
    1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.3, 2.6, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0,
];
/// With fewer than 1.5, a wave and a line cannot be told apart.
const FIRST_BESIDE_A_LINE: usize = 3;
/// A bend closer to the end is as well a wobble.
const LATEST_KNEE: f64 = 0.85;
/// Fewest points on either side of a step.
const SHORTEST_LEVEL: usize = 2;

/// All members of all families, fitted.
pub(crate) fn fits(points: &[Point]) -> Vec<Fit> {
    let data = Data {
        x: points.iter().map(|p| p.x).collect(),
        y: points.iter().map(|p| p.value).collect(),
    };
    let x = &data.x;
    let mut all = Vec::with_capacity(768);
    all.extend(data.fit(Shape::Constant, None));
    all.extend(data.fit(Shape::Linear, None));
    for taus in [&FAST_TAUS[..], &SLOW_TAUS] {
        all.extend(search(taus, |tau| {
            data.fit(Shape::Saturating { tau }, None)
        }));
    }
    all.extend(search(&BOOTS, |tau| data.fit(Shape::Linear, Some(tau))));
    for (taus, boot) in [
        (&FAST_TAUS[4..], FEW_BOOTS[0]),
        (&FAST_TAUS[6..], FEW_BOOTS[1]),
        (&FAST_TAUS[8..], FEW_BOOTS[2]),
        (&SLOW_TAUS, FEW_BOOTS[1]),
    ] {
        all.extend(search(taus, |tau| {
            data.fit(Shape::Saturating { tau }, Some(boot))
        }));
    }
    let boots = || [None].into_iter().chain(FEW_BOOTS.map(Some));
    for boot in boots() {
        all.extend(search(&STARTS, |start| {
            data.fit(Shape::Logarithm { start }, boot)
        }));
        all.extend(search(&EXPONENTS, |exponent| {
            data.fit(Shape::Power { exponent }, boot)
        }));
        all.extend(search(&CYCLES, |cycles| {
            data.fit(Shape::Wave { cycles }, boot)
        }));
        all.extend(search(&CYCLES[FIRST_BESIDE_A_LINE..], |cycles| {
            data.fit(Shape::WaveLinear { cycles }, boot)
        }));
    }
    let places: Vec<f64> = x.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
    let inner = SHORTEST_LEVEL - 1..places.len().saturating_sub(SHORTEST_LEVEL - 1);
    for &at in &places[inner] {
        for boot in boots().filter(|boot| boot.is_none_or(|tau| at > 2.0 * tau)) {
            if at <= LATEST_KNEE {
                all.extend(data.fit(Shape::Knee { at }, boot));
            }
            all.extend(data.fit(Shape::LateRise { at }, boot));
            all.extend(data.fit(Shape::StepLinear { at }, boot));
            if boot.is_some() {
                all.extend(data.fit(Shape::Step { at }, boot));
            }
        }
    }
    all.extend(steps(x, &data.y));
    all
}

/// The fits on a grid, and the best one between the neighbours of the best:
/// a golden-section search (Kiefer 1953).
fn search(grid: &[f64], fit: impl Fn(f64) -> Option<Fit>) -> Vec<Fit> {
    let mut all: Vec<Fit> = Vec::with_capacity(grid.len() + 1);
    let mut best: Option<(usize, f64)> = None;
    for (i, &value) in grid.iter().enumerate() {
        if let Some(found) = fit(value) {
            if best.is_none_or(|(_, least)| found.mean_square < least) {
                best = Some((i, found.mean_square));
            }
            all.push(found);
        }
    }
    let Some((i, _)) = best else {
        return all;
    };
    let cost = |value: f64| fit(value).map_or(f64::INFINITY, |found| found.mean_square);
    let (mut a, mut b) = (
        grid[i.saturating_sub(1)].ln(),
        grid[(i + 1).min(grid.len() - 1)].ln(),
    );
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let (mut low, mut high) = (b - GOLDEN * (b - a), a + GOLDEN * (b - a));
    let (mut at_low, mut at_high) = (cost(low.exp()), cost(high.exp()));
    for _ in 0..10 {
        if at_low < at_high {
            (b, high, at_high) = (high, low, at_low);
            low = b - GOLDEN * (b - a);
            at_low = cost(low.exp());
        } else {
            (a, low, at_low) = (low, high, at_high);
            high = a + GOLDEN * (b - a);
            at_high = cost(high.exp());
        }
    }
    all.extend(fit((0.5 * (a + b)).exp()));
    all
}

struct Data {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Data {
    fn fit(&self, shape: Shape, boot: Option<f64>) -> Option<Fit> {
        let terms = shape.terms().into_iter().chain(boot.map(saturation));
        let columns: Vec<Vec<f64>> = terms
            .map(|term| self.x.iter().map(|&x| term(x)).collect())
            .collect();
        let own = match shape {
            Shape::Constant | Shape::Linear | Shape::Steps { .. } => 0,
            _ => 1,
        };
        let parameters = columns.len() + own + usize::from(boot.is_some());
        if parameters + 2 > self.x.len() {
            return None;
        }
        let solution = solve(&columns, &self.y)?;
        let coefficients = &solution.coefficients;
        // What rises by its nature must: else another family means the same.
        let rises = match shape {
            Shape::Constant | Shape::Wave { .. } => true,
            Shape::Linear => boot.is_none() || coefficients[1] > 0.0,
            // A line with a fall is one tooth of a saw.
            Shape::StepLinear { .. } => coefficients[1] > 0.0 && coefficients[2] > 0.0,
            _ => coefficients[1] > 0.0,
        };
        let boots = boot.is_none() || coefficients.last().is_some_and(|c| *c > 0.0);
        (rises && boots).then_some(Fit {
            shape,
            boot,
            parameters,
            mean_square: solution.mean_square,
            coefficients: solution.coefficients,
            levels: Vec::new(),
        })
    }
}

type Term = Box<dyn Fn(f64) -> f64>;

fn saturation(tau: f64) -> Term {
    Box::new(move |x| 1.0 - (-x / tau).exp())
}

impl Shape {
    /// The functions of which the shape is a sum; what rises is the second.
    fn terms(self) -> Vec<Term> {
        let one: Term = Box::new(|_| 1.0);
        let line = || -> Term { Box::new(|x| x) };
        let step = |at: f64| -> Term { Box::new(move |x| f64::from(x >= at)) };
        let sine = |cycles: f64| -> Term { Box::new(move |x| (TAU * cycles * x).sin()) };
        let cosine = |cycles: f64| -> Term { Box::new(move |x| (TAU * cycles * x).cos()) };
        match self {
            Shape::Constant | Shape::Steps { .. } => vec![one],
            Shape::Linear => vec![one, line()],
            Shape::Saturating { tau } => vec![one, saturation(tau)],
            Shape::Logarithm { start } => {
                vec![one, Box::new(move |x| (1.0 + x / start).ln())]
            }
            Shape::Power { exponent } => vec![one, Box::new(move |x| x.powf(exponent))],
            Shape::Knee { at } => vec![one, Box::new(move |x| x.min(at))],
            Shape::LateRise { at } => vec![one, Box::new(move |x| (x - at).max(0.0))],
            Shape::Step { at } => vec![one, step(at)],
            Shape::StepLinear { at } => vec![one, line(), step(at)],
            Shape::Wave { cycles } => vec![one, sine(cycles), cosine(cycles)],
            Shape::WaveLinear { cycles } => vec![one, line(), sine(cycles), cosine(cycles)],
        }
    }
}

impl Fit {
    /// The fitted value at `x`.
    pub(crate) fn at(&self, x: f64) -> f64 {
        if let Some(&(_, first)) = self.levels.first() {
            let level = self.levels.iter().rev().find(|(from, _)| x >= *from);
            return level.map_or(first, |&(_, level)| level);
        }
        let terms = self.shape.terms().into_iter();
        terms
            .chain(self.boot.map(saturation))
            .zip(&self.coefficients)
            .map(|(term, c)| c * term(x))
            .sum()
    }

    /// The slope of the line that goes on at the end; 0 without one.
    pub(crate) fn slope(&self) -> f64 {
        match self.shape {
            Shape::Linear
            | Shape::StepLinear { .. }
            | Shape::WaveLinear { .. }
            | Shape::LateRise { .. } => self.coefficients[1],
            _ => 0.0,
        }
    }

    /// What will not go on at `x`: a start-up, a step, a wave, all that rises
    /// to a level within the window.
    pub(crate) fn transient(&self, x: f64) -> f64 {
        let level = self.coefficients.first().copied().unwrap_or(0.0);
        match self.shape {
            // Too little of a wave to know that it comes back.
            Shape::Wave { cycles } if cycles < 2.0 => 0.0,
            // What comes behind them is looked at alone.
            Shape::Steps { .. } | Shape::Step { .. } => 0.0,
            Shape::LateRise { .. } | Shape::Logarithm { .. } | Shape::Power { .. } => 0.0,
            Shape::Saturating { tau } if tau > FAST_TAUS[FAST_TAUS.len() - 1] => 0.0,
            _ => self.at(x) - level - self.slope() * x,
        }
    }

    /// Where the last of the steps or bends is; all that goes on begins there.
    pub(crate) fn last_change(&self) -> f64 {
        let boot = self.boot.map_or(0.0, |tau| 3.0 * tau);
        match self.shape {
            Shape::LateRise { at } | Shape::Knee { at } | Shape::Step { at } => at.max(boot),
            Shape::Steps { .. } => self.levels.last().map_or(0.0, |(from, _)| from.max(0.0)),
            _ => boot,
        }
    }

    /// Of a wave, from its level to its crest.
    pub(crate) fn amplitude(&self) -> f64 {
        match (self.shape, self.coefficients.as_slice()) {
            (Shape::Wave { .. }, [_, a, b, ..]) | (Shape::WaveLinear { .. }, [_, _, a, b, ..]) => {
                a.hypot(*b)
            }
            _ => 0.0,
        }
    }

    /// The largest step upwards that stays, behind the first `boot` of the
    /// window: how much higher all is at the end than before it.
    pub(crate) fn step_up(&self, boot: f64) -> f64 {
        match self.shape {
            Shape::Step { at } if at > boot => self.coefficients[1],
            Shape::StepLinear { at } if at > boot => self.coefficients[2],
            Shape::Steps { .. } => {
                let last = self.levels.last().map_or(0.0, |l| l.1);
                let before = self.levels.windows(2).filter(|pair| pair[1].0 > boot);
                before
                    .map(|pair| (pair[1].1 - pair[0].1).min(last - pair[0].1))
                    .fold(0.0, f64::max)
            }
            _ => 0.0,
        }
    }
}

/// The best one, two and three steps.
fn steps(x: &[f64], y: &[f64]) -> Vec<Fit> {
    let n = y.len();
    let (mut sums, mut squares) = (vec![0.0], vec![0.0]);
    for value in y {
        sums.push(sums[sums.len() - 1] + value);
        squares.push(squares[squares.len() - 1] + value * value);
    }
    let cost = |a: usize, b: usize| {
        let sum: f64 = sums[b] - sums[a];
        (squares[b] - squares[a] - sum * sum / (b - a) as f64).max(0.0)
    };
    // best[j][b]: the first b points in j + 1 levels, and where the last begins.
    let mut best: Vec<Vec<(f64, usize)>> = vec![(0..=n).map(|b| (cost(0, b.max(1)), 0)).collect()];
    let mut found = Vec::new();
    for count in 1..=3usize {
        let before = &best[count - 1];
        let least = SHORTEST_LEVEL * (count + 1);
        let row: Vec<(f64, usize)> = (0..=n)
            .map(|b| {
                let starts = SHORTEST_LEVEL * count..(b + 1).saturating_sub(SHORTEST_LEVEL);
                starts
                    .map(|a| (before[a].0 + cost(a, b), a))
                    .min_by(|a, b| a.0.total_cmp(&b.0))
                    .unwrap_or((f64::INFINITY, 0))
            })
            .collect();
        best.push(row);
        if n < least + 2 {
            break;
        }
        let mut levels = Vec::new();
        let mut end = n;
        for level in (0..=count).rev() {
            let start = best[level][end].1;
            let from = if start == 0 {
                f64::NEG_INFINITY
            } else {
                (x[start - 1] + x[start]) / 2.0
            };
            levels.push((from, (sums[end] - sums[start]) / (end - start) as f64));
            end = start;
        }
        levels.reverse();
        found.push(Fit {
            shape: Shape::Steps { count },
            boot: None,
            parameters: 2 * count + 1,
            mean_square: best[count][n].0 / n as f64,
            coefficients: Vec::new(),
            levels,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(value: impl Fn(f64) -> f64) -> Vec<Point> {
        (0..32)
            .map(|i| {
                let x = f64::from(i) / 31.0;
                Point { x, value: value(x) }
            })
            .collect()
    }

    /// The fit with the best balance of residuals and parameters.
    fn simplest(value: impl Fn(f64) -> f64) -> Fit {
        fits(&points(value))
            .into_iter()
            .min_by(|a, b| {
                let cost =
                    |fit: &Fit| 32.0 * (fit.mean_square + 1e-6).ln() + 4.0 * fit.parameters as f64;
                cost(a).total_cmp(&cost(b))
            })
            .expect("some family fits exactly")
    }

    #[test]
    fn each_family_finds_its_own() {
        assert_eq!(simplest(|_| 1.0).shape, Shape::Constant);
        assert_eq!(simplest(|x| 1.0 + x).shape, Shape::Linear);
        let tau = 0.1;
        let ramp = |x: f64| 1.0 - (-x / tau).exp();
        let Shape::Saturating { tau: found } = simplest(|x| 1.0 + ramp(x)).shape else {
            panic!("no saturation");
        };
        assert!((found - tau).abs() < 2e-3, "{found}");
        let both = simplest(|x| 1.0 + ramp(x) + 0.5 * x);
        assert_eq!(both.shape, Shape::Linear);
        assert!((both.slope() - 0.5).abs() < 5e-3);
        assert!((both.transient(0.5) - ramp(0.5)).abs() < 5e-3);
        assert_eq!(
            simplest(|x| 1.0 + x.powf(0.4)).shape,
            Shape::Power { exponent: 0.4 }
        );
        assert_eq!(
            simplest(|x| (TAU * 3.0 * x).sin()).shape,
            Shape::Wave { cycles: 3.0 }
        );
    }

    #[test]
    fn steps_are_where_they_are() {
        let two = simplest(|x| 1.0 + f64::from(x > 0.3) * 0.2 + f64::from(x > 0.7) * 0.1);
        assert_eq!(two.shape, Shape::Steps { count: 2 });
        assert!((two.at(0.0) - 1.0).abs() < 1e-9 && (two.at(1.0) - 1.3).abs() < 1e-9);
        assert!((two.step_up(0.08) - 0.2).abs() < 1e-9);
        assert!((two.step_up(0.5) - 0.1).abs() < 1e-9);
        let back = simplest(|x| 1.0 + f64::from(x > 0.3) * 0.2 - f64::from(x > 0.7) * 0.2);
        assert!(back.step_up(0.08) < 1e-9, "it goes down again");
    }
}
