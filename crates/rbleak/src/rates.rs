//! Rates per request in words and for machines: shared by all commands that
//! speak of them.

use rbleak_report::{Value, json};
use rbleak_trend::Cause;
use rbleak_units::{Bytes, Interval};

/// `+1.2 kB`.
pub(crate) fn signed_bytes(value: f64) -> String {
    let rounded = value.round();
    let sign = if rounded < 0.0 { "-" } else { "+" };
    format!("{sign}{}", Bytes(rounded.abs() as u64))
}

/// Two decimals: `1.98–2.00`.
pub(crate) fn object_range(rate: Interval) -> String {
    // Rounded first: -0.001 is to read 0.00, not -0.00.
    let round = |value: f64| (value * 100.0).round() / 100.0 + 0.0;
    format!("{:.2}–{:.2}", round(rate.low), round(rate.high))
}

/// `157–183 B`.
pub(crate) fn byte_range(rate: Interval) -> String {
    let (low, high) = (rate.low.round() + 0.0, rate.high.round() + 0.0);
    if low.abs() < 1000.0 && high.abs() < 1000.0 {
        format!("{low:.0}–{high:.0} B")
    } else {
        format!("{}–{}", signed_bytes(low), signed_bytes(high))
    }
}

/// With both ends, for machines.
pub(crate) fn interval(rate: Option<Interval>) -> Value {
    rate.map_or(
        Value::Null,
        |r| json!({ "estimate": r.estimate, "low": r.low, "high": r.high, "confidence": 0.95 }),
    )
}

/// As JSON has it.
pub(crate) fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::RubyObjects => "ruby_objects",
        Cause::RubyBytes => "ruby_bytes",
        Cause::Native => "native",
        Cause::Nothing => "nothing",
        Cause::Undecided => "undecided",
    }
}

/// What [`cause_name`] wrote; `None` where it is no such word.
pub(crate) fn cause_of_name(name: &str) -> Option<Cause> {
    let all = [
        Cause::RubyObjects,
        Cause::RubyBytes,
        Cause::Native,
        Cause::Nothing,
        Cause::Undecided,
    ];
    all.into_iter().find(|cause| cause_name(*cause) == name)
}
