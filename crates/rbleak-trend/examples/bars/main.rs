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
    for (title, with_malloc) in [("RSS only", false), ("RSS and malloc in use", true)] {
        println!("== {title}\n\n{}", figures(&series, with_malloc));
    }
}
