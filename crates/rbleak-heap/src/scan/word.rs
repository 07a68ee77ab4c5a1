//! Eight bytes of text at a time, in a word: the first byte is the lowest.
//!
//! No branch for each byte: what a line says decides its bytes, and no
//! processor foresees that. Knows nothing of JSON.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;
/// `0000` below what is shifted up.
const ZEROS: u64 = 0x3030_3030;

/// Up to 16 bytes as a word.
pub(super) const fn long_word(text: &[u8]) -> u128 {
    let mut word = 0;
    let mut at = text.len();
    while at > 0 {
        at -= 1;
        word = word << 8 | text[at] as u128;
    }
    word
}

/// Up to eight bytes as a word.
pub(super) const fn word(text: &[u8]) -> u64 {
    long_word(text) as u64
}

/// The high bit of each byte of `word` that is `byte`; exact up to the first.
#[inline]
pub(super) fn bytes_equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * u64::from(byte));
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

/// The value of eight hexadecimal digits, the first highest.
#[inline]
pub(super) fn eight_digits(word: u64) -> Option<u64> {
    let from = |word: u64, byte: u8| word + ONES * u64::from(0x80 - byte);
    if word & HIGHS != 0 {
        return None;
    }
    // A high bit for each byte in the range: no byte carries into the next.
    let lower = word | (ONES * 0x20);
    let letters = from(lower, b'a') & !from(lower, b'g') & HIGHS;
    let digits = from(word, b'0') & !from(word, b'9' + 1) & HIGHS;
    if letters | digits != HIGHS {
        return None;
    }
    let nibbles = (word & (ONES * 0x0f)) + (letters >> 7) * 9;
    let pairs = nibbles.swap_bytes();
    let bytes = (pairs | pairs >> 4) & 0x00ff_00ff_00ff_00ff;
    let shorts = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    Some((shorts | shorts >> 16) & 0xffff_ffff)
}

/// The value of the twelve hexadecimal digits in two words, the first highest.
#[inline]
pub(super) fn twelve_digits(first: u64, second: u64) -> Option<u64> {
    let low = eight_digits(second << 32 | ZEROS)?;
    Some(eight_digits(first)? << 16 | low)
}

/// The value of the decimal digits that a word begins with, and how many these
/// are: one to seven. `None` for none and for more.
#[inline]
pub(super) fn decimal(word: u64) -> Option<(u64, usize)> {
    let digits = word ^ (ONES * u64::from(b'0'));
    // What is no digit carries at most into what comes behind it.
    let other = (digits.wrapping_add(ONES * (0x80 - 10)) | digits) & HIGHS;
    let count = other.trailing_zeros() as usize / 8;
    if !(1..8).contains(&count) {
        return None;
    }
    // As if zeros stood before them; then pairs, fours and eights, each in one
    // multiplication by 10^n + 2^bits.
    let ones = digits << (64 - 8 * count);
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000 << 32 | 1) >> 32, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_the_values_of_the_standard_library() {
        let texts = ["0", "7", "10", "96", "4096", "65535", "100000", "9999999"];
        for text in texts {
            for rest in [", \"va", "}\n\0\u{7f}", ":;/\u{ff}", "\u{ff}9999999"] {
                let mut bytes = text.as_bytes().to_vec();
                bytes.extend_from_slice(rest.as_bytes());
                bytes.resize(8, b' ');
                let found = decimal(word(&bytes[..8]));
                assert_eq!(found, Some((text.parse().unwrap_or(0), text.len())));
            }
        }
        for none in [
            b"12345678",
            b"/1234567",
            b":1234567",
            b"\xff1234567",
            b"\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(decimal(word(none)), None);
        }
        for at in 0..12 {
            for byte in 0..=u8::MAX {
                let mut text = *b"7f0dd9A742b8\", \"";
                text[at] = byte;
                let said = std::str::from_utf8(&text[..12]).ok();
                let expected = said.and_then(|said| u64::from_str_radix(said, 16).ok());
                // The standard library takes a sign.
                let expected = expected.filter(|_| byte != b'+');
                let (first, second) = (word(&text[..8]), word(&text[8..]));
                assert_eq!(twelve_digits(first, second), expected, "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn the_first_equal_byte_is_found() {
        for at in 0..8 {
            for before in [b'!', b'#', b'\0', 0xff, 0xa2] {
                let mut text = [before; 8];
                text[at..].fill(b'"');
                let found = bytes_equal(word(&text), b'"');
                assert_eq!(found.trailing_zeros() as usize / 8, at);
            }
        }
        assert_eq!(bytes_equal(word(b"abcdefgh"), b'"'), 0);
    }
}
