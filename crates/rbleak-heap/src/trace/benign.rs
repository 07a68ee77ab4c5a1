//! Growth that Ruby and well-known gems bring by themselves, and that stops.
//!
//! [`ROWS`] is the one table of it: what it is, why it stops, how it is
//! recognised, and up to where it may go on growing. A row names growth, it
//! excuses none: what goes on growing from dump to dump beyond the row's
//! [`Limit`] is a finding like any other, and the caller says what it
//! ordinarily does. Rows go by structure and by names that Ruby and gems give;
//! what an app calls its own they never match.

use super::holder::lengths_of;
use super::tracer::Tracer;
use super::{HolderName, words};
use crate::{Heap, ObjectId, ObjectType, Origin, origin};
use rustc_hash::FxHashSet;
use std::cell::OnceCell;

/// One row of the table.
pub struct Benign {
    /// For machines: `inline_caches`.
    pub id: &'static str,
    /// For people: `inline and call caches`.
    pub what: &'static str,
    /// Why it fills and stops.
    pub reason: &'static str,
    /// Whether it grows with something else, which is what to look at first.
    pub follows: bool,
    /// Up to where it may still be growing.
    pub(super) limit: Limit,
    is: fn(&Seen<'_>) -> bool,
}

/// How far growth is no finding although it goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// Not at all: only what stopped is benign.
    Stopped,
    /// Until each container has so many entries.
    Entries(u64),
    /// While all inline caches are at most so many for each piece of code.
    CachesPerCode(u64),
}

/// The table. The first row that recognises a cluster names it.
pub static ROWS: &[Benign] = &[
    Benign {
        id: "symbol_procs",
        what: "the cache of Symbol#to_proc",
        // SYM_PROC_CACHE_SIZE of proc.c, two words each.
        reason: "Ruby keeps the last 67 Procs that were made of symbols",
        follows: false,
        limit: Limit::Entries(2 * 67),
        is: is_symbol_procs,
    },
    Benign {
        id: "inline_caches",
        what: "inline and call caches",
        // Real heaps of Ruby 3.1 to 4.0 have 0.3 to 1.2 for each piece of code.
        reason: "each place in the code remembers what it called last",
        follows: true,
        limit: Limit::CachesPerCode(4),
        is: |seen| seen.share(|id| is_imemo(seen.heap(), id, CACHES)) >= MOST,
    },
    Benign {
        id: "included_modules",
        what: "modules included in classes",
        reason: "there is one record for each module and class that includes it",
        follows: false,
        limit: Limit::Stopped,
        is: |seen| {
            let heap = seen.heap();
            let record =
                |id| heap.object_type(id) == ObjectType::Iclass || is_imemo(heap, id, CACHES);
            seen.share(record) >= MOST
        },
    },
    Benign {
        id: "compiled_code",
        what: "code compiled by a JIT",
        reason: "code is compiled once it has run often enough",
        follows: false,
        limit: Limit::Stopped,
        is: |seen| seen.is_root(&["YJIT", "ZJIT"]) || seen.has_struct(&["yjit_root", "zjit_root"]),
    },
    Benign {
        id: "prepared_statements",
        what: "prepared statements",
        // StatementPool::DEFAULT_STATEMENT_LIMIT of Active Record.
        reason: "Active Record keeps statement_limit of them for each connection, 1 000 unless set",
        follows: false,
        limit: Limit::Entries(1_000),
        is: |seen| seen.passes(|class| class.ends_with("::StatementPool")),
    },
    Benign {
        id: "statement_cache",
        what: "Active Record's statement cache",
        reason: "find and find_by keep one query for each set of columns",
        follows: false,
        limit: Limit::Stopped,
        is: |seen| {
            seen.is_named(|name| name.ends_with("@find_by_statement_cache"))
                || seen.passes(|class| class == "ActiveRecord::StatementCache")
        },
    },
    Benign {
        id: "templates",
        what: "compiled templates",
        reason: "a template is compiled once; inline ones that never come again pile up",
        follows: false,
        limit: Limit::Stopped,
        is: |seen| seen.passes(is_template_cache),
    },
    Benign {
        id: "translations",
        what: "I18n's tables",
        reason: "each key is split once, each locale loaded once",
        follows: false,
        limit: Limit::Stopped,
        is: |seen| {
            seen.is_named(|name| name == "I18n::Base@@normalized_key_cache")
                || seen.passes(|class| class.starts_with("I18n::Backend::"))
        },
    },
    Benign {
        id: "loaded_files",
        what: "code that was loaded",
        reason: "a file is loaded once, when it is needed first",
        follows: false,
        limit: Limit::Stopped,
        is: is_loaded,
    },
    Benign {
        id: "symbols",
        what: "the symbol table",
        reason: "a symbol is made once for each name that is used",
        follows: true,
        limit: Limit::Stopped,
        is: is_symbols,
    },
    Benign {
        id: "code",
        what: "code that was compiled",
        reason: "methods that gems generate are compiled when they are needed first",
        follows: false,
        limit: Limit::Stopped,
        is: |seen| seen.share(|id| is_imemo(seen.heap(), id, CODE)) >= HALF,
    },
];

