//! The script that measures advisories: it tells what leaks from what does
//! not, on the Ruby at hand.

use std::path::Path;
use std::process::{Command, Output};

fn recheck(arguments: &[&str]) -> Output {
    Command::new("ruby")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../script/recheck.rb"))
        .args(arguments)
        .output()
        .expect("this test needs `ruby`, which is not on the PATH: run script/setup")
}

#[test]
fn advisories_of_this_ruby_hold() {
    // Those with large figures: quick, and far from noise.
    let output = recheck(&["ruby-20150", "ruby-cb30288162", "ruby-20145"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn what_has_no_case_is_refused() {
    let output = recheck(&["ruby-0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no case ruby-0"));
}
