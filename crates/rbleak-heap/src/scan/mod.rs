//! One line of a dump, read by its keys.
//!
//! No JSON tree: a key that is not asked for costs a skip. The same loop
//! reads a line strictly, as JSON, and, if that fails, as Ruby really wrote
//! it ([`Mode::Repair`]): `file`, `struct`, `name`, `real_class_name` and
//! `method` raw. Knows neither files nor columns.

mod cursor;
mod keys;
mod memo;
mod quick;
mod text;
mod word;

use crate::object_type::ObjectType;
pub(crate) use cursor::Cursor;
pub(crate) use memo::{Memo, MemoKey, Remembered};
pub(crate) use quick::quick;
pub(crate) use text::decode;

/// How the strings that Ruby may write raw are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As JSON.
    Strict,
    /// To the quote that is followed by a key that may follow.
    Repair,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum LineKind {
    /// No `type`: no line of a dump.
    #[default]
    Other,
    Root,
    Shape,
    Object(ObjectType),
}

/// Why a line could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Malformed,
    /// A raw string does not end in this line: the next one may belong to it.
    Incomplete,
}

/// The fields that any object may have. Strings are what stands between the
/// quotes; empty and absent numbers are `None`, an absent address is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields<'a> {
    pub(crate) address: u64,
    pub(crate) class: u64,
    /// `struct` of DATA, `imemo_type` of IMEMO, `node_type` of NODE.
    pub(crate) detail: Option<&'a [u8]>,
    pub(crate) file: Option<&'a [u8]>,
    pub(crate) line: Option<u64>,
    pub(crate) method: Option<&'a [u8]>,
    pub(crate) generation: Option<u64>,
    pub(crate) memsize: Option<u64>,
    pub(crate) slot_size: Option<u64>,
    /// `length` of ARRAY, `size` of HASH, `bytesize` of STRING and SYMBOL,
    /// `ivars` of OBJECT.
    pub(crate) length: Option<u64>,
    pub(crate) shape_id: Option<u64>,
    /// The number of the kind, instead of `class`, `detail`, `file`, `line` and
    /// `method`, if a line that says the same was remembered.
    pub(crate) kind: Option<u32>,
    /// By what the line can be found again, if it was not remembered and may be.
    pub(crate) key: Option<MemoKey>,
    /// Has a key that appeared with 3.3.
    pub(crate) has_receiver_class: bool,
    /// Has a key that appeared with 3.4.
    pub(crate) has_chilled: bool,
}

/// The fields of a line: those of an object, and those of few.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record<'a> {
    pub(crate) kind: LineKind,
    pub(crate) fields: Fields<'a>,
    pub(crate) superclass: u64,
    pub(crate) singleton: bool,
    pub(crate) name: Option<&'a [u8]>,
    pub(crate) real_class_name: Option<&'a [u8]>,
    pub(crate) root: Option<&'a [u8]>,
    pub(crate) shape: ShapeFields<'a>,
}

/// The fields that only a SHAPE line has.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShapeFields<'a> {
    pub(crate) id: Option<u64>,
    pub(crate) parent_id: Option<u64>,
    pub(crate) edge_name: Option<&'a [u8]>,
    pub(crate) shape_type: Option<&'a [u8]>,
}

/// What follows each raw field in `dump_object()`; a raw string ends only
/// before one of these.
const AFTER_METHOD: &[&[u8]] = &[b"generation\":", b"memsize\":", b"flags\":{"];
const AFTER_FILE: &[&[u8]] = &[
    b"line\":",
    b"method\":\"",
    b"generation\":",
    b"memsize\":",
    b"flags\":{",
];
const AFTER_NAME: &[&[u8]] = &[
    b"singleton\":true",
    b"references\":[",
    b"file\":\"",
    b"line\":",
    b"method\":\"",
    b"generation\":",
    b"memsize\":",
    b"flags\":{",
];

/// The address of a line that starts with it, as Ruby writes them all.
pub(crate) fn address_of(line: &[u8]) -> Option<u64> {
    if let Some(address) = quick::usual_address(line) {
        return Some(address);
    }
    Cursor::new(line.strip_prefix(b"{\"address\":")?).address()
}

/// Reads one line (or several, joined by the newlines that split it).
///
/// The addresses in its `references` are appended to `references` if they
/// are `wanted`, or if nothing else tells the superclass of a class. After a
/// failure the vector may hold some of them.
#[inline]
pub(crate) fn scan<'a>(
    line: &'a [u8],
    mode: Mode,
    references: &mut Vec<u64>,
    wanted: bool,
) -> Result<Record<'a>, Failure> {
    let mut record = Record::default();
    let mut cursor = Cursor::new(line);
    cursor.space();
    cursor.eat(b'{').ok_or(Failure::Malformed)?;
    cursor.space();
    if cursor.eat(b'}').is_none() {
        loop {
            field(&mut cursor, &mut record, mode, references, wanted)?;
            cursor.space();
            if cursor.eat(b',').is_none() {
                cursor.eat(b'}').ok_or(Failure::Malformed)?;
                break;
            }
            cursor.space();
        }
    }
    cursor.space();
    match cursor.peek() {
        None => Ok(record),
        Some(_) => Err(Failure::Malformed),
    }
}

