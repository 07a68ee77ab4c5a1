//! What `judge` says of plain cases, and what always holds.

use proptest::prelude::*;
use rbleak_trend::{Grows, Judgement, MemorySeries, Sample, Settings, Signal, Verdict, judge};
use rbleak_units::Bytes;

/// A little that wobbles, in ±1.
fn wobble(i: usize) -> f64 {
    ((i * 7919 + i * i * 31) % 101) as f64 / 50.0 - 1.0
}

fn series(n: usize, sample: impl Fn(usize) -> Sample) -> MemorySeries {
    (0..n).map(sample).collect()
}

fn megabytes(value: f64) -> Option<Bytes> {
    Some(Bytes((value * 1e6) as u64))
}

fn of_rss(n: usize, rss: impl Fn(usize) -> f64) -> Judgement {
    let sample = |i: usize| Sample {
        at: i as f64 * 5.0,
        rss: megabytes(rss(i) + wobble(i)),
        ..Sample::default()
    };
    let settings = Settings {
        limit: Some(Bytes(1_000_000_000)),
        ..Settings::default()
    };
    judge(&series(n, sample), &settings)
}

#[test]
fn each_verdict_has_its_plain_case() {
    let leak = of_rss(120, |i| 200.0 + i as f64);
    assert_eq!(leak.verdict, Verdict::Leak);
    let rate = leak.rate.unwrap().per_hour;
    assert!(rate.low < 720e6 && 720e6 < rate.high, "{rate:?}");
    let left = leak.time_to_limit.unwrap().seconds;
    assert!(left.low < 3405.0 && 3405.0 < left.high, "{left:?}");

    let plateau = of_rss(120, |_| 200.0);
    assert_eq!(plateau.verdict, Verdict::Plateau);
    assert!(plateau.plateau.is_some() && plateau.time_to_limit.is_none());

    let bloat = of_rss(120, |i| if i < 60 { 200.0 } else { 300.0 });
    assert_eq!(bloat.verdict, Verdict::Bloat);
    let warming = of_rss(120, |i| 200.0 + 100.0 * (1.0 - (-(i as f64) / 60.0).exp()));
    assert_eq!(warming.verdict, Verdict::WarmingUp);
    let fragmentation = of_rss(120, |i| 200.0 + 10.0 * (i as f64).powf(0.4));
    assert_eq!(fragmentation.verdict, Verdict::Fragmentation);

    let few = of_rss(11, |i| 200.0 + 50.0 * i as f64);
    assert_eq!((few.verdict, few.confidence), (Verdict::NotEnoughData, 0.0));
    assert!(of_rss(20, |i| 200.0 + 50.0 * i as f64).is_provisional);
    let none = judge(&MemorySeries::new(), &Settings::default());
    assert_eq!(none.verdict, Verdict::NotEnoughData);
}

/// RSS grows by 1 MB a sample each time; what is in use tells why.
fn told(slots: f64, malloc: f64) -> Judgement {
    let sample = |i: usize| Sample {
        at: i as f64,
        requests: Some(i as f64 * 10.0),
        life: Some(1),
        rss: megabytes(200.0 + i as f64 + wobble(i)),
        live_slots: Some(1e6 + slots * i as f64 + 200.0 * wobble(i + 7)),
        malloc_in_use: megabytes(150.0 + malloc * i as f64 + 0.2 * wobble(i + 3)),
        ..Sample::default()
    };
    judge(&series(100, sample), &Settings::default())
}

#[test]
fn what_is_in_use_tells_what_grows() {
    let ruby = told(10_000.0, 1.0);
    assert_eq!(
        (ruby.verdict, ruby.grows),
        (Verdict::Leak, Some(Grows::RubyObjects))
    );
    let rate = ruby.rate.unwrap();
    assert_eq!(rate.signal, Signal::LiveSlots);
    let per_request = rate.per_request.unwrap();
    assert!(
        (per_request.estimate - 1000.0).abs() < 5.0,
        "{per_request:?}"
    );
    assert_eq!(ruby.footprint_rate.unwrap().signal, Signal::Rss);

    let native = told(0.0, 1.0);
    assert_eq!(
        (native.verdict, native.grows),
        (Verdict::Leak, Some(Grows::Native))
    );
    let allocator = told(0.0, 0.0);
    assert_eq!(allocator.verdict, Verdict::Fragmentation);
    assert_eq!(allocator.grows, Some(Grows::Allocator));
}

#[test]
fn a_worker_that_restarts_leaks_in_each_life() {
    let sample = |life: Option<u64>, i: usize| Sample {
        at: i as f64,
        life,
        rss: megabytes(200.0 + (i % 60) as f64 * 2.0 + wobble(i)),
        ..Sample::default()
    };
    for known in [true, false] {
        let all = series(240, |i| sample(known.then_some(i as u64 / 60), i));
        let found = judge(&all, &Settings::default());
        assert_eq!(
            (found.verdict, found.lives),
            (Verdict::Leak, 4),
            "{found:?}"
        );
    }
}

fn number(value: f64) -> bool {
    (0.0..=1.0).contains(&value)
}

proptest! {
    #[test]
    fn any_series_is_judged(
        rows in prop::collection::vec(
            (any::<f64>(), any::<Option<u64>>(), 0..3u64, prop::option::of(any::<f64>())), 0..80),
    ) {
        let all: MemorySeries = rows
            .iter()
            .map(|&(at, rss, life, slots)| Sample {
                at,
                life: Some(life / 2),
                rss: rss.map(Bytes),
                live_slots: slots,
                requests: slots,
                ..Sample::default()
            })
            .collect();
        let found = judge(&all, &Settings::default());
        prop_assert!(number(found.confidence) && number(found.leak_probability), "{:?}", found);
    }

    /// Neither the unit of memory nor that of time makes a leak.
    #[test]
    fn units_change_nothing(
        noise in prop::collection::vec(-1.0..1.0f64, 80), slope in 0.0..2.0f64, scale in 1u32..200, step in 1u32..600,
    ) {
        let verdict = |scale: f64, step: f64| {
            let sample = |i: usize| Sample {
                at: i as f64 * step,
                rss: Some(Bytes(((100.0 + slope * i as f64 + noise[i]) * 1e7 * scale) as u64)),
                ..Sample::default()
            };
            let found = judge(&series(80, sample), &Settings::default());
            (found.verdict, (found.leak_probability * 1e3).round())
        };
        prop_assert_eq!(verdict(1.0, 1.0), verdict(f64::from(scale), f64::from(step)));
    }

    #[test]
    fn an_interval_holds_its_estimate(noise in prop::collection::vec(-5.0..5.0f64, 12..120), slope in -2.0..2.0f64) {
        let found = of_rss(noise.len(), |i| 300.0 + slope * i as f64 + noise[i]);
        let rate = found.rate.unwrap().per_hour;
        prop_assert!(rate.low <= rate.estimate && rate.estimate <= rate.high, "{:?}", rate);
    }
}
