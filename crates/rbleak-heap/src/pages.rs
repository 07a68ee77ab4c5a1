//! A set of addresses as a bitmap per heap page.
//!
//! A byte an object where a list takes eight and a hash map forty. Pages are
//! in the order in which they were first seen; within a page addresses
//! ascend. So does a dump, whose rows are then the positions in this set: it
//! maps addresses to rows and rows to addresses, both without a search.

use rustc_hash::FxHashMap;
use std::ops::Range;

/// Ruby's pages are 16 kB (to 3.0) or 64 kB; the smaller divides the larger.
const PAGE_BITS: u32 = 14;
/// Slots are aligned to 8 bytes, except on 32-bit WebAssembly (4).
const SLOT_BITS: u32 = 3;
pub(crate) const WORDS: usize = 1 << (PAGE_BITS - SLOT_BITS - 6);
/// A hint for each so many positions.
const HINT_BITS: u32 = 8;

/// One page.
#[derive(Clone)]
pub(crate) struct Page {
    /// Its addresses without their low bits.
    pub(crate) number: u64,
    pub(crate) bits: [u64; WORDS],
    /// Set bits in the words before.
    ranks: [u16; WORDS],
    /// The position of the page's first address.
    pub(crate) base: u32,
}

impl Page {
    fn new(number: u64) -> Page {
        Page {
            number,
            bits: [0; WORDS],
            ranks: [0; WORDS],
            base: 0,
        }
    }

    /// The position of the slot `bit` of word `word`, if it is in the set.
    #[inline]
    pub(crate) fn position(&self, word: usize, bit: u64) -> Option<u32> {
        let bits = self.bits[word];
        if bits & bit == 0 {
            return None;
        }
        let before = (bits & (bit - 1)).count_ones();
        Some(self.base + u32::from(self.ranks[word]) + before)
    }

    /// The positions of the addresses of one word.
    #[inline]
    pub(crate) fn rows_of(&self, word: usize) -> Range<usize> {
        let start = (self.base + u32::from(self.ranks[word])) as usize;
        start..start + self.bits[word].count_ones() as usize
    }

