//! The names that go with a dump, in the form of the agent's sidecar (names.rb):
//! constants, variables of classes, globals, instance variables, and where blocks
//! were written.

use crate::heap::kind;
use crate::lines::{Json, text};
use crate::objects;
use crate::references::Slot;
use crate::roots::Global;
use crate::tables::{id_each, st_each};
use crate::walk::Walk;
use rustc_hash::FxHashMap;
use std::io::{self, Write};
use std::rc::Rc;

/// How many instances of each class have their instance variables listed.
const INSTANCES: u32 = 32;
/// Hashes with more entries are collections, whose keys say little; so many
/// values are named at most.
const ENTRIES: u64 = 32;
const VALUES: u32 = 20_000;
/// `::` between names of more modules is none.
const OBJECT: &str = "Object";
/// Globals that are the last match or the like of whoever asks.
const SPECIAL: [&str; 6] = ["$~", "$&", "$`", "$'", "$+", "$_"];

/// What instances of one class have in common.
#[derive(Default)]
struct Held {
    looked: u32,
    /// Variables that held an object in every one.
    names: Option<Vec<Rc<str>>>,
    is_mixed: bool,
}

/// Writes names; objects are shown to it one by one in between.
pub(crate) struct Sidecar {
    instances: FxHashMap<u64, Held>,
    values: u32,
}

impl Sidecar {
    /// What is known beforehand.
    pub(crate) fn begin(
        walk: &Walk<'_, '_>,
        globals: &[Global],
        generation: Option<u64>,
        out: &mut dyn Write,
    ) -> io::Result<Sidecar> {
        let (major, minor) = walk.layout.version;
        write!(
            out,
            "{{\"kind\":\"header\",\"version\":1,\"ruby\":\"{major}.{minor}\""
        )?;
        if let Some(count) = generation {
            write!(out, ",\"gc_count\":{count}")?;
        }
        out.write_all(b"}\n")?;
        let mut sidecar = Sidecar {
            instances: FxHashMap::default(),
            values: 0,
        };
        for global in globals {
            if !SPECIAL.contains(&&*global.name) {
                sidecar.named(walk, "global", None, &global.name, global.value, out)?;
            }
        }
        Ok(sidecar)
    }

    /// One that Ruby code reaches under a name.
    fn named(
        &mut self,
        walk: &Walk<'_, '_>,
        kind: &str,
        holder: Option<u64>,
        name: &str,
        value: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        write!(out, "{{\"kind\":\"{kind}\"")?;
        if let Some(holder) = holder {
            write!(out, ",\"module\":\"{holder:#x}\"")?;
        }
        writeln!(out, ",\"name\":{},\"value\":\"{value:#x}\"}}", Json(name))?;
        self.keys(walk, value, out)
    }

    /// What a class or module names; an object's instance variables; a block's
    /// place.
    pub(crate) fn object(
        &mut self,
        walk: &Walk<'_, '_>,
        slot: Slot<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match slot.kind {
            kind::CLASS | kind::MODULE => self.module(walk, slot, out),
            kind::OBJECT => self.instance(walk, slot, out),
            kind::DATA => self.code(walk, slot, out),
            _ => Ok(()),
        }
    }

    fn module(
        &mut self,
        walk: &Walk<'_, '_>,
        slot: Slot<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let (view, layout) = (walk.view, walk.layout);
        let Some(name) = walk.class_name(slot.address) else {
            return Ok(());
        };
        let mut found = Vec::new();
        let constants = objects::ext_word(view, layout, slot.address, layout.ext_const_tbl);
        id_each(view, layout, constants, |serial, entry| {
            let value = layout
                .const_value
                .and_then(|at| view.word(entry.checked_add(at)?));
            if let (Some(value), Some(constant)) = (value, walk.serial(serial)) {
                let full = match &*name {
                    OBJECT => constant.to_string(),
                    name => format!("{name}::{constant}"),
                };
                found.push(("constant", full, value));
            }
        });
        for (variable, value) in walk.class_variables(slot) {
            let kind = match variable.starts_with("@@") {
                true => "class_variable",
                false => "class_ivar",
            };
            if variable.starts_with('@') {
                found.push((kind, format!("{name}{variable}"), value));
            }
        }
        found.retain(|(_, _, value)| walk.heap.is_object(*value));
        found.sort();
        for (kind, name, value) in found {
            self.named(walk, kind, Some(slot.address), &name, value, out)?;
        }
        Ok(())
    }

    fn instance(
        &mut self,
        walk: &Walk<'_, '_>,
        slot: Slot<'_>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let held = self.instances.entry(slot.class).or_default();
        if held.looked >= INSTANCES {
            return Ok(());
        }
        let Some(names) = walk.variable_names(slot) else {
            return Ok(());
        };
        let Some((at, count)) = walk.references.object_values(slot) else {
            return Ok(());
        };
        let mut pairs = Vec::new();
        let mut index = 0;
        walk.view.words(at, count, |value| {
            if let Some(Some(name)) = names.get(index)
                && walk.heap.is_object(value)
            {
                pairs.push((Rc::clone(name), value));
            }
            index += 1;
        });
        held.looked += 1;
        let own: Vec<Rc<str>> = pairs.iter().map(|(name, _)| Rc::clone(name)).collect();
        match &held.names {
            None => held.names = Some(own),
            Some(before) if *before != own => held.is_mixed = true,
            Some(_) => {}
        }
        for (name, value) in pairs {
            writeln!(
                out,
                "{{\"kind\":\"ivar\",\"object\":\"{:#x}\",\"class\":\"{:#x}\",\"name\":{},\"value\":\"{value:#x}\"}}",
                slot.address,
                slot.class,
                Json(&name)
            )?;
            self.keys(walk, value, out)?;
        }
        Ok(())
    }

