//! What refers to an object is what has it among its references, on real dumps.
#![allow(clippy::unwrap_used)]

mod support;

use rbleak_heap::graph::{Dominators, GraphInput};
use rbleak_heap::{Heap, Names, ObjectId, ObjectType};

fn with(heap: &Heap, test: impl FnOnce(&Dominators<'_>)) {
    let names = Names::default();
    let dominators = Dominators::new(GraphInput {
        heap,
        names: &names,
        is_tool_file: &|_| false,
    });
    test(&dominators.unwrap());
}

#[test]
fn referrers_and_references_agree() {
    for version in support::VERSIONS {
        let heap = support::heap(version, "C");
        with(&heap, |dominators| {
            let mut checked = 0;
            for id in heap.ids().step_by(heap.len() / 40) {
                if !heap.is_live(id) || dominators.is_part(id) {
                    continue;
                }
                let down = dominators.references_of(id);
                for &(target, times) in down.references.iter().take(4) {
                    let up = dominators.referrers_of(target);
                    assert!(
                        up.references.contains(&(id, times)),
                        "{version}: {} → {}",
                        heap.address(id),
                        heap.address(target)
                    );
                    checked += 1;
                }
                for &superclass in &down.superclasses {
                    let up = dominators.referrers_of(superclass);
                    assert!(up.superclasses.contains(&id), "{version}");
                }
            }
            assert!(checked > 20, "{version}: {checked}");
        });
    }
}

#[test]
fn instances_are_counted_and_what_lies_outside_an_object_is_its_own() {
    for version in support::VERSIONS {
        let heap = support::heap(version, "C");
        with(&heap, |dominators| {
            let class = heap.ids().find(|&id| heap.name(id) == Some("Zoo::Pt"));
            let class = class.unwrap_or_else(|| panic!("{version}: no Zoo::Pt"));
            // `class` of an internal record is none, or an owner.
            let of_class = |id: &ObjectId| heap.class(*id) == Some(heap.address(class));
            let instances = heap
                .ids()
                .filter(of_class)
                .filter(|&id| !heap.object_type(id).is_internal())
                .count() as u64;
            assert!(instances > 60, "{version}");
            assert_eq!(dominators.referrers_of(class).instances, instances);
            let parts = heap
                .ids()
                .flat_map(|id| dominators.references_of(id).references)
                .filter(|&(id, _)| dominators.is_part(id));
            assert_eq!(parts.count(), 0, "{version}");
            // From 4.0 on there are such parts.
            let fields = heap.ids().filter(|&id| dominators.is_part(id));
            assert_eq!(fields.count() > 0, version == "4.0", "{version}");
        });
    }
}

#[test]
fn roots_refer_to_what_they_hold() {
    let text = r#"{"type":"ROOT", "root":"vm", "references":["0x4000"]}
{"type":"ROOT", "root":"global_tbl", "references":["0x4028", "0x4000"]}
{"address":"0x4000", "type":"ARRAY", "references":["0x4028", "0x4028", "0x4000"], "memsize":40}
{"address":"0x4028", "type":"STRING", "memsize":40}
"#;
    let heap = support::read(text);
    with(&heap, |dominators| {
        let [array, string] = [0, 1].map(ObjectId::from_index);
        assert_eq!(heap.object_type(array), ObjectType::Array);
        let up = dominators.referrers_of(string);
        assert_eq!((up.roots, up.references), (vec![1], vec![(array, 2)]));
        let up = dominators.referrers_of(array);
        assert_eq!((up.roots, up.references), (vec![0, 1], vec![(array, 1)]));
    });
}
