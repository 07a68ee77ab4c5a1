//! The figures of a set of labelled series: confusion, recall, calibration,
//! coverage.

use crate::generator::{Labelled, STABLE};
use rbleak_trend::{Judgement, MemorySeries, Settings, Verdict, judge};
use std::collections::BTreeMap;
use std::fmt;

pub const VERDICTS: [Verdict; 6] = [
    Verdict::Plateau,
    Verdict::Leak,
    Verdict::Bloat,
    Verdict::Fragmentation,
    Verdict::WarmingUp,
    Verdict::NotEnoughData,
];

/// Shares, from 0 to 1.
pub struct Figures {
    pub series: usize,
    pub confusion: [[usize; 6]; 6],
    pub families: BTreeMap<&'static str, (usize, usize, usize)>,
    pub accuracy: f64,
    pub leak_recall: f64,
    pub false_leaks_of_stable: f64,
    pub false_leaks: f64,
    /// Expected calibration error in ten bins (Naeini, Cooper & Hauskrecht 2015).
    pub calibration_error: f64,
    pub bins: Vec<(usize, f64, f64)>,
    /// Of 95 % intervals of the rate of leaks.
    pub coverage: f64,
    pub coverage_of_stable: f64,
    pub certificates: f64,
    /// Plateau certificates given to leaks.
    pub wrong_certificates: f64,
    /// A line for each wrong verdict.
    pub wrong: Vec<String>,
}

/// Judges every series; malloc's bytes in use are hidden unless `with_malloc`.
pub fn figures(series: &[Labelled], with_malloc: bool) -> Figures {
    let judged: Vec<(&Labelled, Judgement)> = series
        .iter()
        .map(|labelled| {
            let samples = labelled.samples.iter().map(|sample| {
                let mut sample = *sample;
                if !with_malloc {
                    sample.malloc_in_use = None;
                }
                sample
            });
            let series: MemorySeries = samples.collect();
            (labelled, judge(&series, &Settings::default()))
        })
        .collect();
    let place = |verdict| VERDICTS.iter().position(|v| *v == verdict).expect("listed");
    let mut confusion = [[0; 6]; 6];
    let mut families: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for (labelled, judgement) in &judged {
        confusion[place(labelled.label)][place(judgement.verdict)] += 1;
        let family = families.entry(labelled.family).or_default();
        family.0 += 1;
        family.1 += usize::from(labelled.label == judgement.verdict);
        family.2 += usize::from(judgement.verdict == Verdict::Leak);
    }
    let share = |of: &dyn Fn(&Labelled) -> bool, is: &dyn Fn(&Labelled, &Judgement) -> bool| {
        let of = judged.iter().filter(|(labelled, _)| of(labelled));
        let (mut all, mut hits) = (0u32, 0u32);
        for (labelled, judgement) in of {
            all += 1;
            hits += u32::from(is(labelled, judgement));
        }
        f64::from(hits) / f64::from(all.max(1))
    };
    let is_leak = |labelled: &Labelled| labelled.label == Verdict::Leak;
    let called = |_: &Labelled, judgement: &Judgement| judgement.verdict == Verdict::Leak;
    let right = |l: &Labelled, j: &Judgement| l.label == j.verdict;
    let covered = |labelled: &Labelled, judgement: &Judgement| {
        let rate = judgement.footprint_rate.expect("a rate").per_hour;
        let truth = labelled.rate.expect("known") * 3600.0;
        rate.low <= truth && truth <= rate.high
    };
    let mut bins = vec![(0usize, 0.0, 0.0); 10];
    let told = judged
        .iter()
        .filter(|(_, j)| j.verdict != Verdict::NotEnoughData);
    let mut count = 0;
    for (labelled, judgement) in told {
        let bin = &mut bins[((judgement.confidence * 10.0) as usize).min(9)];
        bin.0 += 1;
        bin.1 += judgement.confidence;
        bin.2 += f64::from(labelled.label == judgement.verdict);
        count += 1;
    }
    let calibration_error = bins.iter().map(|b| (b.1 - b.2).abs()).sum::<f64>() / f64::from(count);
    Figures {
        series: series.len(),
        confusion,
        families,
        accuracy: share(&|_| true, &right),
        leak_recall: share(&is_leak, &called),
        false_leaks_of_stable: share(&|l| STABLE.contains(&l.family), &called),
        false_leaks: share(&|l| !is_leak(l), &called),
        calibration_error,
        bins,
        coverage: share(&|l| is_leak(l) && l.rate.is_some(), &covered),
        coverage_of_stable: share(&|l| !is_leak(l) && l.rate.is_some(), &covered),
        certificates: share(&|l| STABLE.contains(&l.family), &|_, j| j.plateau.is_some()),
        wrong_certificates: share(&is_leak, &|_, j| j.plateau.is_some()),
        wrong: judged
            .iter()
            .enumerate()
            .filter(|(_, (labelled, judgement))| labelled.label != judgement.verdict)
            .map(|(i, (labelled, judgement))| {
                format!(
                    "{i} {}: {} samples, {:?} for {:?}, leak {:.2}, {:?}",
                    labelled.family,
                    labelled.samples.len(),
                    judgement.verdict,
                    labelled.label,
                    judgement.leak_probability,
                    judgement.shape
                )
            })
            .collect(),
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHORT: [&str; 6] = [
            "plateau",
            "leak",
            "bloat",
            "fragment.",
            "warming",
            "too few",
        ];
        writeln!(
            f,
            "{:<16}{}",
            "label \\ verdict",
            SHORT.map(|s| format!("{s:>10}")).concat()
        )?;
        for (row, name) in self.confusion.iter().zip(SHORT) {
            writeln!(f, "{name:<16}{}", row.map(|n| format!("{n:>10}")).concat())?;
        }
        writeln!(
            f,
            "\n{:<16}{:>8}{:>8}{:>8}",
            "family", "series", "right", "leak"
        )?;
        for (family, (all, right, leak)) in &self.families {
            writeln!(f, "{family:<16}{all:>8}{right:>8}{leak:>8}")?;
        }
        writeln!(f, "\nconfidence      series    said   right")?;
        for (number, said, right) in self.bins.iter().filter(|bin| bin.0 > 0) {
            let n = *number as f64;
            writeln!(f, "{number:>22}{:>8.3}{:>8.3}", said / n, right / n)?;
        }
        writeln!(f)?;
        for (name, value) in [
            ("accuracy", self.accuracy),
            ("leak recall", self.leak_recall),
            ("false leaks of stable series", self.false_leaks_of_stable),
            ("false leaks of all that leaks not", self.false_leaks),
            ("calibration error", self.calibration_error),
            ("coverage of leaks' rates", self.coverage),
            ("coverage of stable rates (zero)", self.coverage_of_stable),
            ("stable series with a certificate", self.certificates),
            ("leaks with a plateau certificate", self.wrong_certificates),
        ] {
            writeln!(f, "{name:<36}{value:>8.4}")?;
        }
        Ok(())
    }
}