    /// Symbols as keys of a Hash: in a dump they are no references.
    fn keys(&mut self, walk: &Walk<'_, '_>, hash: u64, out: &mut dyn Write) -> io::Result<()> {
        if walk.heap.kind(hash) != Some(kind::HASH) || self.values >= VALUES {
            return Ok(());
        }
        let mut bytes = [0; 40];
        if !walk.view.read(hash, &mut bytes) {
            return Ok(());
        }
        let mut found = Vec::new();
        let mut count = 0;
        let _ = walk
            .references
            .pairs(Slot::new(hash, &bytes), &mut |key, value| {
                count += 1;
                if count <= ENTRIES
                    && walk.heap.is_object(value)
                    && let Some(name) = walk.symbol(key)
                {
                    found.push((name, value));
                }
            });
        if count > ENTRIES {
            return Ok(());
        }
        for (name, value) in found {
            self.values += 1;
            writeln!(
                out,
                "{{\"kind\":\"hash_key\",\"object\":\"{hash:#x}\",\"name\":{},\"value\":\"{value:#x}\"}}",
                Json(&format!(":{name}"))
            )?;
        }
        Ok(())
    }

    fn code(&self, walk: &Walk<'_, '_>, slot: Slot<'_>, out: &mut dyn Write) -> io::Result<()> {
        let name = walk.references.data_type(slot);
        match name.as_deref() {
            Some("proc") => {}
            Some("VM/thread") => {
                return writeln!(
                    out,
                    "{{\"kind\":\"thread\",\"object\":\"{:#x}\"}}",
                    slot.address
                );
            }
            _ => return Ok(()),
        }
        let Some((path, line)) = place(walk, slot) else {
            return Ok(());
        };
        let location = format!("{path}:{line}");
        writeln!(
            out,
            "{{\"kind\":\"proc\",\"object\":\"{:#x}\",\"location\":{}}}",
            slot.address,
            Json(&location)
        )
    }

    /// What is known at the end.
    pub(crate) fn finish(self, walk: &Walk<'_, '_>, out: &mut dyn Write) -> io::Result<()> {
        let mut classes: Vec<(u64, Held)> = self.instances.into_iter().collect();
        classes.sort_unstable_by_key(|(class, _)| *class);
        for (class, held) in classes {
            let Some(names) = held.names else { continue };
            write!(out, "{{\"kind\":\"class_ivars\",\"class\":\"{class:#x}\"")?;
            if let Some(name) = walk.class_name(class) {
                write!(out, ",\"class_name\":{}", Json(&name))?;
            }
            let names: Vec<String> = names.iter().map(|name| Json(name).to_string()).collect();
            write!(out, ",\"held\":[{}]", names.join(","))?;
            if held.is_mixed {
                out.write_all(b",\"mixed\":true")?;
            }
            out.write_all(b"}\n")?;
        }
        out.write_all(b"{\"kind\":\"end\"}\n")
    }
}

/// Where the code of a Proc begins.
fn place(walk: &Walk<'_, '_>, slot: Slot<'_>) -> Option<(String, u32)> {
    let (view, layout) = (walk.view, walk.layout);
    let proc = walk.references.data_struct(slot)?;
    // rb_captured_block: self, environment, code.
    let code = view.word(proc.checked_add(16)?)?;
    if walk.heap.kind(code) != Some(kind::IMEMO) {
        return None;
    }
    let body = view.word(code.checked_add(layout.iseq_body?)?)?;
    let line = body.checked_add(layout.body_first_line?)?;
    let path = view.word(body.checked_add(layout.body_pathobj?)?)?;
    // A path, or two of them.
    let path = match walk.heap.kind(path)? {
        kind::STRING => path,
        kind::ARRAY => view.word(objects::array_elements(view, layout, path)?.0)?,
        _ => return None,
    };
    // A fixnum before 3.2.
    let line = match layout.version >= (3, 2) {
        true => u64::from(view.half(line)?),
        false => view.word(line)? >> 1,
    };
    Some((text(walk, path)?, u32::try_from(line).ok()?))
}

/// Names and values of the variables of a class that are kept in a table.
pub(crate) fn table_variables(walk: &Walk<'_, '_>, table: u64) -> Vec<(Rc<str>, u64)> {
    let mut found = Vec::new();
    st_each(walk.view, walk.layout, table, |id, value| {
        if let Some(name) = walk.ids.of_id(walk.view, walk.layout, id) {
            found.push((name, value));
        }
    });
    found
}
