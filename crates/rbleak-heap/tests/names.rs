//! Classes go by the names that a Rubyist knows, in every version.
#![allow(clippy::unwrap_used)]

mod support;

use rbleak_heap::{Heap, ObjectType};
use std::collections::BTreeMap;
use support::{VERSIONS, heap, read};

/// How many objects of a type have which class.
fn classes(heap: &Heap, object_type: ObjectType) -> BTreeMap<&str, usize> {
    let mut classes = BTreeMap::new();
    for id in heap.ids() {
        if heap.object_type(id) == object_type && heap.class(id).is_some() {
            *classes.entry(heap.class_name(id)).or_default() += 1;
        }
    }
    classes
}

#[test]
fn objects_are_called_by_their_real_class() {
    for version in VERSIONS {
        let heap = heap(version, "A");
        let arrays = classes(&heap, ObjectType::Array);
        assert!(arrays["Array"] > 50, "{version}: {arrays:?}");
        let of_classes = classes(&heap, ObjectType::Class);
        assert_eq!(
            of_classes.keys().collect::<Vec<_>>(),
            [&"Class"],
            "{version}"
        );
        let modules = classes(&heap, ObjectType::Module);
        assert!(modules["Module"] > 10, "{version}: {modules:?}");
        for object_type in [ObjectType::String, ObjectType::Object, ObjectType::Data] {
            for name in classes(&heap, object_type).keys() {
                assert!(
                    !name.is_empty() && !name.contains("internal"),
                    "{version}: {name}"
                );
            }
        }
        let singletons = heap.ids().filter(|&id| heap.is_singleton(id)).count();
        assert!(singletons > 200, "{version}: {singletons}");
        for name in ["String", "Class", "Module", "Object"] {
            let named = heap.ids().filter(|&id| heap.name(id) == Some(name));
            assert_eq!(named.count(), 1, "{version}: {name}");
        }
    }
}

#[test]
fn classes_without_a_name_are_described() {
    let heap = read(
        r##"{"address":"0x10", "type":"CLASS", "class":"0x10", "superclass":"0x38", "name":"Base", "references":["0x38"], "memsize":40}
{"address":"0x38", "type":"CLASS", "class":"0x10", "superclass":"0x10", "name":"Top", "references":[], "memsize":40}
{"address":"0x60", "type":"CLASS", "class":"0x10", "superclass":"0x10", "references":[], "memsize":40}
{"address":"0x88", "type":"CLASS", "class":"0x10", "superclass":"0x60", "singleton":true, "references":[], "memsize":40}
{"address":"0xb0", "type":"CLASS", "class":"0x10", "superclass":"0x60", "real_class_name":"Real", "singleton":true, "memsize":40}
{"address":"0x100", "type":"OBJECT", "class":"0x10", "ivars":3, "memsize":40}
{"address":"0x128", "type":"OBJECT", "class":"0x60", "memsize":40}
{"address":"0x150", "type":"OBJECT", "class":"0x88", "memsize":40}
{"address":"0x178", "type":"OBJECT", "class":"0xb0", "memsize":40}
{"address":"0x1a0", "type":"OBJECT", "class":"0x9999", "memsize":40}
{"address":"0x1c8", "type":"DATA", "struct":"VM/thread", "memsize":40}
{"address":"0x1f0", "type":"IMEMO", "class":"0x10", "imemo_type":"env", "memsize":40}
{"address":"0x218", "type":"HASH", "memsize":40}
{"address":"0x240", "type":"NONE", "class":"0x10"}
"##,
    );
    let expected = [
        (0x100, "Base"),
        (0x128, "(anonymous subclass of Base)"),
        (0x150, "(anonymous subclass of Base)"),
        (0x178, "Real"),
        (0x1a0, "#<Class:0x9999>"),
        (0x1c8, "VM/thread"),
        (0x1f0, "env (internal)"),
        (0x218, "HASH (internal)"),
    ];
    let at = |address| heap.find(rbleak_units::Address(address)).unwrap();
    for (address, name) in expected {
        assert_eq!(heap.class_name(at(address)), name);
    }
    assert_eq!(heap.ivar_count(at(0x100)), Some(3));
    assert_eq!(heap.superclass(at(0x10)), Some(at(0x38)));
    // The word of an internal object is an edge but no class.
    assert_eq!(
        (heap.class(at(0x1f0)), heap.class_id(at(0x1f0))),
        (None, Some(at(0x10)))
    );
    assert!(!heap.is_live(at(0x240)));
    assert_eq!(heap.class_id(at(0x240)), None);
    assert_eq!(heap.shallow_size(at(0x240)).0, 0);
}

#[test]
fn the_version_is_told_from_what_it_writes() {
    for version in VERSIONS {
        for name in ["A", "notrace", "broken"] {
            let hint = heap(version, name).ruby();
            let (major, minor) = version.split_once('.').unwrap();
            let version = (major.parse().unwrap(), minor.parse().unwrap());
            let fits = hint.at_least <= version && hint.at_most.is_none_or(|most| version <= most);
            assert!(fits, "{version:?}/{name}: {hint}");
        }
    }
    let exact = ["2.1", "3.1", "3.2", "3.3", "3.4"];
    for version in exact {
        assert_eq!(
            heap(version, "A").ruby().to_string(),
            format!("Ruby {version}")
        );
    }
    assert_eq!(heap("4.0", "A").ruby().to_string(), "Ruby 4.0 or later");
}

#[test]
fn shapes_name_instance_variables() {
    for version in ["3.2", "3.3", "3.4", "4.0"] {
        let heap = heap(version, "A");
        let named = heap.ids().filter(|&id| {
            let names = heap
                .shape_id(id)
                .map(|shape| heap.shapes().ivar_names(shape));
            heap.ivar_count(id) == names.map(|names| names.len() as u64)
        });
        assert!(named.count() > 20, "{version}");
    }
}

#[test]
fn a_long_name_that_many_classes_share_is_there_once() {
    use std::fmt::Write as _;
    let name = "A".repeat(100_000);
    let mut text = format!(
        "{{\"address\":\"0x28\", \"type\":\"CLASS\", \"name\":\"{name}\", \"memsize\":40}}\n"
    );
    for at in (2..2000).step_by(2) {
        let (class, object) = (at * 0x28, (at + 1) * 0x28);
        writeln!(text, "{{\"address\":\"{class:#x}\", \"type\":\"CLASS\", \"superclass\":\"0x28\", \"memsize\":40}}").unwrap();
        writeln!(text, "{{\"address\":\"{object:#x}\", \"type\":\"OBJECT\", \"class\":\"{class:#x}\", \"memsize\":40}}").unwrap();
    }
    let heap = support::read(text);
    let names: Vec<&str> = heap
        .ids()
        .skip(2)
        .step_by(2)
        .map(|id| heap.class_name(id))
        .collect();
    assert_eq!(names.len(), 999);
    assert_eq!(names[0], format!("(anonymous subclass of {name})"));
    assert!(names.iter().all(|name| std::ptr::eq(*name, names[0])));
}
