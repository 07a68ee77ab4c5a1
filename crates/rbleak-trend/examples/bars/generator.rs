//! Labelled series: what a process of a known kind would show from outside.
//!
//! A demand (boot, growth, load, collections, noise) goes through an allocator
//! (none, one that ties and jumps like glibc's, one that decays like jemalloc)
//! and becomes the resident set; beside it stands what malloc has in use.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rbleak_trend::{Sample, Verdict};
use rbleak_units::Bytes;

/// A series whose answer is known.
pub struct Labelled {
    pub family: &'static str,
    pub label: Verdict,
    pub samples: Vec<Sample>,
    /// Of leaks, and 0 of stable series; bytes per second.
    pub rate: Option<f64>,
}

/// Families that are stable throughout: none of them may ever be a leak.
pub const STABLE: [&str; 11] = [
    "flat",
    "booted",
    "garbage",
    "glibc",
    "jemalloc",
    "diurnal",
    "restarts",
    "wandering",
    "spikes",
    "falling",
    "high water",
];

const FAMILIES: [&str; 29] = [
    "flat",
    "booted",
    "garbage",
    "glibc",
    "jemalloc",
    "diurnal",
    "restarts",
    "wandering",
    "spikes",
    "falling",
    "high water",
    "filled",
    "knee",
    "short",
    "slow leak",
    "fast leak",
    "booted leak",
    "garbage leak",
    "glibc leak",
    "jemalloc leak",
    "diurnal leak",
    "restarted leak",
    "late leak",
    "stairs",
    "loaded leak",
    "step and leak",
    "steps",
    "log or power",
    "warming",
];

/// Seeds of the two sets; they never meet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// What thresholds and the calibration were chosen on.
    Tuning,
    /// What the figures are told of.
    Test,
}

/// `each` series of every family.
pub fn generate(set: Set, each: u64) -> Vec<Labelled> {
    let base = match set {
        Set::Tuning => 1_000_000,
        Set::Test => 3_000_000,
    };
    let series = |family: usize, i: u64| {
        let mut draw = Draw(ChaCha8Rng::seed_from_u64(base + 10_000 * family as u64 + i));
        one(FAMILIES[family], &mut draw)
    };
    let families = 0..FAMILIES.len();
    families
        .flat_map(|family| (0..each).map(move |i| (family, i)))
        .map(|(family, i)| series(family, i))
        .collect()
}

struct Draw(ChaCha8Rng);

impl Draw {
    fn uniform(&mut self, from: f64, to: f64) -> f64 {
        // 53 bits make a number below one.
        let unit = (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        from + (to - from) * unit
    }

    fn log_uniform(&mut self, from: f64, to: f64) -> f64 {
        self.uniform(from.ln(), to.ln()).exp()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.uniform(0.0, 1.0) < share
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.0.random_range(0..of.len())]
    }

