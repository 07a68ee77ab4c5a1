//! The `rbleak` command line.
fn main() {}
