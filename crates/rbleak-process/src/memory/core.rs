//! A core file: what the kernel, or `gcore`, kept of a process, see core(5) and
//! elf(5).
//!
//! Core files leave out what files hold that were mapped: this is read from those
//! files, which have to be the same still. Whether they are is not told by the
//! core file; nothing but names is read there.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{
    FileHeader64, NT_FILE, NT_PRPSINFO, NT_PRSTATUS, PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE,
};
use object::read::ReadCache;
use object::read::elf::{FileHeader, ProgramHeader};

use super::{Memory, Registers};
use crate::Pid;
use crate::maps::{Access, Backing, MappedFile, Mapping};
use rbleak_units::Address;

/// Why a file cannot be read as a core file: one sentence each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// It cannot be opened.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another kind of file.
    #[error(
        "{path} is no core file of a program of 64 bits: give one that the kernel or gcore wrote",
        path = path.display()
    )]
    NoCore {
        /// The file.
        path: PathBuf,
    },
    /// Its end is missing.
    #[error(
        "{path} is not whole: it ends before the memory that it lists; it was cut by a full \
         disk or a limit (ulimit -c)",
        path = path.display()
    )]
    Cut {
        /// The file.
        path: PathBuf,
    },
}

/// A stretch of memory that lies in a file.
#[derive(Clone, Debug)]
struct Part {
    start: u64,
    end: u64,
    offset: u64,
}

/// A core file.
#[derive(Debug)]
pub struct Core {
    file: File,
    /// By ascending address.
    parts: Vec<Part>,
    mappings: Vec<Mapping>,
    /// What lies in the files that were mapped.
    mapped: Vec<(Part, PathBuf)>,
    files: HashMap<PathBuf, File>,
    /// Of each thread; the first is the one that the core file is about.
    pub threads: Vec<Registers>,
    /// The process's number.
    pub pid: Option<Pid>,
}

/// Where in the notes of x86-64 the registers begin, how many there are, and
/// which is the stack's; and where the number of the process is.
const REGISTERS_AT: usize = 112;
const REGISTERS: usize = 27;
const STACK_POINTER: usize = 19;
/// What follows are the number of a call, the program, segments and flags.
const GENERAL: usize = 15;
const PID_AT: usize = 24;
/// More than that no note of a process is.
const MOST_MAPPED: u64 = 1 << 20;

impl Core {
    /// Reads its tables. `replaced` stands for the file of the same name.
    ///
    /// # Errors
    /// If it is no core file, or is cut.
    pub fn open(path: &Path, replaced: Option<&Path>) -> Result<Core, CoreError> {
        let unreadable = |source| CoreError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let second = file.try_clone().map_err(unreadable)?;
        let no_core = || CoreError::NoCore {
            path: path.to_owned(),
        };
        let mut core = Core {
            file,
            parts: Vec::new(),
            mappings: Vec::new(),
            mapped: Vec::new(),
            files: HashMap::new(),
            threads: Vec::new(),
            pid: None,
        };
        core.tables(&ReadCache::new(second)).ok_or_else(no_core)?;
        if core.parts.is_empty() {
            return Err(no_core());
        }
        let is_cut = |part: &Part| part.offset.saturating_add(part.end - part.start) > length;
        if core.parts.iter().any(is_cut) {
            return Err(CoreError::Cut {
                path: path.to_owned(),
            });
        }
        core.open_files(replaced);
        Ok(core)
    }

