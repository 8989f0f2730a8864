//! Values that records are made of.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::wire::{COMM_LEN, PID_OUTSIDE};

const SECOND: i64 = 1_000_000_000;

/// Wall-clock ns since the epoch; 0 where a line does not say. JSON has RFC 3339 in UTC with nine
/// digits, like `2026-01-02T03:04:05.000000006Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ts(pub i64);

/// The text of a second; most records share it with the one before.
type Date = (i64, [u8; 19]);

thread_local! {
    static DATE: Cell<Option<Date>> = const { Cell::new(None) };
}

fn date(second: i64) -> [u8; 19] {
    if let Some((at, text)) = DATE.get()
        && at == second
    {
        return text;
    }
    // Any i64 of nanoseconds lies between the years 1677 and 2262, which jiff covers.
    let time = Timestamp::from_second(second).unwrap_or_default().to_zoned(TimeZone::UTC);
    let mut text = [b'-'; 19];
    // The width is that of the format, so there is always room.
    let _ = std::io::Write::write_fmt(
        &mut &mut text[..],
        format_args!("{}", time.strftime("%Y-%m-%dT%H:%M:%S")),
    );
    DATE.set(Some((second, text)));
    text
}

impl Ts {
    /// As tables show it.
    pub fn cell(self) -> super::Cell<'static> {
        super::Cell::Time(self.0)
    }

    /// RFC 3339 as ASCII.
    pub fn rfc3339(self) -> [u8; 30] {
        let mut text = [b'.'; 30];
        text[..19].copy_from_slice(&date(self.0.div_euclid(SECOND)));
        // The one in front keeps leading zeros.
        let digits = self.0.rem_euclid(SECOND) + SECOND;
        text[20..29].copy_from_slice(&itoa::Buffer::new().format(digits).as_bytes()[1..]);
        text[29] = b'Z';
        text
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.rfc3339()).unwrap_or_default())
    }
}

impl Serialize for Ts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.rfc3339();
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Ts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TsVisitor)
    }
}

struct TsVisitor;

impl Visitor<'_> for TsVisitor {
    type Value = Ts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time as RFC 3339 writes it")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Ts, E> {
        let invalid = || E::invalid_value(de::Unexpected::Str(text), &self);
        let ts: Timestamp = text.parse().map_err(|_| invalid())?;
        i64::try_from(ts.as_nanosecond()).map(Ts).map_err(|_| invalid())
    }
}

impl JsonSchema for Ts {
    fn schema_name() -> Cow<'static, str> {
        "ts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z$"
        })
    }
}

/// A process name: as the kernel has it, which may be any bytes, or as a line of JSON has it.
#[derive(Clone)]
pub enum Comm {
    /// Ends at the first NUL.
    Kernel([u8; COMM_LEN]),
    /// Read from JSON.
    Text(Box<str>),
}

impl Comm {
    /// That of a process; without a process (pid 0) there is none.
    pub fn of(pid: u32, bytes: [u8; COMM_LEN]) -> Option<Self> {
        (pid != 0).then_some(Self::Kernel(bytes))
    }

    /// Its bytes, taken to be hostile.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Kernel(bytes) => {
                &bytes[..bytes.iter().position(|&byte| byte == 0).unwrap_or(COMM_LEN)]
            }
            Self::Text(text) => text.as_bytes(),
        }
    }

    /// As text, which may still hold control characters.
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }
}

impl From<&str> for Comm {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_text().fmt(f)
    }
}

impl PartialEq for Comm {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Comm {}

impl PartialOrd for Comm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Comm {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Comm {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl Serialize for Comm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.as_bytes()) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_str(&self.to_text()),
        }
    }
}

impl<'de> Deserialize<'de> for Comm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::deserialize(deserializer).map(Self::Text)
    }
}

impl JsonSchema for Comm {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "comm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": COMM_LEN - 1 })
    }
}

/// A process's number in the PID namespace of the tool, if it is known and has one.
pub fn pid_inside(pid: u32) -> Option<u32> {
    (pid != 0 && pid & PID_OUTSIDE == 0).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits_and_read_back() {
        let ns = 1_767_323_045 * SECOND + 7;
        for (ts, expected) in [
            (ns, "2026-01-02T03:04:05.000000007Z"),
            (ns + 92, "2026-01-02T03:04:05.000000099Z"),
            (ns + SECOND, "2026-01-02T03:04:06.000000007Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
        ] {
            assert_eq!(Ts(ts).rfc3339(), expected.as_bytes());
            assert_eq!(serde_json::from_str::<Ts>(&format!("\"{expected}\"")).unwrap(), Ts(ts));
        }
    }

    #[test]
    fn a_process_outside_of_the_pid_namespace_has_a_name_only() {
        let key =
            crate::report::Key::default().owned(7 | PID_OUTSIDE, *b"curl\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!((key.pid, key.comm), (None, Some(Comm::from("curl"))));
    }

    #[test]
    fn a_name_is_the_same_from_the_kernel_and_from_a_line() {
        let kernel = Comm::of(7, *b"curl\0rest\0\0\0\0\0\0\0").unwrap();
        assert_eq!(kernel, Comm::from("curl"));
        assert_eq!(kernel.to_text(), "curl");
        assert_eq!(Comm::of(0, *b"curl\0\0\0\0\0\0\0\0\0\0\0\0"), None);
        let full = Comm::Kernel([b'x'; COMM_LEN]);
        assert_eq!(full.as_bytes().len(), COMM_LEN);
        assert_eq!(serde_json::to_string(&Comm::Kernel([0xff; COMM_LEN])).unwrap().len(), 50);
    }
}
