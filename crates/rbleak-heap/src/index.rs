//! From an address to its row and back.
//!
//! A dump lists the objects of a page together and in order, so that a row
//! is a position among the [`Pages`]; where that does not hold (dumps that
//! were sorted, edited or damaged) addresses are listed, with a permutation.

use crate::pages::{Pages, Walk, is_aligned};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// The addresses of rows 0, 1, … while rows come in.
pub(crate) enum Addresses {
    InOrder(Pages),
    Listed(Vec<u64>),
}

impl Default for Addresses {
    fn default() -> Addresses {
        Addresses::InOrder(Pages::default())
    }
}

impl Addresses {
    #[inline]
    pub(crate) fn push(&mut self, address: u64) {
        if let Addresses::InOrder(pages) = self
            && pages.push(address)
        {
            return;
        }
        self.list().push(address);
    }

    /// How many pages came before this one, if it came in order.
    #[inline]
    pub(crate) fn page(&self, number: u64) -> Option<u32> {
        match self {
            Addresses::InOrder(pages) => pages.order(number),
            Addresses::Listed(_) => None,
        }
    }

    /// Adds the addresses of these rows of another dump; `walk` is where it was
    /// left there.
    pub(crate) fn extend_same(&mut self, other: &Addresses, rows: Range<usize>, walk: &mut Walk) {
        match other {
            Addresses::InOrder(pages) => {
                walk.to(pages, rows.start);
                let together = match self {
                    Addresses::InOrder(own) => own.extend_same(pages, rows.len(), walk),
                    Addresses::Listed(_) => 0,
                };
                for _ in together..rows.len() {
                    if let Some(address) = walk.next(pages) {
                        self.push(address);
                    }
                }
            }
            Addresses::Listed(list) => {
                for &address in &list[rows] {
                    self.push(address);
                }
            }
        }
    }

    /// Adds the addresses of the next part of a dump.
    pub(crate) fn append(&mut self, later: Addresses) {
        if let (Addresses::InOrder(pages), Addresses::InOrder(later)) = (&mut *self, &later) {
            let mut both = std::mem::take(pages);
            let rows = both.len();
            if both.append(later) {
                *self = Addresses::InOrder(both);
                return;
            }
            // What went in before the order broke goes out again. A page that
            // lies across the border is no break, so that the first `rows`
            // are still what they were.
            *self = Addresses::Listed(both.iter().take(rows).collect());
        }
        let list = self.list();
        match later {
            Addresses::InOrder(pages) => list.extend(pages.iter()),
            Addresses::Listed(later) => list.extend_from_slice(&later),
        }
    }

    /// Out of order: from now on as a list.
    fn list(&mut self) -> &mut Vec<u64> {
        if let Addresses::InOrder(pages) = self {
            *self = Addresses::Listed(pages.iter().collect());
        }
        match self {
            Addresses::Listed(list) => list,
            Addresses::InOrder(_) => unreachable!("it was listed above"),
        }
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct AddressIndex {
    pages: Pages,
    listed: Option<Listed>,
}

/// What it takes if rows are no positions.
struct Listed {
    /// By row.
    addresses: Vec<u64>,
    /// From position to row.
    rows: Vec<u32>,
    /// Addresses not aligned to 8 bytes.
    unaligned: FxHashMap<u64, u32>,
    duplicates: usize,
}

impl AddressIndex {
    /// Of several rows with the same address the first is found.
    pub(crate) fn new(addresses: Addresses) -> AddressIndex {
        match addresses {
            Addresses::InOrder(mut pages) => {
                pages.freeze();
                AddressIndex {
                    pages,
                    listed: None,
                }
            }
            Addresses::Listed(addresses) => AddressIndex::listed(addresses),
        }
    }

    fn listed(addresses: Vec<u64>) -> AddressIndex {
        let mut pages = Pages::default();
        let mut unaligned = FxHashMap::default();
        let mut duplicates = 0;
        for (row, &address) in addresses.iter().enumerate() {
            let is_new = if is_aligned(address) {
                pages.insert(address)
            } else {
                *unaligned.entry(address).or_insert(row as u32) == row as u32
            };
            duplicates += usize::from(!is_new);
        }
        pages.freeze();
        let mut rows = vec![u32::MAX; pages.len()];
        for (row, &address) in addresses.iter().enumerate() {
            if let Some(position) = pages.position(address) {
                let slot = &mut rows[position as usize];
                *slot = (*slot).min(row as u32);
            }
        }
        AddressIndex {
            pages,
            listed: Some(Listed {
                addresses,
                rows,
                unaligned,
                duplicates,
            }),
        }
    }

    /// The row with `address`.
    #[inline]
    pub(crate) fn find(&self, address: u64) -> Option<u32> {
        let position = self.pages.position(address);
        match &self.listed {
            None => position,
            Some(listed) => match position {
                Some(position) => Some(listed.rows[position as usize]),
                None => listed.unaligned.get(&address).copied(),
            },
        }
    }

    /// The address of a row, which must exist.
    #[inline]
    pub(crate) fn address(&self, row: u32) -> u64 {
        match &self.listed {
            None => self.pages.address(row),
            Some(listed) => listed.addresses[row as usize],
        }
    }

    /// The pages, if rows are positions among them.
    pub(crate) fn pages(&self) -> Option<&Pages> {
        match self.listed {
            None => Some(&self.pages),
            Some(_) => None,
        }
    }

    /// How many rows have the address of an earlier one.
    pub(crate) fn duplicates(&self) -> usize {
        self.listed.as_ref().map_or(0, |listed| listed.duplicates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(addresses: &[u64], cut: usize) -> AddressIndex {
        let mut parts = [Addresses::default(), Addresses::default()];
        for (at, &address) in addresses.iter().enumerate() {
            parts[usize::from(at >= cut)].push(address);
        }
        let [mut whole, later] = parts;
        whole.append(later);
        AddressIndex::new(whole)
    }

    #[test]
    fn finds_the_first_row_of_every_address_in_any_order() {
        let cases: &[&[u64]] = &[
            &[],
            &[0x4000, 0x4028, 0x4050, 0x8000],
            &[0x8000, 0x4028, 0x8028, 0x4000, 0x4028],
            &[0x4000, 0x8000, 0xc000, 0x8000, 0x4028],
            &[0x4004, 0x4018, 0x402c, 0x4004],
            &[u64::MAX, 0, 8, u64::MAX - 7],
        ];
        for addresses in cases {
            for cut in 0..=addresses.len() {
                let index = index(addresses, cut);
                for (row, &address) in addresses.iter().enumerate() {
                    assert_eq!(index.address(row as u32), address);
                }
                for address in addresses.iter().flat_map(|&a| [a, a ^ 8, a ^ 0x10_0000]) {
                    let row = addresses.iter().position(|&a| a == address);
                    assert_eq!(index.find(address), row.map(|r| r as u32), "{address:#x}");
                }
            }
        }
        assert_eq!(index(&[8, 8, 9, 9], 0).duplicates(), 2);
    }
}
