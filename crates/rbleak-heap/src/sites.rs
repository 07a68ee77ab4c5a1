//! Allocation sites stored once.
//!
//! A line is looked up by the bytes of its file and method as they stand in
//! the dump: one look-up for three fields. Knows no rows.

use crate::columns::{ABSENT, Site};
use crate::interner::{Interner, StringId};
use crate::issues::Reason;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;

/// From what a line says to the number of its site.
#[derive(Default)]
pub(crate) struct SiteNumbers {
    /// Rows of `spellings`.
    table: HashTable<u32>,
    spellings: Vec<Spelling>,
    /// Different raw strings may stand for the same site.
    by_strings: FxHashMap<(StringId, u64, u32), u32>,
}

/// File, line and method as they stand in the dump.
pub(crate) type Said<'a> = (&'a [u8], Option<u64>, Option<&'a [u8]>);

/// A site as some line spells it.
struct Spelling {
    hash: u64,
    file: u32,
    line: Option<u64>,
    method: Option<u32>,
    site: u32,
    reason: Option<Reason>,
}

#[inline]
fn hash(file: &[u8], line: Option<u64>, method: Option<&[u8]>) -> u64 {
    FxBuildHasher.hash_one((file, line.unwrap_or(u64::MAX), method.unwrap_or_default()))
}

impl SiteNumbers {
    /// The number of a line's site, which is added to `sites` if it is new, with
    /// the reason if a string of it is no valid JSON.
    pub(crate) fn number(
        &mut self,
        said: Said<'_>,
        strings: &mut Interner,
        sites: &mut Vec<Site>,
    ) -> (u32, Option<Reason>) {
        let spelling = self.spelling(said, strings, sites);
        let spelling = &self.spellings[spelling as usize];
        (spelling.site, spelling.reason)
    }

    /// The number of how a line spells its site.
    fn spelling(&mut self, said: Said<'_>, strings: &mut Interner, sites: &mut Vec<Site>) -> u32 {
        let (file, line, method) = said;
        let hash = hash(file, line, method);
        let is_it = |&row: &u32| {
            self.spellings[row as usize].hash == hash && self.is_spelt(row, said, strings)
        };
        if let Some(&row) = self.table.find(hash, is_it) {
            return row;
        }
        let file = strings.intern_raw(file);
        let method = method.map(|method| strings.intern_raw(method));
        let raw_file = strings.raw(file);
        let raw_method = method.map(|method| strings.raw(method));
        let reason = raw_file
            .reason
            .or_else(|| raw_method.and_then(|raw| raw.reason));
        let site = Site {
            file: raw_file.string,
            line,
            method: raw_method.map(|raw| raw.string),
            // Ruby to 2.7 writes this for code in C that has no file.
            is_known: strings.get(raw_file.string) != "(null)",
        };
        let site = self.number_of(site, sites);
        let row = self.spellings.len() as u32;
        self.spellings.push(Spelling {
            hash,
            file,
            line,
            method,
            site,
            reason,
        });
        let spellings = &self.spellings;
        self.table
            .insert_unique(hash, row, |&row| spellings[row as usize].hash);
        row
    }

    /// Whether a line says what `spelling` says.
    #[inline]
    fn is_spelt(&self, spelling: u32, (file, line, method): Said<'_>, strings: &Interner) -> bool {
        let spelling = &self.spellings[spelling as usize];
        spelling.line == line
            && strings.is_raw(spelling.file, file)
            && match (spelling.method, method) {
                (Some(number), Some(method)) => strings.is_raw(number, method),
                (None, None) => true,
                _ => false,
            }
    }

    /// The number of `site` in `sites`, where it is added if it is new.
    pub(crate) fn number_of(&mut self, site: Site, sites: &mut Vec<Site>) -> u32 {
        let next = sites.len() as u32;
        // Absent lines differ from line 0 in what heapy prints only.
        let key = (
            site.file,
            site.line.unwrap_or(u64::MAX),
            site.method.map_or(ABSENT, |method| method.0),
        );
        let number = *self.by_strings.entry(key).or_insert(next);
        if number == next {
            sites.push(site);
        }
        number
    }
}