    /// The address of slot `slot` (64 in each word).
    #[inline]
    fn address(&self, slot: u32) -> u64 {
        self.number << PAGE_BITS | u64::from(slot << SLOT_BITS)
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Pages {
    pages: Vec<Page>,
    by_number: FxHashMap<u64, u32>,
    /// The page of each 256th position.
    hints: Vec<u32>,
    len: u32,
    /// The address that was added last and its page.
    last: u64,
    last_page: usize,
}

/// Word and bit of an address in its page.
#[inline]
fn place(address: u64) -> (usize, u64) {
    let slot = (address >> SLOT_BITS) & ((1 << (PAGE_BITS - SLOT_BITS)) - 1);
    ((slot >> 6) as usize, 1 << (slot & 63))
}

/// The number of the page that an address is in.
#[inline]
pub(crate) fn page_number(address: u64) -> u64 {
    address >> PAGE_BITS
}

/// Whether an address can be in a set at all.
#[inline]
pub(crate) fn is_aligned(address: u64) -> bool {
    address & ((1 << SLOT_BITS) - 1) == 0
}

impl Pages {
    /// How many pages were first seen before this one, if it was.
    #[inline]
    pub(crate) fn order(&self, number: u64) -> Option<u32> {
        if self.len > 0 && number == page_number(self.last) {
            return Some(self.last_page as u32);
        }
        self.by_number.get(&number).copied()
    }

    /// Adds an address if it is in order: in the page of the last one and
    /// behind it, or the first of its page.
    #[inline]
    pub(crate) fn push(&mut self, address: u64) -> bool {
        if !is_aligned(address) {
            return false;
        }
        let number = address >> PAGE_BITS;
        let is_first = self.len == 0 || number != self.last >> PAGE_BITS;
        if is_first {
            let next = self.pages.len() as u32;
            if *self.by_number.entry(number).or_insert(next) != next {
                return false;
            }
            self.pages.push(Page::new(number));
            self.last_page = next as usize;
        } else if address <= self.last {
            return false;
        }
        let (word, bit) = place(address);
        self.pages[self.last_page].bits[word] |= bit;
        self.last = address;
        self.len += 1;
        true
    }

    /// Adds the next `count` addresses of another set, as far as they are in
    /// order here; how many these are. The walk is behind them.
    pub(crate) fn extend_same(&mut self, other: &Pages, count: usize, walk: &mut Walk) -> usize {
        let mut added = 0;
        while added < count
            && let Some((page, word, bits)) = walk.peek(other)
        {
            let mut rest = bits;
            let taken = (bits.count_ones() as usize).min(count - added);
            for _ in 0..taken {
                rest &= rest - 1;
            }
            if !self.push_bits(page.number, word, bits ^ rest) {
                break;
            }
            walk.pass(bits ^ rest);
            added += taken;
        }
        added
    }

    /// Adds addresses of a word of a page, not none, if all are in order.
    #[inline]
    fn push_bits(&mut self, number: u64, word: usize, bits: u64) -> bool {
        let address =
            |bit: u32| number << PAGE_BITS | ((word as u64) << 6 | u64::from(bit)) << SLOT_BITS;
        // The first one tells.
        if !self.push(address(bits.trailing_zeros())) {
            return false;
        }
        self.pages[self.last_page].bits[word] |= bits;
        self.len += bits.count_ones() - 1;
        self.last = address(63 - bits.leading_zeros());
        true
    }

    /// Adds an address in any order; `false` if it was there.
    pub(crate) fn insert(&mut self, address: u64) -> bool {
        let number = address >> PAGE_BITS;
        if self.len == 0 || number != self.last >> PAGE_BITS {
            let next = self.pages.len() as u32;
            let page = *self.by_number.entry(number).or_insert(next);
            if page == next {
                self.pages.push(Page::new(number));
            }
            self.last_page = page as usize;
        }
        self.last = address;
        let (word, bit) = place(address);
        let bits = &mut self.pages[self.last_page].bits[word];
        let is_new = *bits & bit == 0;
        *bits |= bit;
        self.len += u32::from(is_new);
        is_new
    }

    /// Adds the addresses of the next part of a dump if all are in order;
    /// otherwise this set may hold some of them.
    pub(crate) fn append(&mut self, later: &Pages) -> bool {
        for page in &later.pages {
            let next = self.pages.len() as u32;
            let known = *self.by_number.entry(page.number).or_insert(next);
            if known == next {
                self.pages.push(page.clone());
                continue;
            }
            // A page may lie across the border of two parts.
            let is_behind = known + 1 == next
                && std::ptr::eq(page, &later.pages[0])
                && later_first(page) > self.last;
            if !is_behind {
                return false;
            }
            let known = &mut self.pages[known as usize];
            for (bits, more) in known.bits.iter_mut().zip(page.bits) {
                *bits |= more;
            }
        }
        if later.len > 0 {
            self.last = later.last;
            self.last_page = self.pages.len() - 1;
            self.len += later.len;
        }
        true
    }

    /// Must follow the last change: positions are known from then on.
    pub(crate) fn freeze(&mut self) {
        let mut base = 0;
        self.hints.clear();
        for (number, page) in self.pages.iter_mut().enumerate() {
            page.base = base;
            let mut rank = 0;
            for (bits, slot) in page.bits.iter().zip(&mut page.ranks) {
                *slot = rank;
                // At most 2,048 in a page.
                rank += bits.count_ones() as u16;
            }
            base += u32::from(rank);
            while (self.hints.len() as u64) << HINT_BITS < u64::from(base) {
                self.hints.push(number as u32);
            }
        }
        self.pages.shrink_to_fit();
    }

    /// How many addresses.
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The page of an address.
    #[inline]
    pub(crate) fn page(&self, number: u64) -> Option<&Page> {
        self.by_number
            .get(&number)
            .map(|&page| &self.pages[page as usize])
    }

    /// The position of an address.
    #[inline]
    pub(crate) fn position(&self, address: u64) -> Option<u32> {
        let page = self.page(address >> PAGE_BITS)?;
        let (word, bit) = place(address);
        if !is_aligned(address) {
            return None;
        }
        page.position(word, bit)
    }

    /// The address at a position, which must exist.
    #[inline]
    pub(crate) fn address(&self, position: u32) -> u64 {
        let mut at = self.hints[(position >> HINT_BITS) as usize] as usize;
        // Pages have hundreds of addresses: this is a step or two.
        while let Some(next) = self.pages.get(at + 1)
            && next.base <= position
        {
            at += 1;
        }
        let page = &self.pages[at];
        let rank = (position - page.base) as u16;
        let word = page.ranks.partition_point(|&before| before <= rank) - 1;
        // Words without bits share the rank of the one behind them, and the
        // last of such a row is the one with bits.
        let mut bits = page.bits[word];
        for _ in page.ranks[word]..rank {
            bits &= bits - 1;
        }
        page.address((word as u32) << 6 | bits.trailing_zeros())
    }

    /// All addresses in order, before or after [`Pages::freeze`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.pages.iter().flat_map(|page| {
            page.bits.iter().enumerate().flat_map(move |(word, &bits)| {
                let mut left = bits;
                std::iter::from_fn(move || {
                    let bit = (left != 0).then(|| left.trailing_zeros())?;
                    left &= left - 1;
                    Some(page.address((word as u32) << 6 | bit))
                })
            })
        })
    }

    /// In the order of positions.
    pub(crate) fn all(&self) -> &[Page] {
        &self.pages
    }
}

