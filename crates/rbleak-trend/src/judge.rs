//! From a series to its judgement: hygiene, envelope, shapes, gates, rates.

use crate::calibration::calibrated;
use crate::envelope::Axis;
use crate::lives::{Readings, guess_lives, readings_of};
use crate::rate::{Fitted, Slope, slope};
use crate::sample::{Sample, Signal};
use crate::series::MemorySeries;
use crate::shapes::Fit;
use crate::verdict::{Grows, Judgement, Kind, PlateauCertificate, Rate, TimeToLimit, Verdict};
use crate::weigh::{NO_EVIDENCE, Scale, Weighed, weigh};
use rbleak_units::{Bytes, Interval};

/// Readings that a life must have to be judged at all.
const FEWEST: usize = 12;
/// Below this the verdict is provisional.
const ENOUGH: usize = 30;
/// Lives that are judged together at most: the longest.
const MOST_LIVES: usize = 8;
/// Evidence is divided by this: blocks are not as independent as BIC takes
/// them to be.
const TEMPERATURE: f64 = 1.5;
/// What a leak loses that fails the tests for a trend.
const NO_TREND: f64 = 3.0;
const TREND_LEVEL: f64 = 0.01;
/// What a leak loses that has slowed down to less than this share of its rate,
/// for each of them.
const SLOWED: f64 = 1.5;
const SLOW_SHARES: [f64; 2] = [0.25, 0.5];
/// What it loses that by now hardly grows.
const HARDLY: f64 = 2.0;
/// What it loses that has slowed down for certain.
const SLOWER: f64 = 4.0;
const SLOWER_SHARE: f64 = 0.7;
/// What it loses if two rises make up most of it.
const LUMPED: f64 = 3.0;
const LUMPED_SHARE: f64 = 0.6;
/// A leak that is less likely than this is not called one.
const SURE_OF_A_LEAK: f64 = 0.6;

/// What a judgement is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Memory that the process may have, as a container's limit.
    pub limit: Option<Bytes>,
    /// Growth over the window below this share of the level is a plateau.
    pub plateau_margin: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            limit: None,
            plateau_margin: 0.03,
        }
    }
}

/// One signal's opinion.
struct Opinion {
    signal: Signal,
    axis: Axis,
    probabilities: [f64; Kind::COUNT],
    lives: Vec<Readings>,
    /// Of each life, along `axis`.
    weighed: Vec<Weighed>,
}

/// Judges a series as it stands: a finished recording, or a watch so far.
pub fn judge(series: &MemorySeries, settings: &Settings) -> Judgement {
    let lives: Vec<&[Sample]> = series
        .lives()
        .flat_map(|life| match life.first() {
            Some(Sample { life: None, .. }) => guess_lives(life),
            _ => vec![life],
        })
        .collect();
    let opinions: Vec<Opinion> = Signal::ALL
        .iter()
        .filter_map(|&signal| Opinion::of(&lives, signal))
        .collect();
    let footprint = opinions.iter().find(|o| o.signal.is_footprint());
    let of = |signal| opinions.iter().find(|o: &&Opinion| o.signal == signal);
    let (slots, malloc) = (of(Signal::LiveSlots), of(Signal::MallocInUse));
    let Some(first) = opinions.first() else {
        return Judgement {
            verdict: Verdict::NotEnoughData,
            confidence: 0.0,
            leak_probability: 0.0,
            is_provisional: true,
            signal: None,
            shape: None,
            axis: Axis::Time,
            grows: None,
            rate: None,
            footprint_rate: None,
            time_to_limit: None,
            plateau: None,
            lives: lives.len(),
            lives_judged: 0,
        };
    };

    let probabilities = together(slots, malloc, footprint);
    let kind = likeliest(&probabilities);
    let decided = deciding(kind, slots, malloc, footprint).unwrap_or(first);
    let grows = grows(kind, slots, malloc, footprint);
    let longest = decided.lives.iter().map(Vec::len).max().unwrap_or(0);
    let rate = decided.rate(decided.shape_for(kind));
    let footprint_rate = footprint.and_then(|outer| outer.rate(outer.shape_for(kind)));
    Judgement {
        verdict: kind.verdict(),
        confidence: calibrated(probabilities[kind.index()]),
        leak_probability: probabilities[Kind::Leak.index()],
        is_provisional: longest < ENOUGH,
        signal: Some(decided.signal),
        shape: decided.fit(kind).map(|fit| fit.shape),
        axis: decided.axis,
        grows,
        rate,
        footprint_rate,
        time_to_limit: settings
            .limit
            .filter(|_| kind == Kind::Leak)
            .and_then(|limit| time_to_limit(limit, series.last()?, footprint?)),
        plateau: matches!(kind, Kind::Plateau | Kind::Bloat)
            .then(|| certificate(&opinions, kind, settings.plateau_margin))
            .flatten(),
        lives: lives.len(),
        lives_judged: decided.lives.len(),
    }
}

