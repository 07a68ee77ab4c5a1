//! Times as recordings write them, in seconds.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Seconds, since the epoch or any other moment. Plain numbers are seconds;
/// those too large for that are milli-, micro- or nanoseconds of the epoch.
/// Dates are RFC 3339; without an offset they are taken as UTC.
pub(super) fn seconds(text: &str, factor: f64) -> Option<f64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then(|| scaled(number, factor));
    }
    let stamp = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    Some(stamp.as_nanosecond() as f64 / 1e9)
}

fn scaled(number: f64, factor: f64) -> f64 {
    // The year 5138 in seconds is 1973 in milliseconds.
    match number.abs() {
        _ if factor != 1.0 => number * factor,
        size if size >= 1e17 => number / 1e9,
        size if size >= 1e14 => number / 1e6,
        size if size >= 1e11 => number / 1e3,
        _ => number,
    }
}