/// A place in a set to which addresses are still added in order.
pub(crate) struct Walk {
    page: usize,
    word: usize,
    /// The bits of the word that are not passed.
    ahead: u64,
    position: usize,
}

impl Default for Walk {
    fn default() -> Walk {
        Walk {
            page: 0,
            word: 0,
            ahead: u64::MAX,
            position: 0,
        }
    }
}

impl Walk {
    /// Goes on to a position.
    pub(crate) fn to(&mut self, pages: &Pages, position: usize) {
        while self.position < position
            && let Some(page) = pages.pages.get(self.page)
        {
            let bits = page.bits[self.word] & self.ahead;
            let count = bits.count_ones() as usize;
            if self.position + count <= position {
                self.position += count;
                self.next_word();
            } else {
                self.next(pages);
            }
        }
    }

    /// The address at the position, which is passed.
    #[inline]
    pub(crate) fn next(&mut self, pages: &Pages) -> Option<u64> {
        let (page, word, bits) = self.peek(pages)?;
        self.pass(bits & bits.wrapping_neg());
        Some(page.address((word as u32) << 6 | bits.trailing_zeros()))
    }

    /// The word that the next address is in: its page, its place in that, and
    /// the bits that are not passed, of which there is one at least.
    #[inline]
    fn peek<'p>(&mut self, pages: &'p Pages) -> Option<(&'p Page, usize, u64)> {
        loop {
            let page = pages.pages.get(self.page)?;
            let bits = page.bits[self.word] & self.ahead;
            if bits != 0 {
                return Some((page, self.word, bits));
            }
            self.next_word();
        }
    }

    /// Passes over the first bits of the word.
    #[inline]
    fn pass(&mut self, bits: u64) {
        self.ahead &= !(u64::MAX >> bits.leading_zeros());
        self.position += bits.count_ones() as usize;
    }

    fn next_word(&mut self) {
        self.ahead = u64::MAX;
        self.word += 1;
        if self.word == WORDS {
            self.word = 0;
            self.page += 1;
        }
    }
}

fn later_first(page: &Page) -> u64 {
    let word = page.bits.iter().position(|&bits| bits != 0).unwrap_or(0);
    page.address((word as u32) << 6 | page.bits[word].trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_order_reads_back_in_parts_too() {
        let addresses = [
            0x8000, 0x8028, 0x9ff8, 0x4000, 0x7ff8, 0x10_0000, 0x10_0028, 0x10_3ff8, 0x10_4000,
        ];
        for cut in 0..=addresses.len() {
            let mut parts = [Pages::default(), Pages::default()];
            for (at, &address) in addresses.iter().enumerate() {
                assert!(parts[usize::from(at >= cut)].push(address));
            }
            let [mut pages, later] = parts;
            assert!(pages.append(&later), "cut at {cut}");
            pages.freeze();
            assert_eq!(pages.len(), addresses.len());
            assert!(pages.iter().eq(addresses));
            for (position, &address) in addresses.iter().enumerate() {
                assert_eq!(pages.address(position as u32), address);
                assert_eq!(pages.position(address), Some(position as u32));
                assert_eq!(pages.position(address ^ 0x10), None);
            }
        }
    }

    #[test]
    fn what_another_has_is_added_as_one_by_one() {
        let addresses: Vec<u64> = (0..900)
            .map(|n| 0x10_0000 + n * n % 64 * 8 + n * 512)
            .collect();
        let mut other = Pages::default();
        assert!(addresses.iter().all(|&address| other.push(address)));
        for (from, counts) in [(0, [1, 64, 835]), (13, [7, 300, 0]), (500, [400, 0, 0])] {
            let mut own = Pages::default();
            let mut walk = Walk::default();
            let mut at = from;
            for count in counts {
                walk.to(&other, at);
                assert_eq!(own.extend_same(&other, count, &mut walk), count);
                at += count;
            }
            assert!(own.iter().eq(addresses[from..at].iter().copied()));
            assert_eq!(own.len(), at - from);
            // What is not behind the last one is not added, and not passed.
            let mut again = Walk::default();
            again.to(&other, from);
            assert_eq!(own.extend_same(&other, 5, &mut again), 0);
            assert_eq!(again.next(&other), Some(addresses[from]));
        }
    }

    #[test]
    fn what_is_out_of_order_is_refused() {
        let mut pages = Pages::default();
        assert!(pages.push(0x4028) && pages.push(0x8000));
        for address in [0x8000, 0x4050, 0x4028, 0x9001] {
            assert!(!pages.push(address), "{address:#x}");
        }
        for address in [0x8000, 0x4050] {
            let mut later = Pages::default();
            assert!(later.push(address));
            assert!(!pages.append(&later), "{address:#x}");
        }
    }
}