impl Opinion {
    fn of(lives: &[&[Sample]], signal: Signal) -> Option<Opinion> {
        let mut lives: Vec<Readings> = lives
            .iter()
            .map(|samples| readings_of(samples, signal))
            .filter(|readings| readings.len() >= FEWEST)
            .collect();
        // The longest, in their order; of equals the later ones.
        while lives.len() > MOST_LIVES {
            let shortest = (0..lives.len()).min_by_key(|&i| lives[i].len())?;
            lives.remove(shortest);
        }
        let along = |axis| -> Option<Vec<Weighed>> {
            let scale = Scale::of(signal);
            lives.iter().map(|life| weigh(life, axis, scale)).collect()
        };
        let in_time = along(Axis::Time).filter(|weighed| !weighed.is_empty())?;
        let in_requests = along(Axis::Requests);
        let total = |weighed: &[Weighed]| {
            let mut sum = [0.0; Kind::COUNT];
            for life in weighed {
                for (sum, evidence) in sum.iter_mut().zip(life.evidence) {
                    *sum += evidence;
                }
            }
            sum
        };
        let best = |sum: &[f64; Kind::COUNT]| sum.iter().copied().fold(f64::MIN, f64::max);
        let time_evidence = total(&in_time);
        let (axis, weighed, mut evidence) = match in_requests {
            Some(weighed) if best(&total(&weighed)) > best(&time_evidence) => {
                let evidence = total(&weighed);
                (Axis::Requests, weighed, evidence)
            }
            _ => (Axis::Time, in_time, time_evidence),
        };
        let leak = &mut evidence[Kind::Leak.index()];
        match slope_as(Kind::Leak, &lives, &weighed, axis) {
            Some(slope) => {
                if slope.trend.p_rising >= TREND_LEVEL || slope.interval.low <= 0.0 {
                    *leak -= NO_TREND * TEMPERATURE;
                }
                for share in SLOW_SHARES {
                    if slope.recent.estimate < share * slope.interval.estimate {
                        *leak -= SLOWED * TEMPERATURE;
                    }
                }
                // Over a third of the window, by the rate of its last part.
                let lately = slope.recent.estimate * span(&lives, axis) / 3.0;
                if lately < 0.5 * Scale::of(signal).growth * level(&weighed) {
                    *leak -= HARDLY * TEMPERATURE;
                }
                if slope.recent.high < SLOWER_SHARE * slope.interval.estimate {
                    *leak -= SLOWER * TEMPERATURE;
                }
                if slope.lumped > LUMPED_SHARE {
                    *leak -= LUMPED * TEMPERATURE;
                }
            }
            None => *leak -= NO_TREND * TEMPERATURE,
        }
        Some(Opinion {
            signal,
            axis,
            probabilities: softmax(&evidence),
            lives,
            weighed,
        })
    }

    fn kind(&self) -> Kind {
        likeliest(&self.probabilities)
    }

    /// `kind` where this signal can look so at all, or what it looks like by
    /// itself: a footprint may be fragmented while its leak is in use.
    fn shape_for(&self, kind: Kind) -> Kind {
        let possible = self.weighed.iter().all(|w| w.best[kind.index()].is_some());
        if possible { kind } else { self.kind() }
    }

