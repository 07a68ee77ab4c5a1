//! What a census says: how many entries each named container of a process
//! has. Pure: the agent's lines in, values out. Compares nothing.

use rbleak_units::Address;
use serde::Deserialize;

use crate::connection::Fault;

/// A container that can be reached by a name. One that has several names is
/// told once by each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// `Leaky::CACHE`, `Leaky@cache`, `$seen`, `Thread.current[:leak]`; for a
    /// variable of an object that has a name, `Leaky::REGISTRY@cache`.
    pub name: String,
    /// `Array`, `Hash`, `Set`, `String` or a class below them.
    pub class: String,
    /// Where it lies: two censuses speak of the same object if it is the same.
    pub address: Address,
    /// How many entries it has; of a String, how many bytes.
    pub size: u64,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Container {
        name: String,
        class: String,
        address: String,
        size: u64,
    },
    End,
}

/// Reads the agent's lines; one that was not written to its end is refused.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Container>, Fault> {
    let mut containers = Vec::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let garbled = || Fault::Garbled(String::from_utf8_lossy(line).into_owned());
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(line).map_err(|_| garbled())? {
            Line::Container {
                name,
                class,
                address,
                size,
            } => containers.push(Container {
                name,
                class,
                address: address.parse().map_err(|_| garbled())?,
                size,
            }),
            Line::End => return Ok(containers),
        }
    }
    Err(Fault::Garbled("a census without an end".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"kind":"container","name":"Leaky::CACHE","class":"Hash","address":"0x00007f10","size":200}"#;

    #[test]
    fn containers_are_read() {
        let text = format!("{LINE}\n{{\"kind\":\"end\"}}\n");
        let container = Container {
            name: "Leaky::CACHE".into(),
            class: "Hash".into(),
            address: Address(0x7f10),
            size: 200,
        };
        assert_eq!(parse(text.as_bytes()).unwrap(), [container]);
    }

    #[test]
    fn half_a_census_is_refused() {
        for text in ["", LINE, &LINE[..40], "{\"kind\":\"end\""] {
            assert!(
                matches!(parse(text.as_bytes()), Err(Fault::Garbled(_))),
                "{text}"
            );
        }
    }
}
