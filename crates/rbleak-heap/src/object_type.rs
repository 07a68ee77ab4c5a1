//! The `type` of a dump's line: Ruby's internal object types.
//!
//! Knows the names that `obj_type()` in `ext/objspace/objspace_dump.c`
//! writes, and which of them are live objects; nothing about versions.

use std::fmt;

macro_rules! object_types {
    ($($variant:ident $text:literal $doc:literal,)*) => {
        /// What kind of slot a row is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum ObjectType {
            $(#[doc = $doc] $variant,)*
        }

        impl ObjectType {
            /// All of them, in the order of their declaration.
            pub const ALL: &[ObjectType] = &[$(ObjectType::$variant,)*];

            /// Ruby's own word: `STRING`, `IMEMO`, …
            pub fn as_str(self) -> &'static str {
                match self { $(ObjectType::$variant => $text,)* }
            }

            /// The type that Ruby writes as `text`; `Unknown` for one that
            /// this version of rbleak has not heard of.
            pub(crate) fn from_bytes(text: &[u8]) -> ObjectType {
                $(const $variant: &[u8] = $text.as_bytes();)*
                #[allow(non_upper_case_globals)]
                match text { $($variant => ObjectType::$variant,)* _ => ObjectType::Unknown }
            }
        }
    };
}

#[allow(non_upper_case_globals)]
mod types {
    object_types! {
        Array "ARRAY" "An `Array`.",
        Bignum "BIGNUM" "An `Integer` too big for a machine word.",
        Class "CLASS" "A class, singleton classes included.",
        Complex "COMPLEX" "A `Complex`.",
        Data "DATA" "An object implemented in C.",
        False "FALSE" "`false`; never on the heap.",
        File "FILE" "An `IO`.",
        Fixnum "FIXNUM" "A small `Integer`; never on the heap.",
        Float "FLOAT" "A `Float` that does not fit a machine word.",
        Hash "HASH" "A `Hash`.",
        Iclass "ICLASS" "A module's place in an ancestor chain (internal).",
        Imemo "IMEMO" "An internal record of the virtual machine (2.3 and later).",
        Match "MATCH" "A `MatchData`.",
        Module "MODULE" "A module.",
        Moved "MOVED" "What compaction leaves behind: no object.",
        Nil "NIL" "`nil`; never on the heap.",
        Node "NODE" "A node of the syntax tree (internal).",
        None "NONE" "A free slot (`full: true`): no object.",
        Object "OBJECT" "An object of a class written in Ruby.",
        Rational "RATIONAL" "A `Rational`.",
        Regexp "REGEXP" "A `Regexp`.",
        String "STRING" "A `String`.",
        Struct "STRUCT" "A `Struct` or `Data`.",
        Symbol "SYMBOL" "A dynamic `Symbol`.",
        True "TRUE" "`true`; never on the heap.",
        Undef "UNDEF" "Undefined; never on the heap.",
        Zombie "ZOMBIE" "A dead object that waits for its finalizer.",
        Unknown "UNKNOWN" "A type this reader does not know.",
    }
}
pub use types::ObjectType;

impl ObjectType {
    /// Whether a slot of this type holds an object: not free, not moved
    /// away, not dead.
    pub fn is_live(self) -> bool {
        !matches!(
            self,
            ObjectType::None | ObjectType::Zombie | ObjectType::Moved
        )
    }

    /// Whether it is one of the virtual machine's own records, which no Ruby
    /// program sees.
    pub fn is_internal(self) -> bool {
        matches!(
            self,
            ObjectType::Imemo | ObjectType::Iclass | ObjectType::Node
        )
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back_from_its_name() {
        for &object_type in ObjectType::ALL {
            assert_eq!(
                ObjectType::from_bytes(object_type.as_str().as_bytes()),
                object_type
            );
        }
        assert_eq!(ObjectType::from_bytes(b"ROBOT"), ObjectType::Unknown);
    }
}