    /// Box & Muller 1958.
    fn normal(&mut self) -> f64 {
        let (u, v) = (self.uniform(1e-12, 1.0), self.uniform(0.0, 1.0));
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

#[derive(Clone, Copy)]
enum Allocator {
    None,
    Glibc,
    Jemalloc,
}

#[derive(Clone, Copy)]
enum BootShape {
    Exponential,
    TwoStages,
    Straight,
    Sudden,
}

/// All shares are of the base level; all places are shares of the window.
struct Process {
    base: f64,
    boot: f64,
    boot_tau: f64,
    boot_shape: BootShape,
    /// How peaked the load is, and how much it differs from day to day.
    peaked: f64,
    uneven: f64,
    tails: bool,
    noise: f64,
    persistence: f64,
    teeth: f64,
    tooth: f64,
    wave: f64,
    cycles: f64,
    spikes: f64,
    allocator: Allocator,
    lives: usize,
    /// Growth of what is in use, and growth of the footprint beside it.
    in_use: Box<dyn Fn(f64) -> f64>,
    beside: Box<dyn Fn(f64) -> f64>,
}

fn one(family: &'static str, draw: &mut Draw) -> Labelled {
    let n = if family == "short" {
        draw.uniform(1.0, 12.0) as usize
    } else {
        draw.log_uniform(60.0, 3000.0) as usize
    };
    let every = draw.pick(&[0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0]);
    let noise = draw.log_uniform(0.0008, 0.03);
    let mut process = Process {
        base: draw.log_uniform(80e6, 20e9),
        boot: if draw.chance(0.5) {
            draw.uniform(0.05, 1.0)
        } else {
            0.0
        },
        boot_tau: draw.log_uniform(0.005, 0.08),
        boot_shape: draw.pick(&[
            BootShape::Exponential,
            BootShape::Exponential,
            BootShape::TwoStages,
            BootShape::Straight,
            BootShape::Sudden,
        ]),
        peaked: draw.pick(&[1.0, 1.0, 2.0, 3.0]),
        uneven: draw.uniform(0.0, 0.3),
        tails: draw.chance(0.3),
        noise,
        persistence: draw.pick(&[0.0, 0.0, 0.3, 0.6, 0.8, 0.9]),
        teeth: if draw.chance(0.3) {
            draw.uniform(0.01, 0.05)
        } else {
            0.0
        },
        tooth: draw.uniform(3.0, 25.0),
        wave: 0.0,
        cycles: 0.0,
        spikes: if draw.chance(0.2) { 0.01 } else { 0.0 },
        allocator: draw.pick(&[Allocator::None, Allocator::Glibc, Allocator::Jemalloc]),
        lives: 1,
        in_use: Box::new(|_| 0.0),
        beside: Box::new(|_| 0.0),
    };
    let mut growth = None;
    let slow = draw.log_uniform(0.06, 0.2);
    let fast = draw.log_uniform(0.2, 4.0);
    let any = draw.log_uniform(0.08, 1.5);
    let label = match family {
        "flat" => {
            process.boot = 0.0;
            Verdict::Plateau
        }
        "booted" => {
            process.boot = draw.uniform(0.2, 1.5);
            process.boot_tau = draw.uniform(0.02, 0.15);
            Verdict::Plateau
        }
        "garbage" => {
            process.teeth = draw.uniform(0.03, 0.2);
            process.tooth = draw.log_uniform(2.0, 60.0);
            Verdict::Plateau
        }
        "glibc" => {
            process.allocator = Allocator::Glibc;
            Verdict::Plateau
        }
        "jemalloc" => {
            process.allocator = Allocator::Jemalloc;
            process.noise = draw.log_uniform(0.005, 0.03);
            Verdict::Plateau
        }
        "diurnal" => {
            process.wave = draw.uniform(0.03, 0.25);
            process.cycles = draw.uniform(0.9, 7.0);
            Verdict::Plateau
        }
        "high water" => {
            process.allocator = Allocator::Glibc;
            process.noise = draw.uniform(0.005, 0.03);
            process.persistence = draw.uniform(0.0, 0.95);
            process.tails = true;
            Verdict::Plateau
        }
        "restarts" => {
            process.boot = draw.uniform(0.4, 1.5);
            process.lives = draw.pick(&[2, 3, 4]);
            Verdict::Plateau
        }
        "wandering" => {
            process.persistence = draw.uniform(0.9, 0.98);
            process.noise = draw.uniform(0.003, 0.02);
            Verdict::Plateau
        }
        "spikes" => {
            process.spikes = draw.uniform(0.01, 0.04);
            Verdict::Plateau
        }
        "falling" => {
            let by = draw.uniform(0.03, 0.3);
            process.in_use = Box::new(move |x| by * (1.0 - x));
            Verdict::Plateau
        }
        "filled" => {
            let (by, tau) = (draw.log_uniform(0.1, 2.0), draw.uniform(0.05, 0.25));
            process.in_use = Box::new(move |x| by * (1.0 - (-x / tau).exp()));
            Verdict::Plateau
        }
        "knee" => {
            let (by, at) = (draw.log_uniform(0.1, 1.0), draw.uniform(0.15, 0.55));
            process.in_use = Box::new(move |x| by * (x / at).min(1.0));
            Verdict::Plateau
        }
        "short" => Verdict::NotEnoughData,
        "steps" => {
            let count = draw.pick(&[1, 1, 2, 3]);
            let steps: Vec<(f64, f64)> = (0..count)
                .map(|i| {
                    let part = 0.75 / f64::from(count);
                    let from = 0.12 + part * f64::from(i);
                    (
                        draw.uniform(from, from + part * 0.8),
                        draw.uniform(0.06, 0.5),
                    )
                })
                .collect();
            process.boot_tau = draw.uniform(0.005, 0.03);
            let kept = draw.pick(&[0.0, 0.0, 1.0]);
            let up = move |x: f64| {
                steps
                    .iter()
                    .filter(|(at, _)| x >= *at)
                    .map(|(_, by)| by)
                    .sum::<f64>()
            };
            let part = up.clone();
            process.in_use = Box::new(move |x| kept * part(x));
            process.beside = Box::new(move |x| (1.0 - kept) * up(x));
            Verdict::Bloat
        }
        "log or power" => {
            let by = draw.log_uniform(0.15, 1.5);
            process.boot = 0.0;
            process.beside = if draw.chance(0.5) {
                let start = draw.log_uniform(0.01, 0.1);
                Box::new(move |x| by * (1.0 + x / start).ln() / (1.0 + 1.0 / start).ln())
            } else {
                let exponent = draw.uniform(0.3, 0.6);
                Box::new(move |x| by * x.powf(exponent))
            };
            Verdict::Fragmentation
        }
        "warming" => {
            let (by, tau) = (draw.log_uniform(0.2, 2.0), draw.uniform(0.36, 0.9));
            process.boot = 0.0;
            process.in_use = Box::new(move |x| by * (1.0 - (-x / tau).exp()));
            Verdict::WarmingUp
        }
        _ => {
            let by = match family {
                "slow leak" => slow,
                "fast leak" => fast,
                _ => any,
            };
            match family {
                "booted leak" => {
                    process.boot = draw.uniform(0.2, 1.5);
                    process.boot_tau = draw.uniform(0.02, 0.1);
                }
                "garbage leak" => process.teeth = draw.uniform(0.02, 0.1),
                "glibc leak" => process.allocator = Allocator::Glibc,
                "jemalloc leak" => process.allocator = Allocator::Jemalloc,
                "diurnal leak" => {
                    process.wave = draw.uniform(0.02, 0.15);
                    process.cycles = draw.uniform(1.2, 6.0);
                }
                "restarted leak" => {
                    process.boot = draw.uniform(0.4, 1.5);
                    process.lives = draw.pick(&[2, 3]);
                }
                _ => {}
            }
            let by = by * (1.0 + process.boot);
            growth = Some(by);
            process.in_use = match family {
                "late leak" => {
                    let at = draw.uniform(0.1, 0.45);
                    growth = Some(by / (1.0 - at));
                    Box::new(move |x| by * (x - at).max(0.0) / (1.0 - at))
                }
                "loaded leak" => {
                    // As fast as requests come, which come by day.
                    let (cycles, depth) = (draw.uniform(1.5, 6.0), draw.uniform(0.2, 0.9));
                    let turn = std::f64::consts::TAU * cycles;
                    Box::new(move |x| by * (x + depth * (1.0 - (turn * x).cos()) / turn))
                }
                "stairs" => {
                    let count = draw.uniform(6.0, 40.0).floor();
                    Box::new(move |x| by * (x * count).floor() / count)
                }
                "step and leak" => {
                    let (at, up) = (draw.uniform(0.15, 0.8), draw.uniform(0.06, 0.4));
                    Box::new(move |x| by * x + up * f64::from(x >= at))
                }
                _ => Box::new(move |x| by * x),
            };
            Verdict::Leak
        }
    };
    let window = (n.max(2) - 1) as f64 * every / process.lives as f64;
    let rate = match label {
        Verdict::Leak => growth.map(|by| by * process.base / window),
        Verdict::Plateau if STABLE.contains(&family) && family != "falling" => Some(0.0),
        _ => None,
    };
    Labelled {
        family,
        label,
        samples: run(&process, n, every, draw),
        rate,
    }
}

fn run(process: &Process, n: usize, every: f64, draw: &mut Draw) -> Vec<Sample> {
    let mut samples = Vec::with_capacity(n);
    let (mut wander, mut phase) = (0.0, draw.uniform(0.0, 1.0));
    let turn = draw.uniform(0.0, std::f64::consts::TAU);
    let grain = process.base * draw.log_uniform(0.0005, 0.006);
    let jitter = if draw.chance(0.3) { 0.2 } else { 0.0 };
    let mut rss = 0.0f64;
    let mut life_before = usize::MAX;
    let length = n as f64 / process.lives as f64;
    for i in 0..n {
        let life = (i as f64 / length) as usize;
        if life != life_before {
            life_before = life;
            rss = 0.0;
            wander = 0.0;
        }
        let x = (i as f64 - life as f64 * length) / (length - 1.0).max(1.0);
        wander = process.persistence * wander
            + (1.0 - process.persistence * process.persistence).sqrt()
                * process.noise
                * draw.normal()
                * if process.tails && draw.chance(0.05) {
                    4.0
                } else {
                    1.0
                };
        phase += 1.0 / process.tooth * draw.uniform(0.8, 1.2);
        if phase >= 1.0 {
            phase = 0.0;
        }
        let tau = process.boot_tau;
        let boot = process.boot
            * match process.boot_shape {
                BootShape::Exponential => 1.0 - (-x / tau).exp(),
                BootShape::TwoStages => {
                    1.0 - 0.7 * (-2.0 * x / tau).exp() - 0.3 * (-0.7 * x / tau).exp()
                }
                BootShape::Straight => (x / (2.0 * tau)).min(1.0),
                BootShape::Sudden => f64::from(x > tau),
            };
        let turns = process.cycles * i as f64 / n as f64 + turn / std::f64::consts::TAU;
        let wave = (std::f64::consts::TAU * turns).sin();
        let day = (turns.floor() * 12.9898).sin();
        let load = process.wave
            * (1.0 + process.uneven * day)
            * (2.0 * (0.5 + 0.5 * wave).powf(process.peaked) - 1.0);
        let kept = 1.0 + boot + (process.in_use)(x);
        let demand = kept + (process.beside)(x) + load + wander + process.teeth * phase;
        let demand = demand.max(0.05) * process.base;
        rss = match process.allocator {
            Allocator::None => demand,
            // A high-water mark in grains, that is trimmed now and then.
            Allocator::Glibc if rss == 0.0 || draw.chance(0.01) => demand,
            Allocator::Glibc if demand > rss => rss + ((demand - rss) / grain).ceil() * grain,
            Allocator::Glibc if rss - demand > 0.12 * rss => demand + 0.06 * rss,
            Allocator::Glibc => rss,
            // Decays towards what is needed, in grains.
            Allocator::Jemalloc if demand >= rss => (demand / grain).round() * grain,
            Allocator::Jemalloc if draw.chance(0.45) => {
                let decayed = rss - (rss - demand) * 0.35;
                (decayed / grain).round() * grain
            }
            Allocator::Jemalloc => rss,
        };
        let shown = if draw.chance(process.spikes) {
            rss * draw.uniform(1.05, 1.6)
        } else {
            rss
        };
        let malloc = process.base * 0.8 * (kept + 0.3 * load.max(0.0) + 0.4 * wander)
            + process.base * 0.2 * process.teeth * phase;
        samples.push(Sample {
            at: (i as f64 + jitter * draw.uniform(-1.0, 1.0)) * every + 1.0,
            rss: Some(Bytes(shown as u64)),
            malloc_in_use: Some(Bytes(malloc.max(1.0) as u64)),
            ..Sample::default()
        });
    }
    samples
}
