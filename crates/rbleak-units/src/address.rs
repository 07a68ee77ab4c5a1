//! Where an object lies in the memory of the dumped process.

use std::fmt;
use std::str::FromStr;

/// The address of a slot in the dumped process.
///
/// Compared as a number: Ruby 2.5 pads with zeros, other versions do not, and
/// WebAssembly builds have 32-bit addresses. An address is *not* an identity:
/// the garbage collector hands slots out again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub u64);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a hexadecimal address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseAddressError;

impl fmt::Display for ParseAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address: expected hexadecimal digits such as 0x7f26e0be3c60")
    }
}

impl std::error::Error for ParseAddressError {}

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Reads `0x7f26e0be3c60` or `7f26e0be3c60`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .unwrap_or(text);
        // `from_str_radix` would accept a sign.
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseAddressError);
        }
        u64::from_str_radix(digits, 16)
            .map(Address)
            .map_err(|_| ParseAddressError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_ignores_padding() {
        let address: Address = "0x000055f04ba12688".parse().unwrap();
        assert_eq!(address.to_string(), "0x55f04ba12688");
        assert_eq!(address.to_string().parse(), Ok(address));
        assert_eq!("7f".parse(), Ok(Address(0x7f)));
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in ["", "0x", "+1", "-1", "0xg", "0x11112222333344445"] {
            assert_eq!(text.parse::<Address>(), Err(ParseAddressError), "{text}");
        }
    }
}
