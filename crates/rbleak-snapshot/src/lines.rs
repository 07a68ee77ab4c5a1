//! The lines of a dump, as `ObjectSpace.dump_all` writes them.

use crate::heap::kind;
use crate::objects::{self, FL_FREEZE, RSTRING_FSTR, USER1, bits, string_text};
use crate::references::Slot;
use crate::shapes::Shapes;
use crate::sizes::memsize;
use crate::tables::st_len;
use crate::walk::Walk;
use std::io::{self, Write};

/// ENCODING_MASK of encoding.h.
pub(crate) const ENCODING: u64 = 127 << 22;
/// STR_CHILLED of 3.4 and later.
const CHILLED: u64 = objects::user(2) | objects::user(3);
/// ENC_CODERANGE_BROKEN: both bits.
const BROKEN: u64 = objects::user(8) | objects::user(9);
/// Names of encodings by their number, as Ruby's encindex.h has them. Others are
/// given numbers as they are loaded.
const ENCODINGS: [&str; 12] = [
    "ASCII-8BIT",
    "UTF-8",
    "US-ASCII",
    "UTF-16BE",
    "UTF-16LE",
    "UTF-32BE",
    "UTF-32LE",
    "UTF-16",
    "UTF-32",
    "UTF8-MAC",
    "EUC-JP",
    "Windows-31J",
];
/// Encodings whose bytes below 128 are ASCII.
const ASCII_COMPATIBLE: [u64; 6] = [0, 1, 2, 9, 10, 11];
const BINARY: u64 = 0;
/// Values are read in pieces of this size.
const PIECE: u64 = 4096;

/// Writes the line of an object.
pub(crate) fn object(walk: &Walk<'_, '_>, slot: Slot<'_>, out: &mut dyn Write) -> io::Result<()> {
    let layout = walk.layout;
    write!(
        out,
        "{{\"address\":\"{:#x}\", \"type\":\"{}\"",
        slot.address,
        kind::name(slot.kind)
    )?;
    if layout.version >= (3, 2) {
        if slot.kind != kind::IMEMO || layout.version < (4, 0) {
            write!(out, ", \"shape_id\":{}", Shapes::id(slot.flags))?;
        }
        write!(out, ", \"slot_size\":{}", slot.bytes.len())?;
    }
    let has_class = slot.class != 0 && (slot.kind != kind::IMEMO || layout.version < (3, 2));
    if has_class {
        write!(out, ", \"class\":\"{:#x}\"", slot.class)?;
    }
    if slot.flags & FL_FREEZE != 0 && slot.kind != kind::ZOMBIE {
        out.write_all(b", \"frozen\":true")?;
    }
    fields(walk, slot, out)?;
    if slot.kind == kind::ZOMBIE {
        return out.write_all(b"}\n");
    }
    references(walk, slot, out)?;
    writeln!(out, ", \"memsize\":{}}}", memsize(walk, slot))
}

/// Writes the line of a root.
pub(crate) fn root(name: &str, held: &[u64], out: &mut dyn Write) -> io::Result<()> {
    if held.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "{{\"type\":\"ROOT\", \"root\":\"{name}\", \"references\":["
    )?;
    for (index, address) in held.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(out, "{separator}\"{address:#x}\"")?;
    }
    out.write_all(b"]}\n")
}

fn references(walk: &Walk<'_, '_>, slot: Slot<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut result = Ok(());
    let mut count = 0_u64;
    walk.references.each(slot, &mut |address| {
        if result.is_ok() {
            let separator = if count > 0 {
                ", "
            } else {
                ", \"references\":["
            };
            result = write!(out, "{separator}\"{address:#x}\"");
            count += 1;
        }
    });
    result?;
    match count {
        0 => Ok(()),
        _ => out.write_all(b"]"),
    }
}

