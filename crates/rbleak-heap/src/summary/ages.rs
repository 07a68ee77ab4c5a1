//! How old objects are, in collections.

use super::add;
use crate::Heap;
use crate::graph::Count;

/// Objects that are about as old as each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// Collections since they were allocated, from and to, both included;
    /// `None` for what was allocated while tracing was off.
    pub collections: Option<(u32, u32)>,
    /// The generations of these, from and to, both included.
    pub generations: Option<(u32, u32)>,
    /// How many objects they are, and what they take.
    pub count: Count,
}

/// All live objects by age, the youngest first, in steps that double: 0, 1, 2
/// to 3, 4 to 7 and so on; those of unknown age last. Empty if nothing was
/// traced.
pub(super) fn ages(heap: &Heap) -> Vec<Age> {
    let Some(newest) = heap.max_generation() else {
        return Vec::new();
    };
    let newest = newest.0;
    let mut ages: Vec<Age> = (0..=step(newest))
        .map(|step| {
            let (from, to) = span(step);
            let to = to.min(newest);
            Age {
                collections: Some((from, to)),
                generations: Some((newest - to, newest - from)),
                count: Count::default(),
            }
        })
        .collect();
    let mut unknown = Count::default();
    for id in heap.ids().filter(|&id| heap.is_live(id)) {
        let count = match heap.generation(id) {
            Some(generation) => &mut ages[step(newest - generation.0) as usize].count,
            None => &mut unknown,
        };
        add(count, heap.shallow_size(id));
    }
    if unknown.objects.0 > 0 {
        ages.push(Age {
            collections: None,
            generations: None,
            count: unknown,
        });
    }
    ages
}

/// In which step an age lies.
fn step(age: u32) -> u32 {
    u32::BITS - age.leading_zeros()
}

/// The ages of a step.
fn span(step: u32) -> (u32, u32) {
    match step {
        0 => (0, 0),
        step => (1 << (step - 1), u32::MAX >> (u32::BITS - step)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_every_age_once() {
        let mut next = 0_u64;
        for number in 0..=32 {
            let (from, to) = span(number);
            assert_eq!(u64::from(from), next);
            assert_eq!((step(from), step(to)), (number, number));
            next = u64::from(to) + 1;
        }
        assert_eq!(next, 1 << 32);
    }
}
