//! Prints the confusion matrix and the figures of `rbleak_trend::judge` on
//! labelled series.
//!
//! Usage: script/bars [tuning] [wrong] [EACH]
//!
//! By default 60 series of each family, of the test seeds; `tuning` takes those
//! that thresholds were chosen on, `wrong` lists the wrong answers.

#[allow(unreachable_pub)] // the test of the bars takes them in, too
mod figures;
#[allow(unreachable_pub)]
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
        let figures = figures(&series, with_malloc);
        println!("== {title}: {} series\n\n{figures}", figures.series);
        if words.iter().any(|word| word == "wrong") {
            figures.wrong.iter().for_each(|line| println!("{line}"));
        }
    }
}
