//! Values that several kinds have.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::tcp_state::TcpState;

/// Wall-clock ns since the epoch; 0 where a line does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ts(pub i64);

/// How rows of an interval are grouped.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is a value of --by")]
pub enum By {
    Process,
    Connection,
    Remote,
    Port,
    Cgroup,
    Netns,
    Total,
    Group,
    /// One that this version does not know, or none.
    #[default]
    #[serde(other)]
    Other,
}

/// Whom a row is about; what is no part of it, or not known, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the keys that mean the same in every kind")]
pub struct Key {
    pub pid: Option<u32>,
    pub comm: Option<Box<str>>,
    pub laddr: Option<IpAddr>,
    pub lport: Option<u16>,
    pub raddr: Option<IpAddr>,
    pub rport: Option<u16>,
    pub netns: Option<u32>,
    pub cgroup: Option<Box<str>>,
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ts = Timestamp::from_nanosecond(self.0.into()).unwrap_or_default();
        write!(f, "{ts:.9}")
    }
}

impl Serialize for Ts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TsVisitor)
    }
}

struct TsVisitor;

impl Visitor<'_> for TsVisitor {
    type Value = Ts;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a time as RFC 3339 writes it")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Ts, E> {
        let ts: Timestamp =
            text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
        i64::try_from(ts.as_nanosecond())
            .map(Ts)
            .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, ns: i64) -> Result<Ts, E> {
        Ok(Ts(ns))
    }
}

/// States by the kernel's names; `null` for one that is not known.
pub(super) mod state {
    use super::{Deserialize, Deserializer, Serialize, Serializer, TcpState, de};

    #[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub fn serialize<S: Serializer>(state: &Option<TcpState>, to: S) -> Result<S::Ok, S::Error> {
        state.map(TcpState::name).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TcpState>, D::Error> {
        let name: Option<std::borrow::Cow<'_, str>> = Option::deserialize(from)?;
        name.map(|name| name.parse().map_err(de::Error::custom)).transpose()
    }
}
