//! Reads words and bytes from a process's memory. Small reads come from pages
//! that were read before; nothing is believed of any address.

use rbleak_process::memory::Memory;
use std::cell::{Cell, RefCell};

/// The smallest page that a kernel maps.
const PAGE: usize = 4096;
/// 16 MiB of pages are kept.
const KEPT: usize = 4096;
/// Each list is an object's own, and all of them together are less than what is
/// mapped; but some are read more than once, for names.
const TIMES: u64 = 4;
/// Words that are read at once.
pub(crate) const CHUNK: usize = 4096;

struct Page {
    /// Of the page in `bytes`; no page has this number at first.
    number: u64,
    bytes: Box<[u8; PAGE]>,
    is_there: bool,
}

/// A process's memory.
pub(crate) struct View<'m> {
    memory: &'m dyn Memory,
    pages: RefCell<Vec<Option<Page>>>,
    /// Words that long lists may still have, all together: memory that is torn
    /// may say that one list after another is as long as all of it.
    budget: Cell<u64>,
    /// What it was at first.
    whole: u64,
}

impl<'m> View<'m> {
    pub(crate) fn new(memory: &'m dyn Memory) -> View<'m> {
        let sizes = memory.mappings().iter().map(|it| it.size().0);
        let mapped = sizes.fold(0, u64::saturating_add);
        View {
            memory,
            pages: RefCell::new((0..KEPT).map(|_| None).collect()),
            budget: Cell::new(mapped / 8 * TIMES),
            whole: mapped / 8 * TIMES,
        }
    }

    /// Lets lists have as many words as at first.
    pub(crate) fn refill(&self) {
        self.budget.set(self.whole);
    }

    pub(crate) fn memory(&self) -> &'m dyn Memory {
        self.memory
    }

    /// Whether lists were cut because all of them together cannot be so long.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.budget.get() == 0
    }

    /// Takes words from what may be read of long lists; `false`: nothing is left.
    pub(crate) fn spend(&self, words: u64) -> bool {
        let left = self.budget.get().checked_sub(words);
        self.budget.set(left.unwrap_or_default());
        left.is_some()
    }

    pub(crate) fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        let Some(end) = address.checked_add(bytes.len() as u64) else {
            return false;
        };
        if bytes.len() > PAGE {
            return self.memory.read(address, bytes);
        }
        let (mut at, mut done) = (address, 0);
        while at < end {
            let number = at / PAGE as u64;
            let within = (at % PAGE as u64) as usize;
            let here = (PAGE - within).min(bytes.len() - done);
            if !self.copy_from_page(number, within, &mut bytes[done..done + here]) {
                return false;
            }
            done += here;
            at += here as u64;
        }
        true
    }

    fn copy_from_page(&self, number: u64, within: usize, bytes: &mut [u8]) -> bool {
        let mut pages = self.pages.borrow_mut();
        let place = &mut pages[(number % KEPT as u64) as usize];
        let page = place.get_or_insert_with(|| Page {
            number: u64::MAX,
            bytes: Box::new([0; PAGE]),
            is_there: false,
        });
        if page.number != number {
            page.number = number;
            page.is_there = self.memory.read(number * PAGE as u64, &mut page.bytes[..]);
        }
        if page.is_there {
            bytes.copy_from_slice(&page.bytes[within..within + bytes.len()]);
        }
        page.is_there
    }

    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)
            .then(|| u64::from_le_bytes(bytes))
    }

    pub(crate) fn half(&self, address: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)
            .then(|| u32::from_le_bytes(bytes))
    }

    /// Passes on `count` words, as many as are there, from `address` on.
    pub(crate) fn words(&self, address: u64, count: u64, mut each: impl FnMut(u64)) {
        self.groups(address, count, 1, |group| each(group[0]));
    }

    /// The same in groups of `width` words.
    pub(crate) fn groups(
        &self,
        address: u64,
        count: u64,
        width: usize,
        mut each: impl FnMut(&[u64]),
    ) {
        let most = (CHUNK / width) as u64;
        let (mut at, mut left) = (address, count);
        let mut bytes = Vec::new();
        let mut words = Vec::new();
        while left > 0 {
            let budget = self.budget.get() / width as u64;
            let now = left.min(most).min(budget);
            if now == 0 {
                self.budget.set(0);
                return;
            }
            let length = now * width as u64;
            self.budget.set(self.budget.get() - length);
            bytes.resize(length as usize * 8, 0);
            if !self.read(at, &mut bytes) {
                return;
            }
            words.clear();
            words.extend(bytes.chunks_exact(8).map(le));
            words.chunks_exact(width).for_each(&mut each);
            left -= now;
            let Some(next) = at.checked_add(length * 8) else {
                return;
            };
            at = next;
        }
    }

    /// A text that ends with a NUL, of at most `most` bytes.
    pub(crate) fn text(&self, address: u64, most: usize) -> Option<String> {
        let mut found = Vec::new();
        for at in 0..most as u64 {
            let mut byte = [0];
            if !self.read(address.checked_add(at)?, &mut byte) {
                return None;
            }
            if byte[0] == 0 {
                return String::from_utf8(found).ok();
            }
            found.push(byte[0]);
        }
        None
    }
}

/// A word of eight bytes.
pub(crate) fn le(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    let length = bytes.len().min(8);
    word[..length].copy_from_slice(&bytes[..length]);
    u64::from_le_bytes(word)
}
