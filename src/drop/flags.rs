//! Flags of a TCP header.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Names by bit, the lowest first.
const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

/// All combinations, spelled.
static SPELLED: LazyLock<Vec<String>> = LazyLock::new(|| (0..=u8::MAX).map(spell).collect());

fn spell(bits: u8) -> String {
    let set = (0..8).filter(|bit| bits & 1 << bit != 0).map(|bit| NAMES[bit]);
    set.collect::<Vec<_>>().join("|")
}

/// The byte of a TCP header that has the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// As `SYN|ACK`; nothing if none is set.
    pub fn name(self) -> &'static str {
        &SPELLED[usize::from(self.0)]
    }
}

impl Serialize for TcpFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TcpFlags {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;

        impl Visitor<'_> for Names {
            type Value = TcpFlags;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("flags like SYN|ACK")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TcpFlags, E> {
                let bit = |name: &str| NAMES.iter().position(|one| *one == name);
                let add = |bits: u8, name| Some(bits | 1 << bit(name)?);
                let bits = text.split('|').filter(|name| !name.is_empty()).try_fold(0, add);
                bits.map(TcpFlags).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        from.deserialize_str(Names)
    }
}

impl JsonSchema for TcpFlags {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "flags".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = NAMES.join("|");
        json_schema!({ "type": "string", "pattern": format!(r"^(({one})(\|({one}))*)?$") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_words_and_read_as_written() {
        assert_eq!(TcpFlags(0x12).name(), "SYN|ACK");
        assert_eq!(TcpFlags(0).name(), "");
        for bits in 0..=u8::MAX {
            let text = serde_json::to_string(&TcpFlags(bits)).unwrap();
            assert_eq!(serde_json::from_str::<TcpFlags>(&text).unwrap(), TcpFlags(bits), "{text}");
        }
        assert!(serde_json::from_str::<TcpFlags>("\"SYN|XYZ\"").is_err());
    }
}
