//! Texts that are versions and requirements, or nearly so.

/// A generator of numbers that gives the same ones for the same seed
/// (SplitMix64).
pub struct Random(u64);

const PIECES: &[&str] = &[
    "0",
    "0",
    "1",
    "1",
    "2",
    "3",
    "9",
    "10",
    "00",
    "01",
    "007",
    "99",
    "a",
    "b",
    "rc",
    "rc1",
    "pre",
    "beta",
    "Z",
    "aB",
    "a0",
    "0a",
    "1a2b",
    "x",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "4294967296",
    "a00b",
    "dev",
];
const SEPARATORS: &[&str] = &[
    ".", ".", ".", ".", ".", ".", ".", "-", "--", "..", "", " ", "+", "_",
];
const SPACES: &[&str] = &[
    "", "", "", "", "", "", " ", "\t", "\n", "\r\n", "\u{b}", "\u{c}", "\u{a0}", "\0",
];
const OPERATORS: &[&str] = &[
    "=", "!=", ">", "<", ">=", "<=", "~>", "~>", "", "", "==", "=<", "=>", "~", "^", "> =", "!",
];

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }

    pub fn version(&mut self) -> String {
        match self.below(20) {
            0 => return self.noise(),
            1..=8 => return self.plain_version(),
            _ => {}
        }
        let mut text = self.pick(SPACES).to_owned();
        for index in 0..=self.below(6) {
            if index > 0 {
                text.push_str(self.pick(SEPARATORS));
            }
            text.push_str(self.pick(PIECES));
        }
        text.push_str(self.pick(SPACES));
        text
    }

    /// Valid, and close to each other, so that comparisons are close too.
    fn plain_version(&mut self) -> String {
        let mut text = self.below(3).to_string();
        for _ in 0..self.below(4) {
            text.push('.');
            if self.below(6) == 0 {
                text.push_str(["a", "b", "rc", "pre"][self.below(4)]);
            } else {
                text.push_str(&self.below(3).to_string());
            }
        }
        text
    }

    pub fn requirement(&mut self) -> String {
        let mut text = String::new();
        for index in 0..[1, 1, 1, 2, 2, 3, 0][self.below(7)] {
            if index > 0 {
                text.push_str([",", ", ", " ,", ",,", " , "][self.below(20).min(4)]);
            }
            let operator = if self.below(4) == 0 {
                self.pick(OPERATORS)
            } else {
                ["=", "!=", ">", "<", ">=", "<=", "~>"][self.below(7)]
            };
            text.push_str(operator);
            text.push_str(self.pick(SPACES));
            if self.below(3) == 0 {
                text.push_str(&self.version());
            } else {
                text.push_str(&self.plain_version());
            }
        }
        if self.below(30) == 0 {
            text.push(',');
        }
        text
    }

    fn noise(&mut self) -> String {
        const CHARACTERS: &[u8] = b"0123456789abzABZ.-.-  ,<>=!~*+_\t\n\"'";
        let mut text = String::new();
        for _ in 0..self.below(8) {
            text.push(char::from(CHARACTERS[self.below(CHARACTERS.len())]));
        }
        text
    }
}
