//! The sidecar of names: what a heap dump lacks to speak a Rubyist's words.
//!
//! A dump has addresses and no names for references. When the agent takes a
//! dump it writes beside it, one JSON object a line, which constant, class
//! variable, class-level instance variable or global holds which address, the
//! names of instance variables and struct members, and where each closure was
//! written. This module reads that text; it must not know the graph or how
//! the text came here.

use rbleak_units::Address;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;
use std::io::{self, BufRead};

/// Names by address, of one dump.
#[derive(Clone, Debug, Default)]
pub struct Names {
    values: FxHashMap<Address, Vec<Box<str>>>,
    ivars: FxHashMap<(Address, Address), Box<str>>,
    symbol_keys: FxHashMap<(Address, Address), Box<str>>,
    variables_by_class: FxHashMap<Address, Vec<Box<str>>>,
    code: FxHashMap<Address, CodeLocation>,
    own: FxHashSet<Address>,
    threads: FxHashMap<Address, Box<str>>,
    /// Lines that could not be read.
    skipped: usize,
}

/// Where a Proc or Method was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeLocation {
    /// The path as Ruby gives it.
    pub file: Box<str>,
    /// The line on which it begins.
    pub line: u32,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Entry {
    Constant(Named),
    ClassVariable(Named),
    ClassIvar(Named),
    Global(Named),
    ThreadLocal(Named),
    Ivar {
        object: Hex,
        name: Box<str>,
        value: Hex,
    },
    #[serde(alias = "struct_members")]
    ClassIvars {
        class: Hex,
        #[serde(default)]
        held: Vec<Box<str>>,
        #[serde(default)]
        mixed: bool,
    },
    #[serde(alias = "method", alias = "unbound_method")]
    Proc {
        object: Hex,
        location: Option<Box<str>>,
    },
    /// A value of a Hash whose key is a symbol.
    HashKey {
        object: Hex,
        name: Box<str>,
        value: Hex,
    },
    Thread {
        object: Hex,
        name: Option<Box<str>>,
        #[serde(default)]
        main: bool,
    },
    Own {
        object: Hex,
    },
    /// The header, and what a later agent may add.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Named {
    name: Box<str>,
    value: Hex,
}

struct Hex(Address);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Hex, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Hex).map_err(serde::de::Error::custom)
    }
}

impl Names {
    /// Reads a sidecar. Lines that cannot be read are counted and left out.
    ///
    /// # Errors
    /// Only those of the reader.
    pub fn read(mut reader: impl BufRead) -> io::Result<Names> {
        let mut names = Names::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(entry) => names.add(entry),
                Err(_) => names.skipped += 1,
            }
        }
        for list in names.values.values_mut() {
            // `Foo::CACHE` before `Foo::Internal::CACHE`, whatever the order
            // in which modules were walked.
            list.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
            list.dedup();
        }
        Ok(names)
    }

    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Constant(n)
            | Entry::ClassVariable(n)
            | Entry::ClassIvar(n)
            | Entry::Global(n)
            | Entry::ThreadLocal(n) => self.values.entry(n.value.0).or_default().push(n.name),
            Entry::Ivar {
                object,
                name,
                value,
            } => {
                self.ivars.insert((object.0, value.0), name);
            }
            Entry::HashKey {
                object,
                name,
                value,
            } => {
                self.symbol_keys.insert((object.0, value.0), name);
            }
            Entry::ClassIvars { class, held, mixed } => {
                if !mixed {
                    self.variables_by_class.insert(class.0, held);
                }
            }
            Entry::Proc { object, location } => {
                if let Some(location) = location.as_deref().and_then(parse_location) {
                    self.code.insert(object.0, location);
                }
            }
            Entry::Thread { object, name, main } => {
                let name = match (name, main) {
                    (Some(name), _) => name,
                    (None, true) => "main".into(),
                    (None, false) => "".into(),
                };
                self.threads.insert(object.0, name);
            }
            Entry::Own { object } => {
                self.own.insert(object.0);
            }
            Entry::Other => {}
        }
    }

    /// The name under which Ruby code reaches the object at `value`: a
    /// constant, class variable, class-level instance variable, global or
    /// thread-local. The shortest where there are several.
    pub fn of_value(&self, value: Address) -> Option<&str> {
        self.values.get(&value)?.first().map(AsRef::as_ref)
    }

    /// The objects that Ruby code reaches under a name, by address.
    pub fn find(&self, name: &str) -> Vec<Address> {
        let has = |names: &Vec<Box<str>>| names.iter().any(|known| **known == *name);
        let mut found: Vec<Address> = self
            .values
            .iter()
            .filter(|(_, names)| has(names))
            .map(|(&address, _)| address)
            .collect();
        found.sort_unstable();
        found
    }

    /// The instance variable of `object` that holds `value`, if the agent saw
    /// this very pair.
    pub fn ivar(&self, object: Address, value: Address) -> Option<&str> {
        self.ivars.get(&(object, value)).map(AsRef::as_ref)
    }

    /// The key under which the Hash at `hash` holds `value`, if it is a symbol
    /// and the agent saw this very pair: `:sold`.
    pub fn symbol_key(&self, hash: Address, value: Address) -> Option<&str> {
        self.symbol_keys.get(&(hash, value)).map(AsRef::as_ref)
    }

    /// The instance variables of a class's instances, or the members of a
    /// Struct class, that held an object in every instance that the agent
    /// looked at, in order: those that a dump lists among the references.
    /// `None` where they differ from instance to instance.
    pub fn variables_of_class(&self, class: Address) -> Option<&[Box<str>]> {
        self.variables_by_class.get(&class).map(Vec::as_slice)
    }

    /// Where the Proc or Method at `object` was written.
    pub fn code(&self, object: Address) -> Option<&CodeLocation> {
        self.code.get(&object)
    }

    /// The name of the thread at `object`: `main`, its own, or empty.
    pub fn thread(&self, object: Address) -> Option<&str> {
        self.threads.get(&object).map(AsRef::as_ref)
    }

    /// Whether the object belongs to rbleak's agent.
    pub fn is_own(&self, object: Address) -> bool {
        self.own.contains(&object)
    }

    /// Whether there are no names at all.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.ivars.is_empty() && self.code.is_empty()
    }

    /// How many lines could not be read.
    pub fn skipped_lines(&self) -> usize {
        self.skipped
    }
}

