//! Transparent huge pages: `/sys/kernel/mm/transparent_hugepage/enabled`, see
//! the kernel's "Transparent Hugepage Support".

use std::fs;

/// When the kernel backs anonymous memory with pages of 2 MB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePages {
    /// Wherever it can.
    Always,
    /// Where a program asks for them.
    Madvise,
    /// Never.
    Never,
}

/// The setting of this machine; `None` where there is none.
pub fn read() -> Option<HugePages> {
    parse(&fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").ok()?)
}

/// Reads `always [madvise] never`.
pub fn parse(text: &str) -> Option<HugePages> {
    let chosen = text.split_once('[')?.1.split_once(']')?.0;
    Some(match chosen {
        "always" => HugePages::Always,
        "madvise" => HugePages::Madvise,
        "never" => HugePages::Never,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_one_stands_in_brackets() {
        assert_eq!(parse("always [madvise] never\n"), Some(HugePages::Madvise));
        assert_eq!(parse("[always] madvise never\n"), Some(HugePages::Always));
        assert_eq!(parse("always madvise never\n"), None);
    }
}