/// Of a cluster's objects, those by which it is told.
const MOST: f64 = 0.9;
/// The same where each brings others, such as the literals of code.
const HALF: f64 = 0.5;
const CACHES: &[&str] = &["callcache", "callinfo", "constcache"];
const CODE: &[&str] = &[
    "iseq",
    "ment",
    "cref",
    "callcache",
    "callinfo",
    "constcache",
];
/// Entries of one part of the table of symbols: `ID_ENTRY_UNIT` times
/// `ID_ENTRY_SIZE` of symbol.c.
const SYMBOL_PAGE: u64 = 512 * 2;

impl Benign {
    /// The row of a cluster: `way` leads up from an old object to the name,
    /// `ids` are the new objects below it.
    pub(super) fn of(
        tracer: &Tracer<'_>,
        known: &Known,
        name: &HolderName,
        way: &[ObjectId],
        ids: &[ObjectId],
    ) -> Option<&'static Benign> {
        let seen = Seen {
            tracer,
            known,
            name,
            way,
            ids,
        };
        ROWS.iter().find(|row| (row.is)(&seen))
    }

    /// Whether growth that goes on is still within the limit.
    pub(super) fn is_within(&self, tracer: &Tracer<'_>, known: &Known, on: &[ObjectId]) -> bool {
        match self.limit {
            Limit::Stopped => false,
            Limit::Entries(most) => {
                let containers = on.iter().filter_map(|&id| {
                    lengths_of(tracer.input.heaps, tracer.heap, id)
                        .pop()
                        .flatten()
                });
                let mut lengths = containers.peekable();
                lengths.peek().is_some() && lengths.all(|length| length <= most)
            }
            Limit::CachesPerCode(most) => {
                let (caches, code) = *known
                    .caches_and_code
                    .get_or_init(|| caches_and_code(tracer.heap));
                caches <= most * code
            }
        }
    }
}

impl std::fmt::Debug for Benign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

impl PartialEq for Benign {
    fn eq(&self, other: &Benign) -> bool {
        self.id == other.id
    }
}

/// What rows ask of the heap as a whole, found when it is asked first.
#[derive(Default)]
pub(super) struct Known {
    /// Symbols that are objects.
    symbols: OnceCell<u64>,
    files: OnceCell<Vec<FxHashSet<String>>>,
    caches_and_code: OnceCell<(u64, u64)>,
}

struct Seen<'a> {
    tracer: &'a Tracer<'a>,
    known: &'a Known,
    name: &'a HolderName,
    way: &'a [ObjectId],
    ids: &'a [ObjectId],
}

impl<'a> Seen<'a> {
    fn heap(&self) -> &'a Heap {
        self.tracer.heap
    }

    /// Which part of the new objects are such.
    fn share(&self, is: impl Fn(ObjectId) -> bool) -> f64 {
        let such = self.ids.iter().filter(|&&id| is(id)).count();
        such as f64 / self.ids.len().max(1) as f64
    }

    /// Whether an object of such a class is on the way to the name.
    fn passes(&self, is: impl Fn(&str) -> bool) -> bool {
        self.way.iter().any(|&id| is(self.heap().class_name(id)))
    }

    fn has_struct(&self, names: &[&str]) -> bool {
        let name = |id: &ObjectId| self.heap().struct_name(*id);
        self.way.iter().filter_map(name).any(|s| names.contains(&s))
    }

    fn is_named(&self, is: impl Fn(&str) -> bool) -> bool {
        matches!(self.name, HolderName::Named(name) if is(name))
    }

    /// Whether nothing but one of these roots is known to hold it.
    fn is_root(&self, names: &[&str]) -> bool {
        let is = |name: &&str| *self.name == HolderName::Root(super::root_in_words(name).into());
        names.iter().any(is)
    }
}

fn is_imemo(heap: &Heap, id: ObjectId, kinds: &[&str]) -> bool {
    heap.imemo_type(id)
        .is_some_and(|kind| kinds.contains(&kind))
}

/// An Array or Hash of Ruby itself: it has no class.
fn is_internal(heap: &Heap, id: ObjectId, object_type: ObjectType) -> bool {
    heap.object_type(id) == object_type && heap.class(id).is_none()
}

