//! The pages of Ruby's heap in a process's memory, and what type the object in
//! each slot is: the one question that everything else asks of an address.

use crate::view::{View, le};
use rbleak_process::ruby_pages;
use rustc_hash::FxHashMap;

/// Of a slot in versions that have but one size.
const SLOT: u64 = 40;
/// What a page may have before its first slot.
const LONGEST_HEAD: u64 = 2048;
const LARGEST_SLOT: u64 = 2048;

/// `ruby_value_type` of value_type.h; the five lowest bits of flags.
pub(crate) mod kind {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const OBJECT: u8 = 1;
    pub(crate) const CLASS: u8 = 2;
    pub(crate) const MODULE: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const STRING: u8 = 5;
    pub(crate) const REGEXP: u8 = 6;
    pub(crate) const ARRAY: u8 = 7;
    pub(crate) const HASH: u8 = 8;
    pub(crate) const STRUCT: u8 = 9;
    pub(crate) const BIGNUM: u8 = 10;
    pub(crate) const FILE: u8 = 11;
    pub(crate) const DATA: u8 = 12;
    pub(crate) const MATCH: u8 = 13;
    pub(crate) const COMPLEX: u8 = 14;
    pub(crate) const RATIONAL: u8 = 15;
    pub(crate) const SYMBOL: u8 = 20;
    pub(crate) const IMEMO: u8 = 26;
    pub(crate) const ICLASS: u8 = 28;
    pub(crate) const ZOMBIE: u8 = 29;
    pub(crate) const MOVED: u8 = 30;

    /// As dumps call it.
    pub(crate) fn name(kind: u8) -> &'static str {
        match kind {
            NONE => "NONE",
            OBJECT => "OBJECT",
            CLASS => "CLASS",
            MODULE => "MODULE",
            FLOAT => "FLOAT",
            STRING => "STRING",
            REGEXP => "REGEXP",
            ARRAY => "ARRAY",
            HASH => "HASH",
            STRUCT => "STRUCT",
            BIGNUM => "BIGNUM",
            FILE => "FILE",
            DATA => "DATA",
            MATCH => "MATCH",
            COMPLEX => "COMPLEX",
            RATIONAL => "RATIONAL",
            SYMBOL => "SYMBOL",
            IMEMO => "IMEMO",
            ICLASS => "ICLASS",
            ZOMBIE => "ZOMBIE",
            _ => "UNKNOWN",
        }
    }
}

/// One page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// Of its first slot.
    pub(crate) start: u64,
    pub(crate) slot: u64,
    pub(crate) slots: u64,
    /// Where its slots are among all of them.
    first: usize,
}

/// All pages.
pub(crate) struct Heap {
    /// By ascending address.
    pub(crate) pages: Vec<Page>,
    /// By the address of a page over its size.
    numbers: FxHashMap<u64, u32>,
    page_size: u64,
    /// Of each slot.
    kinds: Vec<u8>,
}

impl Heap {
    /// Finds the pages: each is aligned, begins with a pointer to its
    /// description, and is described as lying where it lies.
    pub(crate) fn find(view: &View<'_>, layout: ruby_pages::Layout) -> Heap {
        let mut heap = Heap {
            pages: Vec::new(),
            numbers: FxHashMap::default(),
            page_size: layout.page,
            kinds: Vec::new(),
        };
        let mut slots = Vec::new();
        // Neighbours are one range: a page may lie across two of them.
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for mapping in view.memory().mappings() {
            if !mapping.access.write || mapping.access.shared || mapping.inode != 0 {
                continue;
            }
            match ranges.last_mut() {
                Some((_, end)) if *end == mapping.start.0 => *end = mapping.end.0,
                _ => ranges.push((mapping.start.0, mapping.end.0)),
            }
        }
        for (start, end) in ranges {
            let Some(mut at) = start.checked_next_multiple_of(layout.page) else {
                continue;
            };
            while at.checked_add(layout.page).is_some_and(|next| next <= end) {
                if let Some(page) = described(view, layout, at) {
                    heap.add(view, page, &mut slots);
                }
                at += layout.page;
            }
        }
        heap
    }

    fn add(&mut self, view: &View<'_>, mut page: Page, slots: &mut Vec<u8>) {
        slots.resize((page.slot * page.slots) as usize, 0);
        if !view.read(page.start, slots) {
            return;
        }
        page.first = self.kinds.len();
        let kinds = slots.chunks_exact(page.slot as usize).map(|slot| {
            let flags = le(&slot[..8]);
            (flags & 0x1f) as u8
        });
        self.kinds.extend(kinds);
        let number = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        self.numbers.insert(page.start / self.page_size, number);
        self.pages.push(page);
    }

    /// The type of the object whose slot begins at exactly this address; `None`:
    /// no slot does.
    pub(crate) fn kind(&self, address: u64) -> Option<u8> {
        let number = self.numbers.get(&(address / self.page_size))?;
        let page = self.pages.get(*number as usize)?;
        let within = address.checked_sub(page.start)?;
        let index = within / page.slot;
        (within % page.slot == 0 && index < page.slots)
            .then(|| self.kinds[page.first + index as usize])
    }

    /// Whether an object lives at this address.
    pub(crate) fn is_object(&self, address: u64) -> bool {
        let kind = self.kind(address);
        kind.is_some_and(|it| !matches!(it, kind::NONE | kind::ZOMBIE | kind::MOVED))
    }

    /// How many slots hold what, by type.
    pub(crate) fn counts(&self) -> [u64; 32] {
        let mut counts = [0; 32];
        for kind in &self.kinds {
            counts[usize::from(*kind)] += 1;
        }
        counts
    }

    /// The addresses of all objects of a type.
    pub(crate) fn of_kind(&self, wanted: u8) -> impl Iterator<Item = u64> + '_ {
        self.pages.iter().flat_map(move |page| {
            let kinds = &self.kinds[page.first..page.first + page.slots as usize];
            let found = kinds
                .iter()
                .enumerate()
                .filter(move |(_, it)| **it == wanted);
            found.map(|(index, _)| page.start + index as u64 * page.slot)
        })
    }
}

/// The page at an address, if there is one.
fn described(view: &View<'_>, layout: ruby_pages::Layout, at: u64) -> Option<Page> {
    let description = view.word(at)?;
    if description % 8 != 0 || description < 4096 {
        return None;
    }
    let short = |offset: u64| {
        let mut bytes = [0; 2];
        view.read(description.checked_add(offset)?, &mut bytes)
            .then(|| u64::from(u16::from_le_bytes(bytes)))
    };
    let start = view.word(description.checked_add(layout.start)?)?;
    let slots = short(layout.total)?;
    let slot = match layout.slot_size {
        None => SLOT,
        Some(offset) => short(offset)?,
    };
    let is_within = start >= at + 8 && start < at + LONGEST_HEAD;
    let is_size = (16..=LARGEST_SLOT).contains(&slot) && slot.is_multiple_of(8);
    if !is_within || !is_size || slots == 0 {
        return None;
    }
    let end = start + slot * slots;
    let page_end = at + layout.page;
    // As many slots as there is room for.
    (end <= page_end && end + slot * 2 + 64 > page_end).then_some(Page {
        start,
        slot,
        slots,
        first: 0,
    })
}