    /// `None`: it is no core file.
    fn tables(&mut self, data: &ReadCache<File>) -> Option<()> {
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let is_meant =
            header.e_type(endian) == object::elf::ET_CORE && endian == Endianness::Little;
        if !is_meant {
            return None;
        }
        let x86 = header.e_machine(endian) == object::elf::EM_X86_64;
        for segment in header.program_headers(endian, data).ok()? {
            match segment.p_type(endian) {
                PT_LOAD => {
                    let start = segment.p_vaddr(endian);
                    let (offset, kept) = segment.file_range(endian);
                    let flags = segment.p_flags(endian);
                    let end = start.checked_add(segment.p_memsz(endian).max(kept))?;
                    if kept > 0 {
                        self.parts.push(Part {
                            start,
                            end: start.checked_add(kept)?,
                            offset,
                        });
                    }
                    self.mappings.push(Mapping {
                        start: Address(start),
                        end: Address(end),
                        access: Access {
                            read: flags.0 & PF_R.0 != 0,
                            write: flags.0 & PF_W.0 != 0,
                            execute: flags.0 & PF_X.0 != 0,
                            shared: false,
                        },
                        offset: 0,
                        inode: 0,
                        backing: Backing::Anonymous,
                    });
                }
                PT_NOTE => {
                    let Ok(Some(mut notes)) = segment.notes(endian, data) else {
                        continue;
                    };
                    while let Ok(Some(note)) = notes.next() {
                        match note.n_type(endian) {
                            NT_FILE => self.mapped_files(note.desc()),
                            NT_PRSTATUS if x86 => self.threads.extend(registers(note.desc())),
                            NT_PRPSINFO => {
                                let pid = word32(note.desc(), PID_AT);
                                self.pid = self.pid.or(pid.map(Pid));
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        self.parts.sort_by_key(|part| part.start);
        self.mappings.sort_by_key(|mapping| mapping.start);
        self.mapped.sort_by_key(|(part, _)| part.start);
        for mapping in &mut self.mappings {
            let start = mapping.start.0;
            let at = self.mapped.partition_point(|(part, _)| part.start <= start);
            let Some((part, path)) = at.checked_sub(1).map(|at| &self.mapped[at]) else {
                continue;
            };
            if start < part.end {
                mapping.offset = part.offset.saturating_add(start - part.start);
                mapping.backing = Backing::File(MappedFile {
                    path: path.display().to_string(),
                    deleted: false,
                });
            }
        }
        Some(())
    }

    /// NT_FILE: count, size of a page, then start, end and offset in pages of
    /// each, then their names.
    fn mapped_files(&mut self, note: &[u8]) {
        let word = |index: usize| word64(note, index * 8);
        let (Some(count), Some(page)) = (word(0), word(1)) else {
            return;
        };
        if count > MOST_MAPPED {
            return;
        }
        let count = count as usize;
        let names = note.get(16 + count * 24..).unwrap_or_default();
        for (index, name) in names.split(|byte| *byte == 0).take(count).enumerate() {
            let of = |part: usize| word(2 + index * 3 + part);
            let (Some(start), Some(end), Some(offset)) = (of(0), of(1), of(2)) else {
                return;
            };
            let Some(offset) = offset.checked_mul(page).filter(|_| start < end) else {
                continue;
            };
            let path = PathBuf::from(String::from_utf8_lossy(name).into_owned());
            self.mapped.push((Part { start, end, offset }, path));
        }
    }

    fn open_files(&mut self, replaced: Option<&Path>) {
        for (_, path) in &self.mapped {
            if self.files.contains_key(path) {
                continue;
            }
            let same_name = replaced.filter(|file| file.file_name() == path.file_name());
            // No device, no pipe: opening one may wait for ever.
            let open = |path: &Path| match std::fs::metadata(path) {
                Ok(found) if found.is_file() => File::open(path).ok(),
                _ => None,
            };
            if let Some(file) = open(same_name.unwrap_or(path)) {
                self.files.insert(path.clone(), file);
            }
        }
    }

    /// The whole of a file that was mapped, as it lies there now.
    pub fn mapped_file(&self, mapping: &Mapping) -> Option<Vec<u8>> {
        let file = self.files.get(Path::new(&mapping.file()?.path))?;
        let length = file
            .metadata()
            .ok()?
            .len()
            .min(crate::procfs::LARGEST_PROGRAM);
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        file.read_exact_at(&mut bytes, 0).ok()?;
        Some(bytes)
    }

    /// From the files that were mapped.
    fn read_mapped(&self, address: u64, bytes: &mut [u8]) -> bool {
        let at = self
            .mapped
            .partition_point(|(part, _)| part.start <= address);
        let Some((part, path)) = at.checked_sub(1).map(|at| &self.mapped[at]) else {
            return false;
        };
        let is_within = part.end - address.min(part.end) >= bytes.len() as u64;
        let Some(file) = self.files.get(path).filter(|_| is_within) else {
            return false;
        };
        let offset = part.offset.checked_add(address - part.start);
        offset.is_some_and(|offset| file.read_exact_at(bytes, offset).is_ok())
    }
}

impl Memory for Core {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        let mut rest = bytes;
        let mut address = address;
        while !rest.is_empty() {
            let at = self.parts.partition_point(|part| part.start <= address);
            let part = at.checked_sub(1).map(|at| &self.parts[at]);
            let Some(part) = part.filter(|part| address < part.end) else {
                return self.read_mapped(address, rest);
            };
            let here = rest
                .len()
                .min(usize::try_from(part.end - address).unwrap_or(usize::MAX));
            let (now, later) = rest.split_at_mut(here);
            let offset = part.offset + (address - part.start);
            if self.file.read_exact_at(now, offset).is_err() {
                return false;
            }
            rest = later;
            address += here as u64;
        }
        true
    }

    fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }
}

fn word64(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// Those of NT_PRSTATUS.
fn registers(note: &[u8]) -> Option<Registers> {
    let all: Vec<u64> = (0..REGISTERS)
        .map_while(|index| word64(note, REGISTERS_AT + index * 8))
        .collect();
    Some(Registers {
        stack_pointer: *all.get(STACK_POINTER)?,
        general: all[..GENERAL].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const HEADER: usize = 64;
    const SEGMENT: usize = 56;
    const AT: u64 = 0x7f00_0000_1000;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// A core file with a note and one segment, whose memory is `memory`.
    fn core_file(notes: &[u8], memory: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend(4_u16.to_le_bytes());
        bytes.extend(62_u16.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        for word in [0, HEADER as u64, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(0_u32.to_le_bytes());
        for half in [HEADER as u16, SEGMENT as u16, 2, 0, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        let first = (HEADER + 2 * SEGMENT) as u64;
        let segments = [
            (4_u32, first, 0, notes),
            (1, first + notes.len() as u64, AT, memory),
        ];
        for (kind, offset, address, content) in segments {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(6_u32.to_le_bytes());
            let length = content.len() as u64;
            for word in [offset, address, 0, length, length, 4] {
                bytes.extend(word.to_le_bytes());
            }
        }
        bytes.extend(notes);
        bytes.extend(memory);
        bytes
    }

    fn note(kind: u32, content: &[u8]) -> Vec<u8> {
        let mut bytes = 5_u32.to_le_bytes().to_vec();
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(b"CORE\0\0\0\0");
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn memory_and_mapped_files_are_read() {
        let mapped = file(b"what lies in the file that was mapped");
        let mut list = Vec::new();
        for word in [1, 1, AT + 64, AT + 4096, 5_u64] {
            list.extend(word.to_le_bytes());
        }
        list.extend(mapped.path().to_string_lossy().as_bytes());
        list.push(0);
        let written = file(&core_file(&note(0x4649_4c45, &list), &[7; 64]));
        let core = Core::open(written.path(), None).unwrap();
        let mut bytes = [0; 4];
        assert!(core.read(AT + 60, &mut bytes));
        assert_eq!(bytes, [7; 4]);
        assert!(
            core.read(AT + 62, &mut bytes),
            "across the end of what was kept"
        );
        assert_eq!(&bytes, b"\x07\x07li");
        assert!(!core.read(AT + 2000, &mut bytes), "behind the file's end");
        for nowhere in [0, AT - 1, u64::MAX - 2] {
            assert!(!core.read(nowhere, &mut bytes), "{nowhere:#x}");
        }
    }

    #[test]
    fn what_is_cut_is_told_from_what_is_none() {
        let whole = core_file(&[], &[1; 100]);
        let open = |bytes: &[u8]| Core::open(file(bytes).path(), None).map(drop);
        assert!(open(&whole).is_ok());
        assert!(matches!(
            open(&whole[..whole.len() - 1]),
            Err(CoreError::Cut { .. })
        ));
        assert!(matches!(open(&whole[..100]), Err(CoreError::NoCore { .. })));
        assert!(matches!(open(b""), Err(CoreError::NoCore { .. })));
        assert!(matches!(
            Core::open(Path::new("/nowhere"), None),
            Err(CoreError::Unreadable { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(
            changes in prop::collection::vec((0_usize..400, any::<u8>()), 0..12),
            address in any::<u64>(),
        ) {
            let mut bytes = core_file(&note(0x4649_4c45, &[1; 80]), &[3; 64]);
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            if let Ok(core) = Core::open(file(&bytes).path(), None) {
                let mut read = [0; 16];
                for at in [address, AT, u64::MAX] {
                    let _ = core.read(at, &mut read);
                }
            }
        }
    }
}
