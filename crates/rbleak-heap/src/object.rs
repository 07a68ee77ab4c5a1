//! One object of a heap: what the dump says about a row.

use crate::columns::ABSENT;
use crate::heap::Heap;
use crate::ids::{AllocationSite, Generation, ObjectId, SiteId};
use crate::interner::StringId;
use crate::kinds::Kind;
use crate::object_type::ObjectType;
use rbleak_units::{Address, Bytes};

/// What an object's slot takes on a 64-bit machine where the dump does not
/// say (`RVALUE` before 3.2).
const SLOT: u64 = 40;

/// One object. Every method panics on a row that the heap does not have.
impl Heap {
    /// Where it lies.
    #[inline]
    pub fn address(&self, id: ObjectId) -> Address {
        Address(self.index.address(id.0))
    }

    #[inline]
    fn kind(&self, id: ObjectId) -> &Kind {
        self.columns.kind(id.index())
    }

    /// Its internal type.
    #[inline]
    pub fn object_type(&self, id: ObjectId) -> ObjectType {
        self.kind(id).object_type
    }

    /// Whether it is an object at all: not a free, moved or dead slot.
    #[inline]
    pub fn is_live(&self, id: ObjectId) -> bool {
        self.object_type(id).is_live()
    }

    /// The address of its class, which may be a singleton class. `None` for
    /// types where the dump's `class` is none: on IMEMO up to 3.1 a raw word,
    /// on its `fields` from 4.0 the owner.
    #[inline]
    pub fn class(&self, id: ObjectId) -> Option<Address> {
        if self.object_type(id) == ObjectType::Imemo {
            return None;
        }
        self.class_word(id)
    }

    /// The object that its `class` points to, as an edge of the graph: unlike
    /// [`Heap::class`] it includes what IMEMO writes there, if that resolves.
    /// `references` omits this edge.
    #[inline]
    pub fn class_id(&self, id: ObjectId) -> Option<ObjectId> {
        match self.kind(id).class {
            ABSENT => None,
            class => match self.columns.classes_resolved[class as usize] {
                ABSENT => None,
                row => Some(ObjectId(row)),
            },
        }
    }

    #[inline]
    pub(crate) fn class_word(&self, id: ObjectId) -> Option<Address> {
        match self.kind(id).class {
            ABSENT => None,
            class => Some(Address(self.columns.class_words[class as usize])),
        }
    }

    /// The superclass of a CLASS (or MODULE, ICLASS). Dumps say it from 3.1
    /// on; in 3.0 only classes without a name do.
    pub fn superclass(&self, id: ObjectId) -> Option<ObjectId> {
        self.names.superclasses.get(id.0).copied()
    }

    /// What a Rubyist calls its class: `String`, `Leaky::Session`. A
    /// singleton class counts as the real one; a class without a name is
    /// `(anonymous subclass of Foo)` or `#<Class:0x…>`; internal objects are
    /// `env (internal)` and the like.
    pub fn class_name(&self, id: ObjectId) -> &str {
        self.class_name_of(self.kind(id))
    }

    /// The same of all objects of a kind.
    pub(crate) fn class_name_of(&self, kind: &Kind) -> &str {
        let object_type = kind.object_type;
        if object_type == ObjectType::Imemo {
            if let Some(name) = self.names.imemo.get(&kind.detail) {
                return name;
            }
        } else if !object_type.is_internal()
            && let Some(name) = self.names.of_class_word.get(kind.class as usize)
        {
            return name;
        } else if object_type == ObjectType::Data && kind.detail != ABSENT {
            return &self.strings[kind.detail as usize];
        }
        &self.names.internal[object_type as usize]
    }

    /// The name that a CLASS or MODULE has itself; `None` for a singleton
    /// class and for one without a name.
    pub fn name(&self, id: ObjectId) -> Option<&str> {
        match self.object_type(id) {
            ObjectType::Class | ObjectType::Module if !self.is_singleton(id) => self.detail(id),
            _ => None,
        }
    }

    /// Whether it is a singleton class. Ruby says so from 3.1 on; to 2.7 it
    /// is inferred, in 3.0 never known.
    pub fn is_singleton(&self, id: ObjectId) -> bool {
        self.names.singletons.binary_search(&id.0).is_ok()
    }

    /// What a DATA is in C: `proc`, `VM/thread`, `mutex`, …
    pub fn struct_name(&self, id: ObjectId) -> Option<&str> {
        (self.object_type(id) == ObjectType::Data).then(|| self.detail(id))?
    }

    /// What an IMEMO is: `env`, `iseq`, … (2.5 and later).
    pub fn imemo_type(&self, id: ObjectId) -> Option<&str> {
        (self.object_type(id) == ObjectType::Imemo).then(|| self.detail(id))?
    }

