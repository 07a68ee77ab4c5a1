//! Counts of bytes and of objects.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

/// A difference between two numbers of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SignedBytes(pub i64);

/// A number of Ruby objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Objects(pub u64);

impl Bytes {
    /// `self` as a floating point number of bytes.
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl Add for Bytes {
    type Output = Bytes;
    fn add(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Bytes) {
        *self = *self + other;
    }
}

impl Sub for Bytes {
    type Output = SignedBytes;
    fn sub(self, other: Bytes) -> SignedBytes {
        SignedBytes((self.0 as i64).wrapping_sub(other.0 as i64))
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(iter: I) -> Bytes {
        iter.fold(Bytes(0), Add::add)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&scaled(self.0))
    }
}

impl fmt::Display for SignedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.0 {
            0 => "",
            1.. => "+",
            _ => "-",
        };
        f.pad(&format!("{sign}{}", scaled(self.0.unsigned_abs())))
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&grouped(self.0))
    }
}

/// The digits of `number` in groups of three: `1 500`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Three significant digits or so, in the largest decimal unit that leaves a
/// number of at least one.
fn scaled(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.5 would print as "1000 kB".
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if value < 9.95 { 1 } else { 0 };
    format!("{value:.decimals$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_well_at_every_size() {
        let shown = |n| Bytes(n).to_string();
        assert_eq!(shown(0), "0 B");
        assert_eq!(shown(999), "999 B");
        assert_eq!(shown(1_000), "1.0 kB");
        assert_eq!(shown(9_949), "9.9 kB");
        assert_eq!(shown(9_950), "10 kB");
        assert_eq!(shown(237_400), "237 kB");
        assert_eq!(shown(999_499), "999 kB");
        assert_eq!(shown(999_500), "1.0 MB");
        assert_eq!(shown(2_100_000), "2.1 MB");
        assert_eq!(shown(u64::MAX), "18 EB");
    }

    #[test]
    fn differences_carry_their_sign() {
        assert_eq!((Bytes(10) - Bytes(2_010)).to_string(), "-2.0 kB");
        assert_eq!((Bytes(10) - Bytes(10)).to_string(), "0 B");
        assert_eq!((Bytes(11) - Bytes(10)).to_string(), "+1 B");
    }

    #[test]
    fn digits_come_in_groups_of_three() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_500), "1 500");
        assert_eq!(grouped(1_234_567), "1 234 567");
    }
}
