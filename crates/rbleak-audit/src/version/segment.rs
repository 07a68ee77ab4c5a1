//! One part of a version: a number without bound, or a run of letters.

use std::cmp::Ordering;
use std::fmt;

/// A number or a word of a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A number that fits into 64 bits.
    Number(u64),
    /// The digits of a larger number, without zeros in front.
    Huge(Box<str>),
    /// Letters.
    Word(Box<str>),
}

impl Segment {
    pub(super) const ZERO: Segment = Segment::Number(0);

    /// `text` holds digits alone or ASCII letters alone, one at least.
    pub(super) fn new(text: &str) -> Segment {
        if !text.as_bytes()[0].is_ascii_digit() {
            return Segment::Word(text.into());
        }
        match text.parse() {
            Ok(number) => Segment::Number(number),
            Err(_) => Segment::Huge(text.trim_start_matches('0').into()),
        }
    }

    /// Whether these are letters.
    pub fn is_word(&self) -> bool {
        matches!(self, Segment::Word(_))
    }

    pub(super) fn is_zero(&self) -> bool {
        *self == Segment::ZERO
    }

    /// One more; a word stays as it is.
    pub(super) fn successor(&self) -> Segment {
        match self {
            Segment::Number(number) => match number.checked_add(1) {
                Some(next) => Segment::Number(next),
                None => Segment::Huge(add_one(&number.to_string()).into()),
            },
            Segment::Huge(digits) => Segment::Huge(add_one(digits).into()),
            Segment::Word(_) => self.clone(),
        }
    }
}

/// Adds one to a number written in decimal digits.
fn add_one(digits: &str) -> String {
    let kept = digits.trim_end_matches('9');
    let nines = digits.len() - kept.len();
    let mut out = String::with_capacity(digits.len() + 1);
    match kept.as_bytes().split_last() {
        Some((&last, front)) => {
            out.push_str(&kept[..front.len()]);
            out.push(char::from(last + 1));
        }
        None => out.push('1'),
    }
    out.extend(std::iter::repeat_n('0', nines));
    out
}

impl Ord for Segment {
    fn cmp(&self, other: &Segment) -> Ordering {
        use Segment::{Huge, Number, Word};
        match (self, other) {
            (Number(left), Number(right)) => left.cmp(right),
            (Huge(left), Huge(right)) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
            (Word(left), Word(right)) => left.cmp(right),
            (Word(_), _) | (Number(_), Huge(_)) => Ordering::Less,
            (_, Word(_)) | (Huge(_), Number(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Segment {
    fn partial_cmp(&self, other: &Segment) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Number(number) => write!(f, "{number}"),
            Segment::Huge(digits) => f.write_str(digits),
            Segment::Word(letters) => f.write_str(letters),
        }
    }
}
