//! What a graph is made of.

use crate::{Heap, Names, ObjectId};

/// A heap, and how to tell the measuring from the measured.
#[derive(Clone, Copy)]
pub struct GraphInput<'a> {
    /// The heap, read with its references.
    pub heap: &'a Heap,
    /// Its sidecar; empty where there is none.
    pub names: &'a Names,
    /// Objects born in files for which this is true count nothing.
    pub is_tool_file: &'a dyn Fn(&str) -> bool,
}

impl GraphInput<'_> {
    /// Whether an object is the allocation tracer's table, which refers to the
    /// class of every traced object, or belongs to rbleak's agent. It is not
    /// walked through.
    pub(super) fn is_measuring(&self, id: ObjectId) -> bool {
        self.heap.struct_name(id) == Some("ObjectTracing/allocation_info_tracer")
            || self.names.is_own(self.heap.address(id))
    }

    /// By site, whether it lies in a file of the tool; empty where none does.
    pub(super) fn tool_sites(&self) -> Vec<bool> {
        let heap = self.heap;
        let is_tool = |site| (self.is_tool_file)(heap.site_info(site).file);
        let sites: Vec<bool> = heap.sites().map(is_tool).collect();
        if sites.contains(&true) {
            sites
        } else {
            Vec::new()
        }
    }
}

impl std::fmt::Debug for GraphInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphInput")
            .field("heap", self.heap)
            .finish_non_exhaustive()
    }
}
