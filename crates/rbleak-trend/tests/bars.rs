//! What the verdicts must reach on labelled series that no threshold was chosen
//! on.

#[path = "../examples/bars/figures.rs"]
#[allow(dead_code, unreachable_pub)]
mod figures;
#[path = "../examples/bars/generator.rs"]
#[allow(dead_code, unreachable_pub)]
mod generator;

use figures::{Figures, figures};
use generator::{Set, generate};

fn check(figures: &Figures, bars: &[(&str, bool)]) {
    let missed: Vec<&str> = bars.iter().filter(|bar| !bar.1).map(|bar| bar.0).collect();
    assert!(missed.is_empty(), "missed: {missed:?}\n{figures}");
}

#[test]
fn by_rss_alone() {
    let told = figures(&generate(Set::Test, 60), false);
    check(
        &told,
        &[
            ("leak recall 0.89", told.leak_recall >= 0.89),
            ("no stable series leaks", told.false_leaks_of_stable == 0.0),
            ("false leaks under 0.06", told.false_leaks < 0.06),
            ("calibration under 0.05", told.calibration_error < 0.05),
            ("coverage of leaks 0.90", told.coverage >= 0.90),
            ("coverage of stable 0.90", told.coverage_of_stable >= 0.90),
            ("certificates of leaks", told.wrong_certificates < 0.005),
            ("certificates are given", told.certificates > 0.5),
        ],
    );
}

#[test]
fn with_malloc_in_use() {
    let told = figures(&generate(Set::Test, 60), true);
    check(
        &told,
        &[
            ("leak recall 0.95", told.leak_recall >= 0.95),
            ("false leaks under 0.03", told.false_leaks < 0.03),
            ("calibration under 0.05", told.calibration_error < 0.05),
            ("coverage of leaks 0.90", told.coverage >= 0.90),
            ("certificates of leaks", told.wrong_certificates < 0.005),
        ],
    );
}