#[inline]
fn field<'a>(
    cursor: &mut Cursor<'a>,
    record: &mut Record<'a>,
    mode: Mode,
    references: &mut Vec<u64>,
    wanted: bool,
) -> Result<(), Failure> {
    let key = cursor.key().ok_or(Failure::Malformed)?;
    let raw = |cursor: &mut Cursor<'a>, followers| match mode {
        _ if cursor.peek() != Some(b'"') => skip(cursor).map(|()| None),
        Mode::Strict => cursor.string().map(Some).ok_or(Failure::Malformed),
        Mode::Repair => cursor
            .raw_string(followers)
            .map(Some)
            .ok_or(Failure::Incomplete),
    };
    match key {
        b"address" => record.fields.address = address(cursor)?,
        b"type" => {
            record.kind = match string(cursor)? {
                None => LineKind::Other,
                Some(b"ROOT") => LineKind::Root,
                Some(b"SHAPE") => LineKind::Shape,
                Some(text) => LineKind::Object(ObjectType::from_bytes(text)),
            }
        }
        b"class" => record.fields.class = address(cursor)?,
        b"superclass" => record.superclass = address(cursor)?,
        b"singleton" => {
            record.singleton = cursor.peek() == Some(b't');
            skip(cursor)?;
        }
        b"references" => {
            // A class without `superclass` tells it by its references only.
            let telling =
                record.kind == LineKind::Object(ObjectType::Class) && record.superclass == 0;
            if (wanted || telling) && cursor.peek() == Some(b'[') {
                cursor.addresses(references).ok_or(Failure::Malformed)?;
            } else if mode == Mode::Repair || cursor.skip_flat_array().is_none() {
                // The quick way is wrong about a bracket in a string.
                skip(cursor)?;
            }
        }
        b"flags" => {
            if cursor.skip_last_object().is_none() {
                skip(cursor)?;
            }
        }
        b"file" => record.fields.file = raw(cursor, AFTER_FILE)?,
        b"method" => record.fields.method = raw(cursor, AFTER_METHOD)?,
        b"line" => record.fields.line = integer(cursor)?,
        b"generation" => record.fields.generation = integer(cursor)?,
        b"memsize" => record.fields.memsize = integer(cursor)?,
        b"slot_size" => record.fields.slot_size = integer(cursor)?,
        b"shape_id" => record.fields.shape_id = integer(cursor)?,
        b"length" | b"size" | b"bytesize" | b"ivars" => record.fields.length = integer(cursor)?,
        b"struct" => record.fields.detail = raw(cursor, AFTER_NAME)?,
        b"imemo_type" | b"node_type" => record.fields.detail = string(cursor)?,
        b"name" => record.name = raw(cursor, AFTER_NAME)?,
        b"real_class_name" => record.real_class_name = raw(cursor, AFTER_NAME)?,
        b"root" => record.root = string(cursor)?,
        b"id" => record.shape.id = integer(cursor)?,
        b"parent_id" => record.shape.parent_id = integer(cursor)?,
        b"edge_name" => record.shape.edge_name = string(cursor)?,
        b"shape_type" => record.shape.shape_type = string(cursor)?,
        b"receiver_class" => {
            record.fields.has_receiver_class = true;
            skip(cursor)?;
        }
        b"chilled" => {
            record.fields.has_chilled = true;
            skip(cursor)?;
        }
        _ => skip(cursor)?,
    }
    Ok(())
}

fn skip(cursor: &mut Cursor<'_>) -> Result<(), Failure> {
    cursor.skip_value().ok_or(Failure::Malformed)
}

/// An address; 0 for a value that is none.
#[inline]
fn address(cursor: &mut Cursor<'_>) -> Result<u64, Failure> {
    match cursor.address() {
        Some(address) => Ok(address),
        None => skip(cursor).map(|()| 0),
    }
}

#[inline]
fn integer(cursor: &mut Cursor<'_>) -> Result<Option<u64>, Failure> {
    match cursor.integer() {
        Some(value) => Ok(Some(value)),
        None => skip(cursor).map(|()| None),
    }
}

#[inline]
fn string<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Failure> {
    if cursor.peek() == Some(b'"') {
        cursor.string().map(Some).ok_or(Failure::Malformed)
    } else {
        skip(cursor).map(|()| None)
    }
}
