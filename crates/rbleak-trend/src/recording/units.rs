//! Units of memory, as headers, cells and flags name them.

use rbleak_units::Bytes;

/// A unit of memory. Where others write kB and mean 1,024 bytes, as the kernel
/// and `ps` do, so does this: `kB` and `KiB` are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1
    Bytes,
    /// 1,024
    Kilobytes,
    /// 1,048,576
    Megabytes,
    /// 1,073,741,824
    Gigabytes,
}

impl Unit {
    /// Bytes in one.
    pub fn bytes(self) -> f64 {
        match self {
            Unit::Bytes => 1.0,
            Unit::Kilobytes => 1024.0,
            Unit::Megabytes => 1_048_576.0,
            Unit::Gigabytes => 1_073_741_824.0,
        }
    }

    /// The unit of this name, such as `kb`, `MiB` or `bytes`.
    pub fn named(name: &str) -> Option<Unit> {
        Some(match name.to_ascii_lowercase().as_str() {
            "b" | "byte" | "bytes" => Unit::Bytes,
            "k" | "kb" | "kib" | "kilobytes" => Unit::Kilobytes,
            "m" | "mb" | "mib" | "megabytes" => Unit::Megabytes,
            "g" | "gb" | "gib" | "gigabytes" => Unit::Gigabytes,
            _ => return None,
        })
    }

    /// An amount with or without a unit: `512MB`, `2 GiB`, `1000` bytes.
    pub fn amount(text: &str) -> Option<Bytes> {
        let (value, unit) = quantity(text)?;
        let bytes = value * unit.unwrap_or(Unit::Bytes).bytes();
        (bytes.is_finite() && bytes >= 0.0).then_some(Bytes(bytes.round() as u64))
    }

    /// A guess for columns without one: Ruby processes hold 30 MB to 30 GB,
    /// and in that range the units do not overlap.
    pub(super) fn guessed(typical: f64) -> Unit {
        match typical {
            _ if typical >= 30e6 => Unit::Bytes,
            _ if typical >= 30e3 => Unit::Kilobytes,
            _ => Unit::Megabytes,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Bytes => "bytes",
            Unit::Kilobytes => "kB",
            Unit::Megabytes => "MB",
            Unit::Gigabytes => "GB",
        }
    }
}

/// A number and the unit behind it: `512 MB`, `512MB`, `512`.
pub(super) fn quantity(text: &str) -> Option<(f64, Option<Unit>)> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return Some((number, None));
    }
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.')? + 1;
    let number = text[..end].parse().ok()?;
    Some((number, Some(Unit::named(text[end..].trim())?)))
}