    fn detail(&self, id: ObjectId) -> Option<&str> {
        match self.kind(id).detail {
            ABSENT => None,
            detail => Some(&self.strings[detail as usize]),
        }
    }

    /// Where it was allocated, if that was traced and has a file.
    #[inline]
    pub fn site(&self, id: ObjectId) -> Option<SiteId> {
        self.site_of(self.kind(id))
    }

    /// The same of all objects of a kind.
    #[inline]
    pub(crate) fn site_of(&self, kind: &Kind) -> Option<SiteId> {
        let site = kind.site;
        (site != ABSENT && self.columns.site_table[site as usize].is_known).then_some(SiteId(site))
    }

    /// What a site says. A line that Ruby does not know, or that is negative,
    /// is 0.
    pub fn site_info(&self, site: SiteId) -> AllocationSite<'_> {
        let site = &self.columns.site_table[site.index()];
        AllocationSite {
            file: self.string(site.file),
            line: site
                .line
                .and_then(|line| u32::try_from(line).ok())
                .unwrap_or(0),
            method: site.method.map(|method| self.string(method)),
        }
    }

    /// The file and line as they stand in the dump, for heapy's output.
    pub(crate) fn raw_site(&self, id: ObjectId) -> Option<(&str, Option<u64>)> {
        match self.kind(id).site {
            ABSENT => None,
            site => {
                let site = &self.columns.site_table[site as usize];
                Some((self.string(site.file), site.line))
            }
        }
    }

    pub(crate) fn string(&self, id: StringId) -> &str {
        &self.strings[id.0 as usize]
    }

    /// All sites, those of Ruby to 2.7 that are none included.
    pub(crate) fn sites(&self) -> impl Iterator<Item = SiteId> + use<> {
        (0..self.columns.site_table.len() as u32).map(SiteId)
    }

    /// `GC.count` when it was allocated, if that was traced.
    #[inline]
    pub fn generation(&self, id: ObjectId) -> Option<Generation> {
        self.columns.generations.get(id.index()).map(Generation)
    }

    /// What it occupies by itself: `ObjectSpace.memsize_of`, slot included.
    ///
    /// Ruby 2.1 leaves the slot out: it is added (40 bytes). Should a live
    /// object have no memsize in another version, it counts its slot. Free
    /// and dead slots count 0: they hold no object.
    #[inline]
    pub fn shallow_size(&self, id: ObjectId) -> Bytes {
        let memsize = self.columns.memsizes.get(id.index());
        if !self.is_live(id) {
            return Bytes(memsize.unwrap_or(0));
        }
        Bytes(match memsize {
            Some(memsize) if self.excludes_slot => memsize.saturating_add(SLOT),
            Some(memsize) => memsize,
            None => self.slot_size(id),
        })
    }

    fn slot_size(&self, id: ObjectId) -> u64 {
        let sizes = &self.columns.slot_sizes;
        match sizes.binary_search_by_key(&id.0, |(row, _)| *row) {
            Ok(at) => sizes[at].1,
            Err(_) => SLOT,
        }
    }

    /// `memsize` as it stands in the dump, for heapy's output.
    pub(crate) fn raw_memsize(&self, id: ObjectId) -> Option<u64> {
        self.columns.memsizes.get(id.index())
    }

    /// Elements of an ARRAY or HASH, bytes of a STRING or SYMBOL. A STRING
    /// that shares another's bytes has none.
    #[inline]
    pub fn length(&self, id: ObjectId) -> Option<u64> {
        match self.object_type(id) {
            ObjectType::Object => None,
            _ => self.columns.lengths.get(id.index()),
        }
    }

    /// Instance variables of an OBJECT: to 3.1 how many fit, then how many
    /// there are.
    #[inline]
    pub fn ivar_count(&self, id: ObjectId) -> Option<u64> {
        match self.object_type(id) {
            ObjectType::Object => self.columns.lengths.get(id.index()),
            _ => None,
        }
    }

    /// Its shape (3.2 and later): see [`Heap::shapes`]. Not known if the heap
    /// was read without references.
    pub fn shape_id(&self, id: ObjectId) -> Option<u32> {
        let shape = *self.columns.shape_ids.get(id.index())?;
        (shape != ABSENT).then_some(shape)
    }

    /// What it refers to, in the order of the dump; repetitions and itself as
    /// they stand, its class left out, addresses that the dump does not list
    /// dropped. Empty if the heap was read without references.
    #[inline]
    pub fn references(&self, id: ObjectId) -> &[ObjectId] {
        if self.starts.is_empty() {
            return &[];
        }
        let range = self.starts[id.index()] as usize..self.starts[id.index() + 1] as usize;
        &self.references[range]
    }

    /// How many resolved references there are, roots' excluded.
    pub fn reference_count(&self) -> usize {
        self.references.len()
    }
}
