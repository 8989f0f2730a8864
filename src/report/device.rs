//! The name of a network device.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// `IFNAMSIZ`, with the NUL at its end.
const LEN: usize = 16;

/// A name, at most 15 bytes, in which the kernel allows all but white space, `/` and `:`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device([u8; LEN]);

impl Device {
    /// One whose name is not known.
    pub fn numbered(index: u32) -> Self {
        format!("if{index}").as_str().into()
    }

    /// Its bytes, to be escaped.
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(LEN);
        &self.0[..end]
    }
}

impl From<&str> for Device {
    fn from(name: &str) -> Self {
        let mut bytes = [0; LEN];
        for (to, from) in bytes.iter_mut().zip(name.bytes().take(LEN - 1)) {
            *to = from;
        }
        Self(bytes)
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.as_str().into())
    }
}

impl JsonSchema for Device {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "device".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_where_the_kernel_cuts_it() {
        assert_eq!(Device::from("a-name-of-twenty-bytes").as_bytes(), b"a-name-of-twent");
        assert_eq!(serde_json::to_string(&Device::from("vb")).unwrap(), "\"vb\"");
        assert_eq!(serde_json::from_str::<Device>("\"vb\"").unwrap(), Device::from("vb"));
    }
}