    /// The fit for `kind` of the longest life.
    fn fit(&self, kind: Kind) -> Option<&Fit> {
        let longest = self.lives.iter().zip(&self.weighed);
        let (_, weighed) = longest.max_by_key(|(life, _)| life.len())?;
        weighed.best[kind.index()].as_ref()
    }

    /// The slope if the verdict is `kind`.
    fn slope(&self, kind: Kind, axis: Axis) -> Option<Slope> {
        slope_as(kind, &self.lives, &self.weighed, axis)
    }

    fn rate(&self, kind: Kind) -> Option<Rate> {
        let per_request = self.slope(kind, Axis::Requests);
        Some(Rate {
            signal: self.signal,
            per_hour: self.slope(kind, Axis::Time)?.interval.scaled(3600.0),
            per_request: per_request.map(|slope| slope.interval),
        })
    }
}

/// The common slope of all lives without what the fits for `kind` say will not
/// go on.
fn slope_as(kind: Kind, lives: &[Readings], weighed: &[Weighed], axis: Axis) -> Option<Slope> {
    let fitted: Vec<Fitted<'_>> = lives
        .iter()
        .zip(weighed)
        .map(|(readings, weighed)| Fitted {
            readings,
            fit: weighed.best[kind.index()].as_ref(),
            level: weighed.level,
        })
        .collect();
    slope(&fitted, axis)
}

/// How far the longest life reaches along an axis.
fn span(lives: &[Readings], axis: Axis) -> f64 {
    let of = |life: &Readings| Some(axis.of(life.last()?)? - axis.of(life.first()?)?);
    lives.iter().filter_map(of).fold(0.0, f64::max)
}

/// The lowest of the levels of the lives.
fn level(weighed: &[Weighed]) -> f64 {
    let levels = weighed.iter().map(|weighed| weighed.level);
    levels.fold(f64::INFINITY, f64::min)
}

fn softmax(evidence: &[f64; Kind::COUNT]) -> [f64; Kind::COUNT] {
    let most = evidence.iter().copied().fold(NO_EVIDENCE * 1e3, f64::max);
    let weights = evidence.map(|nats| ((nats - most) / TEMPERATURE).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// The likeliest; a leak only if it is clearly likelier than
/// all others together.
fn likeliest(probabilities: &[f64; Kind::COUNT]) -> Kind {
    let doubtful = |kind: Kind| kind == Kind::Leak && probabilities[kind.index()] <= SURE_OF_A_LEAK;
    // The first of equals.
    let better = |a: Kind, b: Kind| {
        if doubtful(b) {
            return a;
        }
        if probabilities[b.index()] > probabilities[a.index()] {
            b
        } else {
            a
        }
    };
    Kind::ALL.into_iter().fold(Kind::Plateau, better)
}

/// What the signals say together. Whether it leaks, the inner ones know: what
/// is in use. How the rest of the process behaves, the outer one knows: what
/// grows there while all that is in use is flat is the allocator's.
fn together(
    slots: Option<&Opinion>,
    malloc: Option<&Opinion>,
    footprint: Option<&Opinion>,
) -> [f64; Kind::COUNT] {
    let leak = Kind::Leak.index();
    let (inner, knows_native) = match (slots, malloc) {
        (Some(slots), Some(malloc)) => {
            let mut both = malloc.probabilities;
            if slots.probabilities[leak] > both[leak] {
                both = slots.probabilities;
            }
            (both, true)
        }
        (None, Some(malloc)) => (malloc.probabilities, true),
        (Some(slots), None) => (slots.probabilities, false),
        (None, None) => {
            return footprint.map_or([0.0; Kind::COUNT], |outer| outer.probabilities);
        }
    };
    let Some(outer) = footprint else {
        return inner;
    };
    let [plateau, _, bloat, fragmentation, warming] = inner;
    let outer = outer.probabilities;
    let [_, outer_leak, ..] = outer;
    // Flat slots alone do not tell native growth from the allocator's.
    let native = if knows_native { 0.0 } else { 0.5 * outer_leak };
    let weights = [
        outer[Kind::Plateau.index()] * (plateau + 0.3 * (1.0 - inner[leak] - plateau)),
        0.0,
        outer[Kind::Bloat.index()] * (plateau + bloat),
        (outer[Kind::Fragmentation.index()] + outer_leak - native) * (plateau + fragmentation),
        (outer[Kind::WarmingUp.index()] + 0.3 * outer_leak) * (0.3 * plateau + warming),
    ];
    let sum: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let is_leak = inner[leak] + (1.0 - inner[leak]) * native;
    let mut all = weights.map(|weight| (1.0 - is_leak) * weight / sum);
    all[leak] = is_leak;
    all
}

/// The innermost signal that says what is said.
fn deciding<'a>(
    kind: Kind,
    slots: Option<&'a Opinion>,
    malloc: Option<&'a Opinion>,
    footprint: Option<&'a Opinion>,
) -> Option<&'a Opinion> {
    let all = [slots, malloc, footprint];
    let mut agreeing = all.into_iter().flatten().filter(|o| o.kind() == kind);
    let outermost = footprint.or(malloc).or(slots);
    match kind {
        Kind::Fragmentation => outermost,
        // All must be flat for that: the innermost known.
        _ => agreeing.next().or(outermost),
    }
}

