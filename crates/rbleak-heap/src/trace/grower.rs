//! Old objects that get bigger: a String or Array that is appended to.
//!
//! They bring no new objects, so that no survivor points to them.

use super::holder::lengths_of;
use super::tracer::Tracer;
use super::{HolderName, Step, TraceInput};
use crate::{ObjectId, ObjectType};
use std::cmp::Reverse;

/// An object that was longer in each dump than in the one before.
#[derive(Clone, Debug)]
pub struct Grower {
    /// What holds it.
    pub name: HolderName,
    /// From the name to the object.
    pub path: Vec<Step>,
    /// The object, in the last dump.
    pub id: ObjectId,
    /// Bytes of a String, entries of an Array or Hash, in each dump.
    pub lengths: Vec<u64>,
    /// What the growth takes from the first dump to the last, in bytes: those
    /// of a String, 8 for an entry of an Array, 16 for one of a Hash.
    pub bytes: u64,
}

/// The `top` fastest growers of the series, the fastest first. The tool's own
/// objects are left out.
pub fn growers(input: &TraceInput<'_>, top: usize) -> Vec<Grower> {
    let Some(tracer) = Tracer::new(input) else {
        return Vec::new();
    };
    let heap = tracer.heap;
    let mut found: Vec<(u64, Vec<u64>, ObjectId)> = heap
        .ids()
        .filter(|&id| input.first_seen[id.index()] == 0 && !tracer.is_tool(id))
        .filter_map(|id| {
            let size = match heap.object_type(id) {
                ObjectType::String => 1,
                ObjectType::Array => 8,
                ObjectType::Hash => 16,
                _ => return None,
            };
            let lengths: Vec<u64> = lengths_of(input.heaps, heap, id)
                .into_iter()
                .collect::<Option<_>>()?;
            let grows = lengths.len() > 1 && lengths.windows(2).all(|pair| pair[0] < pair[1]);
            let growth = lengths.last()?.saturating_sub(*lengths.first()?);
            grows.then_some((growth * size, lengths, id))
        })
        .collect();
    found.sort_by_key(|(bytes, _, id)| (Reverse(*bytes), heap.address(*id)));
    found.truncate(top);
    found
        .into_iter()
        .map(|(bytes, lengths, id)| {
            let (name, chain) = tracer.name(id, &[]);
            Grower {
                name,
                path: tracer.steps_down(&chain),
                id,
                lengths,
                bytes,
            }
        })
        .collect()
}
