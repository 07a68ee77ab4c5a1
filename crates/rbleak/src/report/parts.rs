//! Small parts that sections are made of.

use rbleak_report::{Align, Block, Column, Heading, Value};
use rbleak_units::Interval;

pub(super) fn heading(key: &str, title: &str, lead: &str) -> Block {
    Block::Heading(Heading {
        key: key.to_owned(),
        title: title.to_owned(),
        lead: lead.to_owned(),
    })
}

pub(super) fn left(heading: &str) -> Column {
    Column {
        heading: heading.to_owned(),
        align: Align::Left,
    }
}

pub(super) fn right(heading: &str) -> Column {
    Column {
        heading: heading.to_owned(),
        align: Align::Right,
    }
}

/// A member that is text; empty where it is none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A count; 0 where it is none.
pub(super) fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// What [`crate::rates::interval`] wrote.
pub(super) fn interval(value: &Value) -> Option<Interval> {
    let member = |key: &str| value[key].as_f64().filter(|figure| figure.is_finite());
    Some(Interval {
        estimate: member("estimate")?,
        low: member("low")?,
        high: member("high")?,
    })
}