fn is_symbol_procs(seen: &Seen<'_>) -> bool {
    let heap = seen.heap();
    let [cache] = seen.way else { return false };
    seen.is_root(&["vm", "global_list"])
        && is_internal(heap, *cache, ObjectType::Array)
        && heap.length(*cache) == Some(2 * 67)
        && heap
            .references(*cache)
            .iter()
            .any(|&id| words::is_proc(heap, id))
}

fn is_symbols(seen: &Seen<'_>) -> bool {
    if seen.is_root(&["global_symbols", "symbols"]) {
        return true;
    }
    let (heap, tracer) = (seen.heap(), seen.tracer);
    let Some(&top) = seen.way.last() else {
        return false;
    };
    if !seen.is_root(&["vm", "global_list"]) {
        return false;
    }
    // Names and symbols by number: an Array of Arrays.
    let is_page = |&id: &ObjectId| {
        is_internal(heap, id, ObjectType::Array)
            && heap.length(id).is_some_and(|length| length <= SYMBOL_PAGE)
    };
    if is_internal(heap, top, ObjectType::Array) && !heap.references(top).is_empty() {
        let pages = heap.references(top);
        let has_full = pages.iter().any(|&id| heap.length(id) == Some(SYMBOL_PAGE));
        return has_full && pages.iter().all(is_page);
    }
    // The names of those that may be collected: a Hash with one String for
    // each symbol that lies in the heap.
    let symbols = *seen.known.symbols.get_or_init(|| {
        let is_symbol = |id: &ObjectId| heap.object_type(*id) == ObjectType::Symbol;
        tracer.heap.ids().filter(is_symbol).count() as u64
    });
    // Those that code has come to know by number have left it.
    let about = |count: u64| count <= symbols && count * 2 >= symbols;
    is_internal(heap, top, ObjectType::Hash)
        && heap.length(top).is_some_and(about)
        && heap
            .references(top)
            .iter()
            .all(|&id| heap.object_type(id) == ObjectType::String)
}

fn is_template_cache(class: &str) -> bool {
    matches!(
        class,
        "Tilt::Cache" | "Sinatra::TemplateCache" | "ActionView::UnboundTemplate"
    ) || ["ActionView::Template", "ActionView::Resolver"]
        .iter()
        .any(|prefix| {
            let rest = class.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
        || (class.starts_with("ActionView::") && class.ends_with("Resolver"))
}

/// Whether what is new was made by loading files: in one that was loaded then,
/// or where files are required.
fn is_loaded(seen: &Seen<'_>) -> bool {
    let (heap, input) = (seen.heap(), seen.tracer.input);
    let files = seen.known.files.get_or_init(|| loaded_files(seen.tracer));
    let mut traced = 0_u64;
    let mut loaded = 0_u64;
    for &id in seen.ids {
        let Some(site) = heap.site(id) else { continue };
        let site = heap.site_info(site);
        // An app may have a method `load` of its own.
        let is_required = origin(site.file) != Origin::App
            && matches!(site.method, Some("require" | "require_relative" | "load"));
        let in_file = || files[usize::from(input.first_seen[id.index()])].contains(site.file);
        traced += 1;
        loaded += u64::from(is_required || in_file());
    }
    traced > 0 && loaded as f64 >= MOST * traced as f64
}

/// For each dump the files that were loaded since the one before: no object
/// known then was made there, and now there is a definition.
fn loaded_files(tracer: &Tracer<'_>) -> Vec<FxHashSet<String>> {
    let (heap, input) = (tracer.heap, tracer.input);
    let before: Vec<FxHashSet<&str>> = input
        .heaps
        .iter()
        .map(|heap| heap.sites().map(|site| heap.site_info(site).file).collect())
        .collect();
    let mut loaded = vec![FxHashSet::default(); input.heaps.len()];
    for id in heap.ids() {
        let first_seen = usize::from(input.first_seen[id.index()]);
        let is_definition = words::is_module(heap, id) || is_imemo(heap, id, &["ment", "cref"]);
        if first_seen == 0 || !is_definition {
            continue;
        }
        let Some(site) = heap.site(id) else { continue };
        let file = heap.site_info(site).file;
        if file.starts_with('/') && !before[first_seen - 1].contains(file) {
            loaded[first_seen].insert(file.to_owned());
        }
    }
    loaded
}

fn caches_and_code(heap: &Heap) -> (u64, u64) {
    let count = |kinds: &[&str]| {
        let such = heap.ids().filter(|&id| is_imemo(heap, id, kinds));
        such.count() as u64
    };
    (count(CACHES), count(&["iseq"]))
}