/// `app.rb:50`; the file may hold colons itself.
fn parse_location(text: &str) -> Option<CodeLocation> {
    let (file, line) = text.rsplit_once(':')?;
    Some(CodeLocation {
        file: file.into(),
        line: line.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDECAR: &str = r#"{"kind":"header","version":1,"ruby":"3.1.7"}
{"kind":"constant","module":"0x10","name":"Leaky::Internal::STORE","value":"0x20"}
{"kind":"constant","module":"0x10","name":"Leaky::STORE","value":"0x20"}
{"kind":"class_ivar","module":"0x10","name":"Leaky@cache","value":"0x28"}
{"kind":"global","name":"$seen","value":"0x30"}
{"kind":"ivar","object":"0x40","class":"0x18","name":"@token","value":"0x48"}
{"kind":"thread_local","thread":"0x60","name":"Thread.current[:leak]","value":"0x68"}
{"kind":"hash_key","object":"0x50","name":":sold","value":"0x58"}
{"kind":"class_ivars","class":"0x18","class_name":"Leaky::Session","names":["@id","@token"],"held":["@token"]}
{"kind":"struct_members","class":"0x19","members":["id","title"],"held":["title"]}
{"kind":"struct_members","class":"0x1a","members":["id","title"],"held":["title"],"mixed":true}
{"kind":"proc","object":"0x50","location":"C:/app.rb:50","lambda":true}
{"kind":"proc","object":"0x58","location":null,"lambda":true}
{"kind":"thread","object":"0x60","name":null,"main":true}
{"kind":"own","object":"0x70"}
{"kind":"from_the_future","x":1}
"#;

    fn address(number: u64) -> Address {
        Address(number)
    }

    #[test]
    fn every_kind_is_found_again() {
        let names = Names::read(SIDECAR.as_bytes()).unwrap();
        assert_eq!(names.of_value(address(0x20)), Some("Leaky::STORE"));
        assert_eq!(names.of_value(address(0x28)), Some("Leaky@cache"));
        assert_eq!(names.find("Leaky::Internal::STORE"), [address(0x20)]);
        assert_eq!(names.find("STORE"), []);
        assert_eq!(names.of_value(address(0x30)), Some("$seen"));
        assert_eq!(names.ivar(address(0x40), address(0x48)), Some("@token"));
        assert_eq!(
            names.symbol_key(address(0x50), address(0x58)),
            Some(":sold")
        );
        assert_eq!(names.symbol_key(address(0x58), address(0x50)), None);
        assert_eq!(names.of_value(address(0x68)), Some("Thread.current[:leak]"));
        let variables = |class| names.variables_of_class(address(class));
        assert_eq!(variables(0x18), Some(&["@token".into()][..]));
        assert_eq!(variables(0x19), Some(&["title".into()][..]));
        assert_eq!(variables(0x1a), None);
        let code = names.code(address(0x50)).unwrap();
        assert_eq!((&*code.file, code.line), ("C:/app.rb", 50));
        assert_eq!(names.code(address(0x58)), None);
        assert_eq!(names.thread(address(0x60)), Some("main"));
        assert!(names.is_own(address(0x70)));
        assert_eq!(names.skipped_lines(), 0);
    }

    #[test]
    fn lines_that_cannot_be_read_are_counted() {
        let text = "\n{\"kind\":\"own\",\"object\":\"junk\"}\nnot json\n\u{0}\n";
        assert_eq!(Names::read(text.as_bytes()).unwrap().skipped_lines(), 3);
    }
}
