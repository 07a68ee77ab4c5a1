//! How well each verdict explains the shape of a series.

use crate::envelope::{Axis, blocks_for_shapes, envelope, quantile};
use crate::lives::Reading;
use crate::sample::Signal;
use crate::sen::Point;
use crate::shapes::{Fit, Shape, fits};
use crate::verdict::Kind;

/// Blocks that lie side by side are not independent.
const EFFECTIVE: f64 = 0.75;
/// Growth of so many sigma over the later two thirds is material, if it is
/// enough of the level, too.
const MATERIAL_SIGMAS: f64 = 2.5;
/// The same of a step.
const STEP_SIGMAS: f64 = 3.0;
/// A leak must be better than the rest by so many nats: a false one costs more
/// than one that is told a little later.
const LEAK: f64 = 0.7;
/// And one that needs a step or a wave beside it, which wandering has too.
const COMPOSED_LEAK: f64 = 1.5;
/// A line that has stopped just now may be a line that pauses.
const LATE_KNEE: f64 = 1.5;
/// Steps in this first part of the window belong to booting.
const BOOT: f64 = 0.08;
/// A saturation up to this time constant has levelled off within the window.
const LEVELLED_OFF: f64 = 0.32;
/// A line that stops before this place has, too.
const LEVEL_FROM: f64 = 0.6;
/// A rise that begins later than this may be anything.
const LATEST_RISE: f64 = 0.6;
/// What is judged later than this, in the window.
const LATER: f64 = 1.0 / 3.0;

/// How much of its level a signal must move to mean anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Residuals smaller than this are not taken at their word.
    sigma_floor: f64,
    /// Growth over the later two thirds.
    pub(crate) growth: f64,
    /// A step.
    step: f64,
}

impl Scale {
    pub(crate) fn of(signal: Signal) -> Scale {
        if signal.is_footprint() {
            Scale {
                sigma_floor: 0.0015,
                growth: 0.025,
                step: 0.045,
            }
        } else {
            // Counted, not rounded to pages and arenas.
            Scale {
                sigma_floor: 0.0008,
                growth: 0.015,
                step: 0.025,
            }
        }
    }
}

/// What one life says: the evidence for each kind of verdict, in nats, and the
/// fit that brought it.
#[derive(Clone, Debug)]
pub(crate) struct Weighed {
    pub(crate) evidence: [f64; Kind::COUNT],
    pub(crate) best: [Option<Fit>; Kind::COUNT],
    /// The middle value of the envelope, in the signal's unit.
    pub(crate) level: f64,
}

/// Evidence that is given to what no fit explains at all.
pub(crate) const NO_EVIDENCE: f64 = -1e3;

/// Weighs one life along one axis. `None` where the axis is not known.
pub(crate) fn weigh(readings: &[Reading], axis: Axis, scale: Scale) -> Option<Weighed> {
    let raw = envelope(readings, axis, blocks_for_shapes(readings.len()))?;
    let (first, last) = (readings.first()?, readings.last()?);
    let (from, to) = (axis.of(first)?, axis.of(last)?);
    let mut values: Vec<f64> = raw.iter().map(|p| p.value).collect();
    values.sort_by(f64::total_cmp);
    let level = quantile(&values, 0.5);
    if level <= 0.0 || to <= from {
        return None;
    }
    let points: Vec<Point> = raw
        .iter()
        .map(|p| Point {
            x: (p.x - from) / (to - from),
            value: p.value / level,
        })
        .collect();
    let all = fits(&points);
    let blocks = points.len() as f64;
    let sigma = all
        .iter()
        .map(|fit| (fit.mean_square * blocks / (blocks - fit.parameters as f64)).sqrt())
        .fold(f64::INFINITY, f64::min)
        .max(scale.sigma_floor);

    let mut weighed = Weighed {
        evidence: [NO_EVIDENCE; Kind::COUNT],
        best: Default::default(),
        level,
    };
    let independent = blocks * independence(&points, &all, blocks);
    for fit in all {
        // Schwarz 1978: minus half of the BIC.
        let likelihood = -0.5 * independent * (fit.mean_square + scale.sigma_floor.powi(2)).ln();
        let evidence = likelihood - 0.5 * fit.parameters as f64 * independent.ln();
        let kind = kind(&fit, sigma, scale);
        let evidence = match (kind, fit.shape) {
            (Kind::Leak, Shape::Linear | Shape::LateRise { .. }) => evidence - LEAK,
            (Kind::Leak, _) => evidence - LEAK - COMPOSED_LEAK,
            (Kind::WarmingUp, Shape::Knee { .. }) => evidence - LATE_KNEE,
            _ => evidence,
        };
        let place = kind.index();
        if weighed.best[place].is_none() || evidence > weighed.evidence[place] {
            weighed.evidence[place] = evidence;
            weighed.best[place] = Some(fit);
        }
    }
    Some(weighed)
}

/// The share of the blocks that counts as independent: what the lag-one
/// autocorrelation of the residuals leaves (Bartlett 1946), of the fit that
/// explains most.
fn independence(points: &[Point], all: &[Fit], blocks: f64) -> f64 {
    let cost = |fit: &Fit| blocks * fit.mean_square.max(1e-12).ln() + fit.parameters as f64 * 3.0;
    let Some(best) = all.iter().min_by(|a, b| cost(a).total_cmp(&cost(b))) else {
        return EFFECTIVE;
    };
    let residuals: Vec<f64> = points.iter().map(|p| p.value - best.at(p.x)).collect();
    let squares: f64 = residuals.iter().map(|r| r * r).sum();
    let products: f64 = residuals.windows(2).map(|r| r[0] * r[1]).sum();
    let correlation = (products / squares.max(f64::MIN_POSITIVE)).clamp(0.0, 0.7);
    ((1.0 - correlation) / (1.0 + correlation)).min(EFFECTIVE)
}

/// Which verdict a fit stands for. What is not material is a plateau.
fn kind(fit: &Fit, sigma: f64, scale: Scale) -> Kind {
    let material = scale.growth.max(MATERIAL_SIGMAS * sigma);
    let grows = |from: f64| fit.at(1.0) - fit.at(from) > material;
    match fit.shape {
        Shape::Constant | Shape::Wave { .. } => Kind::Plateau,
        Shape::Linear | Shape::StepLinear { .. } if fit.slope() * (1.0 - LATER) > material => {
            Kind::Leak
        }
        // A wave seen a few times may tilt the line by its share of a cycle.
        Shape::WaveLinear { cycles }
            if fit.slope() * (1.0 - LATER) > material.max(fit.amplitude() / cycles) =>
        {
            Kind::Leak
        }
        Shape::LateRise { at } if at <= LATEST_RISE && grows(LATER) => Kind::Leak,
        Shape::Saturating { tau } if tau > LEVELLED_OFF && grows(LATER) => Kind::WarmingUp,
        Shape::Knee { at } if at > LEVEL_FROM && grows(LATER) => Kind::WarmingUp,
        Shape::Logarithm { .. } | Shape::Power { .. } if grows(LATER) => Kind::Fragmentation,
        Shape::Steps { .. } | Shape::Step { .. } | Shape::StepLinear { .. }
            if fit.step_up(BOOT) > scale.step.max(STEP_SIGMAS * sigma) =>
        {
            Kind::Bloat
        }
        _ => Kind::Plateau,
    }
}
