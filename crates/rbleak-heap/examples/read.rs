//! Reads dumps and says how long that took: `cargo run --release --example
//! read -- [--no-references] [--series] FILE…`; of several files it also
//! times the diff. `--series` reads them side by side, as `diff` does.
#![allow(clippy::print_stdout)]

use rbleak_heap::{Heap, Identity, Memory, ReadOptions, diff};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = ReadOptions::default();
    let mut heaps = Vec::new();
    let mut series: Option<Vec<String>> = None;
    for argument in std::env::args().skip(1) {
        match (&*argument, &mut series) {
            ("--no-references", _) => options = options.references(false),
            ("--series", _) => series = Some(Vec::new()),
            (path, Some(paths)) => paths.push(path.to_owned()),
            (path, None) => {
                let start = Instant::now();
                let heap = Heap::open(path, &options)?;
                let seconds = start.elapsed().as_secs_f64();
                println!(
                    "{path}: {} objects, {} references, {:.3} s, {:.0} MB/s, {}",
                    heap.len(),
                    heap.reference_count(),
                    seconds,
                    heap.total_bytes() as f64 / 1e6 / seconds,
                    heap.ruby(),
                );
                heaps.push(heap);
            }
        }
    }
    if let Some(paths) = series {
        let start = Instant::now();
        heaps = Heap::open_series(&paths, &options, &Memory::unlimited())?;
        println!("read: {:.3} s", start.elapsed().as_secs_f64());
    }
    if heaps.len() > 1 {
        let start = Instant::now();
        let diff = diff(&heaps, Identity::Auto)?;
        println!(
            "diff: {} survivors, {} reused slots, {:.3} s",
            diff.survivors().len(),
            diff.reused_slots(),
            start.elapsed().as_secs_f64()
        );
        for problem in diff.problems() {
            println!("{problem}");
        }
    }
    Ok(())
}
