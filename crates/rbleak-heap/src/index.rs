//! From an address to its row.
//!
//! A bitmap per page of 16 kB with ranks: a few bytes an object where a hash
//! map takes forty, and an order of magnitude faster to build. A dump lists
//! the objects of a page together and in order, so the rank is the row; where
//! that does not hold a permutation is kept.

use rustc_hash::FxHashMap;

/// Ruby's pages are 16 kB (to 3.0) or 64 kB; the smaller divides the larger.
const PAGE_BITS: u32 = 14;
/// Slots are aligned to 8 bytes, except on 32-bit WebAssembly (4).
const SLOT_BITS: u32 = 3;
const WORDS: usize = 1 << (PAGE_BITS - SLOT_BITS - 6);

struct Page {
    bits: [u64; WORDS],
    /// Set bits in the words before.
    ranks: [u16; WORDS],
    /// The position of the page's first object.
    base: u32,
}

/// See the module.
#[derive(Default)]
pub(crate) struct AddressIndex {
    pages: Vec<Page>,
    by_number: FxHashMap<u64, u32>,
    /// From position to row, where they differ.
    rows: Option<Vec<u32>>,
    /// Addresses not aligned to 8 bytes.
    unaligned: FxHashMap<u64, u32>,
    duplicates: usize,
}

fn place(address: u64) -> (usize, u64) {
    let slot = (address >> SLOT_BITS) & ((1 << (PAGE_BITS - SLOT_BITS)) - 1);
    ((slot >> 6) as usize, 1 << (slot & 63))
}

impl AddressIndex {
    /// Indexes the addresses of rows 0, 1, …; of several rows with the same
    /// address the first is found.
    pub(crate) fn new(addresses: &[u64]) -> AddressIndex {
        let mut index = AddressIndex::default();
        let mut last = (u64::MAX, 0_usize);
        for (row, &address) in addresses.iter().enumerate() {
            if address & ((1 << SLOT_BITS) - 1) != 0 {
                let first = *index.unaligned.entry(address).or_insert(row as u32);
                index.duplicates += usize::from(first != row as u32);
                continue;
            }
            let number = address >> PAGE_BITS;
            if number != last.0 {
                let next = index.pages.len() as u32;
                let page = *index.by_number.entry(number).or_insert(next);
                if page == next {
                    index.pages.push(Page {
                        bits: [0; WORDS],
                        ranks: [0; WORDS],
                        base: 0,
                    });
                }
                last = (number, page as usize);
            }
            let (word, bit) = place(address);
            let bits = &mut index.pages[last.1].bits[word];
            if *bits & bit != 0 {
                index.duplicates += 1;
            }
            *bits |= bit;
        }
        index.rank();
        index.permute(addresses);
        index
    }

    fn rank(&mut self) {
        let mut base = 0;
        for page in &mut self.pages {
            page.base = base;
            let mut rank = 0;
            for (bits, slot) in page.bits.iter().zip(&mut page.ranks) {
                *slot = rank;
                // At most 2,048 in a page.
                rank += bits.count_ones() as u16;
            }
            base += u32::from(rank);
        }
    }

    fn permute(&mut self, addresses: &[u64]) {
        let in_order = self.unaligned.is_empty()
            && self.duplicates == 0
            && addresses
                .iter()
                .enumerate()
                .all(|(row, &address)| self.position(address) == Some(row));
        if in_order {
            return;
        }
        let mut rows = vec![u32::MAX; addresses.len()];
        for (row, &address) in addresses.iter().enumerate() {
            if let Some(position) = self.position(address) {
                let slot = &mut rows[position];
                *slot = (*slot).min(row as u32);
            }
        }
        self.rows = Some(rows);
    }

    #[inline]
    fn position(&self, address: u64) -> Option<usize> {
        let page = &self.pages[*self.by_number.get(&(address >> PAGE_BITS))? as usize];
        let (word, bit) = place(address);
        if address & ((1 << SLOT_BITS) - 1) != 0 || page.bits[word] & bit == 0 {
            return None;
        }
        let before = (page.bits[word] & (bit - 1)).count_ones();
        Some((page.base + u32::from(page.ranks[word]) + before) as usize)
    }

    /// The row with `address`.
    #[inline]
    pub(crate) fn find(&self, address: u64) -> Option<u32> {
        match self.position(address) {
            Some(position) => match &self.rows {
                None => Some(position as u32),
                Some(rows) => Some(rows[position]),
            },
            None if self.unaligned.is_empty() => None,
            None => self.unaligned.get(&address).copied(),
        }
    }

    /// How many rows have the address of an earlier one.
    pub(crate) fn duplicates(&self) -> usize {
        self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_row_of_every_address_in_any_order() {
        let cases: &[&[u64]] = &[
            &[],
            &[0x4000, 0x4028, 0x4050, 0x8000],
            &[0x8000, 0x4028, 0x8028, 0x4000, 0x4028],
            &[0x4004, 0x4018, 0x402c, 0x4004],
            &[u64::MAX, 0, 8, u64::MAX - 7],
        ];
        for addresses in cases {
            let index = AddressIndex::new(addresses);
            for address in addresses.iter().flat_map(|&a| [a, a ^ 8, a ^ 0x10_0000]) {
                let row = addresses.iter().position(|&a| a == address);
                assert_eq!(index.find(address), row.map(|r| r as u32), "{address:#x}");
            }
        }
        assert_eq!(AddressIndex::new(&[8, 8, 9, 9]).duplicates(), 2);
    }
}