fn fields(walk: &Walk<'_, '_>, slot: Slot<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (view, layout) = (walk.view, walk.layout);
    match slot.kind {
        kind::IMEMO => {
            let name = layout.imemo[slot.imemo() as usize & 0xf];
            write!(out, ", \"imemo_type\":\"{name}\"")?;
            match name {
                "callcache" if layout.version >= (3, 3) => call_cache(walk, slot, out),
                _ => Ok(()),
            }
        }
        kind::STRING => string(walk, slot, out),
        kind::SYMBOL => {
            let text = word(slot, layout.symbol_fstr);
            content(walk, text.unwrap_or_default(), None, out)
        }
        kind::HASH => {
            let (default, count) = (word(slot, layout.hash_ifnone), hash_len(walk, slot));
            write!(out, ", \"size\":{}", count.unwrap_or_default())?;
            match default {
                Some(default) if slot.flags & layout.proc_default != 0 => {
                    write!(out, ", \"default\":\"{default:#x}\"")
                }
                _ => Ok(()),
            }
        }
        kind::ARRAY => {
            let elements = objects::array_elements(view, layout, slot.address);
            let length = elements.map_or(0, |(_, length)| length);
            write!(out, ", \"length\":{length}")?;
            let is_told = length > 0 || layout.version >= (3, 2);
            if is_told && slot.flags & USER1 != 0 {
                out.write_all(b", \"embedded\":true")
            } else if length > 0 && slot.flags & layout.elts_shared != 0 {
                out.write_all(b", \"shared\":true")
            } else {
                Ok(())
            }
        }
        kind::CLASS | kind::MODULE | kind::ICLASS => class(walk, slot, out),
        kind::DATA => match walk.references.data_type(slot) {
            Some(name) => write!(out, ", \"struct\":{}", Json(&name)),
            None => Ok(()),
        },
        kind::FLOAT => {
            let value = slot.bytes.get(16..24).map(crate::view::le);
            let value = f64::from_bits(value.unwrap_or_default());
            write!(out, ", \"value\":\"{}\"", general(value))
        }
        kind::OBJECT => {
            if slot.flags & USER1 != 0 && layout.version >= (3, 3) {
                out.write_all(b", \"embedded\":true")?;
            }
            match walk.references.object_values(slot) {
                Some((_, count)) => write!(out, ", \"ivars\":{count}"),
                None => Ok(()),
            }
        }
        kind::FILE => {
            let descriptor = word(slot, layout.file_ptr)
                .and_then(|io| view.half(io.checked_add(layout.io_fd?)?));
            match descriptor {
                Some(number) => write!(out, ", \"fd\":{}", number.cast_signed()),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// As printf's `%#g` has it.
fn general(value: f64) -> String {
    const DIGITS: i32 = 6;
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent).max(0).cast_unsigned() as usize;
        let point = if decimals == 0 { "." } else { "" };
        return format!("{value:.decimals$}{point}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Which method it is of, and of objects of which class.
fn call_cache(walk: &Walk<'_, '_>, slot: Slot<'_>, out: &mut dyn Write) -> io::Result<()> {
    let (view, layout) = (walk.view, walk.layout);
    let id = || {
        let method = word(slot, layout.callcache_cme)?;
        let id = view.word(method.checked_add(layout.ment_called_id?)?)?;
        walk.ids.of_id(view, layout, id)
    };
    if let Some(name) = id() {
        write!(out, ", \"called_id\":{}", Json(&name))?;
    }
    match walk.heap.is_object(slot.class) {
        true => write!(out, ", \"receiver_class\":\"{:#x}\"", slot.class),
        false => Ok(()),
    }
}

pub(crate) fn word(slot: Slot<'_>, at: crate::layout::Field) -> Option<u64> {
    let at = usize::try_from(at?).ok()?;
    slot.bytes.get(at..at.checked_add(8)?).map(crate::view::le)
}

fn class(walk: &Walk<'_, '_>, slot: Slot<'_>, out: &mut dyn Write) -> io::Result<()> {
    let superclass = objects::superclass(walk.view, walk.layout, slot.address);
    let since_3_1 = walk.layout.version >= (3, 1);
    if superclass != 0 && since_3_1 {
        write!(out, ", \"superclass\":\"{superclass:#x}\"")?;
    }
    if slot.kind == kind::ICLASS || slot.class == 0 {
        return Ok(());
    }
    match walk.class_name(slot.address) {
        Some(name) => write!(out, ", \"name\":{}", Json(&name))?,
        None => {
            let key = match walk.layout.version {
                (2, _) => Some("name"),
                _ => since_3_1.then_some("real_class_name"),
            };
            if let (Some(key), Some(name)) = (key, walk.real_name(slot.address)) {
                write!(out, ", \"{key}\":{}", Json(&name))?;
            }
        }
    }
    match slot.flags & walk.layout.singleton != 0 && slot.kind == kind::CLASS && since_3_1 {
        true => out.write_all(b", \"singleton\":true"),
        false => Ok(()),
    }
}

pub(crate) fn hash_len(walk: &Walk<'_, '_>, slot: Slot<'_>) -> Option<u64> {
    let layout = walk.layout;
    // RHASH_AR_TABLE_SIZE_MASK, FL_USER4 to 7.
    let few = bits(slot.flags, 0xf << 16);
    match slot.flags & layout.hash_st != 0 {
        false => Some(few),
        true => st_len(walk.view, layout, hash_table(walk, slot)?),
    }
}

pub(crate) fn hash_table(walk: &Walk<'_, '_>, slot: Slot<'_>) -> Option<u64> {
    match walk.layout.hash_table {
        Some(_) => word(slot, walk.layout.hash_table),
        None => slot.address.checked_add(walk.layout.hash_size?),
    }
}

fn string(walk: &Walk<'_, '_>, slot: Slot<'_>, out: &mut dyn Write) -> io::Result<()> {
    let layout = walk.layout;
    let is_embedded = slot.flags & USER1 == 0;
    let is_shared = !is_embedded && slot.flags & layout.elts_shared != 0;
    if is_embedded {
        out.write_all(b", \"embedded\":true")?;
    }
    if slot.flags & BROKEN == BROKEN {
        out.write_all(b", \"broken\":true")?;
    }
    if slot.flags & CHILLED != 0 && layout.version >= (3, 4) {
        out.write_all(b", \"chilled\":true")?;
    }
    if slot.flags & RSTRING_FSTR != 0 {
        out.write_all(b", \"fstring\":true")?;
    }
    if is_shared {
        out.write_all(b", \"shared\":true")?;
    } else {
        let capacity = word(slot, layout.string_aux).filter(|_| !is_embedded);
        content(walk, slot.address, capacity, out)?;
    }
    coderange(walk, slot, out)?;
    let encoding = bits(slot.flags, ENCODING);
    match ENCODINGS.get(encoding as usize) {
        _ if encoding == BINARY => Ok(()),
        Some(name) => write!(out, ", \"encoding\":\"{name}\""),
        None => write!(out, ", \"encoding\":\"number {encoding}\""),
    }
}

/// What Ruby knows of a String's bytes, from 3.2 on.
fn coderange(walk: &Walk<'_, '_>, slot: Slot<'_>, out: &mut dyn Write) -> io::Result<()> {
    const KNOWN: [&str; 4] = ["unknown", "7bit", "valid", "broken"];
    match walk.layout.version >= (3, 2) {
        true => {
            let range = KNOWN[bits(slot.flags, BROKEN) as usize & 3];
            write!(out, ", \"coderange\":\"{range}\"")
        }
        false => Ok(()),
    }
}

/// Length, capacity where it is another, and the value of what is ASCII.
fn content(
    walk: &Walk<'_, '_>,
    string: u64,
    capacity: Option<u64>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (view, layout) = (walk.view, walk.layout);
    let Some((address, length)) = objects::string_place(view, layout, string) else {
        return Ok(());
    };
    write!(out, ", \"bytesize\":{length}")?;
    if let Some(capacity) = capacity.filter(|capacity| *capacity != length) {
        write!(out, ", \"capacity\":{capacity}")?;
    }
    let encoding = bits(view.word(string).unwrap_or_default(), ENCODING);
    // From 3.2 on nothing is said of what is empty.
    let is_told = length > 0 || layout.version < (3, 2);
    if walk.redact || !ASCII_COMPATIBLE.contains(&encoding) || !is_told {
        return Ok(());
    }
    if !pieces(walk, address, length, &mut |bytes| Ok(bytes.is_ascii()))? {
        return Ok(());
    }
    out.write_all(b", \"value\":\"")?;
    pieces(walk, address, length, &mut |bytes| {
        escaped(bytes, out)?;
        Ok(true)
    })?;
    out.write_all(b"\"")
}

/// Passes on the bytes until it is not so; whether it was so to the end.
fn pieces(
    walk: &Walk<'_, '_>,
    address: u64,
    length: u64,
    is_so: &mut dyn FnMut(&[u8]) -> io::Result<bool>,
) -> io::Result<bool> {
    let mut buffer = [0; PIECE as usize];
    let mut done = 0;
    while done < length {
        let here = (length - done).min(PIECE);
        let Some(at) = address.checked_add(done) else {
            return Ok(false);
        };
        let bytes = &mut buffer[..here as usize];
        let is_there = walk.view.spend(here.div_ceil(8)) && walk.view.read(at, bytes);
        if !is_there || !is_so(bytes)? {
            return Ok(false);
        }
        done += here;
    }
    Ok(true)
}

/// As JSON has it.
fn escaped(bytes: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            8 => "\\b",
            12 => "\\f",
            0..0x20 | 0x7f => "",
            _ => continue,
        };
        out.write_all(&bytes[plain..at])?;
        match short {
            "" => write!(out, "\\u{byte:04x}")?,
            short => out.write_all(short.as_bytes())?,
        }
        plain = at + 1;
    }
    out.write_all(&bytes[plain..])
}

/// A text within quotes.
pub(crate) struct Json<'t>(pub(crate) &'t str);

impl std::fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = Vec::with_capacity(self.0.len());
        // Into memory, which does not fail, and only ASCII is changed.
        let _ = escaped(self.0.as_bytes(), &mut bytes);
        write!(f, "\"{}\"", String::from_utf8_lossy(&bytes))
    }
}

/// What a String says, for names.
pub(crate) fn text(walk: &Walk<'_, '_>, string: u64) -> Option<String> {
    string_text(walk.view, walk.layout, string, PIECE)
}
