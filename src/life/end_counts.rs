//! Counts by how connections ended.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::report::Word as _;
use crate::wire::LifeEnd;

/// Connections by how they ended. JSON has every end as a key, so that all lines have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends([u64; LifeEnd::COUNT]);

/// The key of those of which the end is unknown.
const UNKNOWN: &str = "unknown";

/// The ends that a connection of a sum can have, with their keys.
fn keys() -> impl Iterator<Item = (LifeEnd, &'static str)> {
    let ended = LifeEnd::WORDS.iter().copied().filter(|(end, _)| *end != LifeEnd::Open);
    ended.chain([(LifeEnd::Unknown, UNKNOWN)])
}

impl Ends {
    /// Counts one.
    pub fn count(&mut self, end: LifeEnd) {
        self.0[end as usize] += 1;
    }

    /// Counts several.
    pub fn count_all(&mut self, end: LifeEnd, count: u64) {
        self.0[end as usize] += count;
    }

    /// Each end with its key, and how many there are.
    pub fn words(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let ends = *self;
        keys().map(move |(end, key)| (key, ends.of(end)))
    }

    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    /// Those whose word begins so.
    pub fn starting(&self, prefix: &str) -> u64 {
        keys().filter(|(_, word)| word.starts_with(prefix)).map(|(end, _)| self.of(end)).sum()
    }

    /// Those of one end.
    pub fn of(&self, end: LifeEnd) -> u64 {
        self.0[end as usize]
    }

    /// All.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl Serialize for Ends {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (end, key) in keys() {
            map.serialize_entry(key, &self.of(end))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Ends {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let map = std::collections::HashMap::<String, u64>::deserialize(from)?;
        let mut ends = Self::default();
        for (end, key) in keys() {
            ends.0[end as usize] = map.get(key).copied().unwrap_or(0);
        }
        Ok(ends)
    }
}

impl JsonSchema for Ends {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ends".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let count = serde_json::json!({ "type": "integer", "minimum": 0 });
        let properties: serde_json::Map<_, _> =
            keys().map(|(_, key)| (key.to_owned(), count.clone())).collect();
        let required: Vec<_> = keys().map(|(_, key)| key).collect();
        json_schema!({ "type": "object", "properties": properties, "required": required })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_a_key_of_every_line() {
        let mut ends = Ends::default();
        for end in [LifeEnd::Refused, LifeEnd::Unread, LifeEnd::Unread, LifeEnd::Unknown] {
            ends.count(end);
        }
        let json = serde_json::to_value(ends).unwrap();
        assert_eq!(json["reset_sent_unread_data"], 2);
        assert_eq!(json["closed_by_us"], 0);
        assert_eq!(json["unknown"], 1);
        assert!(json.get("open").is_none());
        assert_eq!(serde_json::from_value::<Ends>(json).unwrap(), ends);
        assert_eq!((ends.starting("reset_sent"), ends.total()), (2, 4));
    }
}
