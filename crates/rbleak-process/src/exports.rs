//! Where in the memory of a process the symbols lie that a file exports which it
//! has mapped. From files and mappings alone: the process is not touched.

use object::{Object, ObjectKind, ObjectSegment, ObjectSymbol};

use crate::maps::Mapping;
use crate::{Pid, procfs};

/// The addresses of `names` in the memory of whoever has mapped the file whose
/// bytes these are; `mapping` is its first. Each is `None` where the file does
/// not define it.
pub fn find<const N: usize>(bytes: &[u8], mapping: &Mapping, names: [&str; N]) -> [Option<u64>; N] {
    let Ok(file) = object::File::parse(bytes) else {
        return [None; N];
    };
    let bias = bias(&file, mapping);
    let mut found = [None; N];
    for symbol in file.dynamic_symbols().chain(file.symbols()) {
        let Ok(name) = symbol.name() else { continue };
        if let Some(at) = names.iter().position(|it| *it == name)
            && symbol.is_definition()
        {
            found[at].get_or_insert(symbol.address().wrapping_add(bias));
        }
    }
    found
}

/// The bytes of the file behind a mapping of a process, and not of one that has
/// taken its name since.
pub fn mapped_file(pid: Pid, mapping: &Mapping) -> Option<Vec<u8>> {
    procfs::mapped_file(pid, mapping).ok()
}

/// What is added to the addresses in the file.
pub(crate) fn bias(file: &object::File<'_>, mapping: &Mapping) -> u64 {
    if file.kind() == ObjectKind::Executable {
        return 0;
    }
    let first = file.segments().find(|segment| segment.file_range().0 == 0);
    let linked = first.map_or(0, |segment| segment.address());
    mapping.start.0.wrapping_sub(linked)
}