fn grows(
    kind: Kind,
    slots: Option<&Opinion>,
    malloc: Option<&Opinion>,
    footprint: Option<&Opinion>,
) -> Option<Grows> {
    if kind == Kind::Plateau {
        return None;
    }
    let rises = |o: Option<&Opinion>| o.map(|o| o.kind() != Kind::Plateau);
    match (rises(slots), rises(malloc), rises(footprint)) {
        (Some(true), ..) => Some(Grows::RubyObjects),
        (Some(false), Some(true), _) => Some(Grows::Native),
        (None, Some(true), _) => Some(Grows::Malloc),
        (_, Some(false), Some(true)) => Some(Grows::Allocator),
        _ => None,
    }
}

/// The distance divided by the rate, of the memory that the limit counts.
fn time_to_limit(limit: Bytes, last: &Sample, footprint: &Opinion) -> Option<TimeToLimit> {
    let rate = footprint
        .slope(footprint.shape_for(Kind::Leak), Axis::Time)?
        .interval;
    let now = footprint.signal.of(last)?;
    let left = Bytes((limit.as_f64() - now).max(0.0) as u64);
    Some(TimeToLimit {
        limit,
        seconds: seconds_until(left, &[rate])?,
    })
}

/// Seconds until `left` is used up by what grows at these rates together, in
/// bytes per second. The ends are those at which all rates are at theirs:
/// wider than they need be if the rates are independent. `None` where nothing
/// grows.
pub fn seconds_until(left: Bytes, rates: &[Interval]) -> Option<Interval> {
    let sum = |end: &dyn Fn(&Interval) -> f64| rates.iter().map(end).sum::<f64>();
    let estimate = sum(&|rate| rate.estimate);
    if estimate <= 0.0 {
        return None;
    }
    let at = |rate: f64| {
        if rate > 0.0 {
            left.as_f64() / rate
        } else {
            f64::INFINITY
        }
    };
    Some(Interval {
        estimate: at(estimate),
        low: at(sum(&|rate| rate.high)),
        high: at(sum(&|rate| rate.low)),
    })
}

/// Schuirmann 1987, the one side that matters: the upper 95 % bound of the
/// growth over the window lies below the margin, for every signal that is
/// known.
fn certificate(opinions: &[Opinion], kind: Kind, margin: f64) -> Option<PlateauCertificate> {
    let mut growth_at_most = f64::NEG_INFINITY;
    for opinion in opinions {
        let slope = opinion.slope(opinion.shape_for(kind), Axis::Time)?;
        let window = span(&opinion.lives, Axis::Time);
        let level = level(&opinion.weighed);
        growth_at_most = growth_at_most.max(slope.upper * window / level);
    }
    (growth_at_most < margin).then_some(PlateauCertificate {
        growth_at_most: growth_at_most.max(0.0),
        margin,
    })
}
