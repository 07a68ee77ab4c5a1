//! No recording makes the reader panic, and what is read can be judged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rbleak_trend::recording::{ReadOptions, read};
use rbleak_trend::{Settings, judge};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(recording) = read(bytes, &ReadOptions::default()) {
        for track in recording.tracks {
            judge(&track.series, &Settings::default());
        }
    }
});
