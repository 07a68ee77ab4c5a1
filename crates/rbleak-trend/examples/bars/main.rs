//! Prints the confusion matrix and the figures of `rbleak_trend::judge` on
//! labelled series.
//!
//! Usage: cargo run --release -p rbleak-trend --example bars [-- tuning] [EACH]

mod figures;
mod generator;

use figures::figures;
use generator::{Set, generate};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let set = if words.iter().any(|word| word == "tuning") {
        Set::Tuning
    } else {
        Set::Test
    };
    let each = words
        .iter()
        .find_map(|word| word.parse().ok())
        .unwrap_or(60);
    let series = generate(set, each);
    if words.iter().any(|word| word == "wrong") {
        for (i, labelled) in series.iter().enumerate() {
            let samples = labelled.samples.iter().map(|s| rbleak_trend::Sample {
                malloc_in_use: None,
                ..*s
            });
            let j = rbleak_trend::judge(&samples.collect(), &Default::default());
            let bad = j.verdict != labelled.label
                || (labelled.label == rbleak_trend::Verdict::Leak && j.plateau.is_some());
            if bad {
                println!(
                    "{i} {} n={} {:?} {:.2} leak {:.2} {:?} cert {:?} rate {:?}",
                    labelled.family,
                    labelled.samples.len(),
                    j.verdict,
                    j.confidence,
                    j.leak_probability,
                    j.shape,
                    j.plateau.map(|p| p.growth_at_most),
                    labelled.rate.zip(j.rate).map(|(t, r)| (
                        r.per_hour.low / t / 3600.0,
                        r.per_hour.estimate / t / 3600.0,
                        r.per_hour.high / t / 3600.0
                    ))
                );
            }
        }
        return;
    }
    for (title, with_malloc) in [("RSS only", false), ("RSS and malloc in use", true)] {
        println!("== {title}\n\n{}", figures(&series, with_malloc));
    }
}
