//! The states of a TCP socket, with the kernel's numbers and names.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

pub use crate::wire::TcpState;

impl TcpState {
    /// Every state, in the order of a connection's life.
    pub const LIFECYCLE: [Self; Self::COUNT] = [
        Self::Close,
        Self::Listen,
        Self::SynSent,
        Self::SynRecv,
        Self::NewSynRecv,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::CloseWait,
        Self::LastAck,
        Self::Closing,
    ];

    /// The kernel's name without `TCP_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
            Self::NewSynRecv => "NEW_SYN_RECV",
        }
    }

    /// The kernel's number, 1 to 12.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for TcpState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TcpState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name: Cow<'_, str> = Deserialize::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for TcpState {
    fn schema_name() -> Cow<'static, str> {
        "tcp_state".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": Self::LIFECYCLE.map(Self::name) })
    }
}

/// The states that a socket passes; it is never half-open.
pub(crate) fn passed(_: &mut SchemaGenerator) -> Schema {
    let passed = TcpState::LIFECYCLE.into_iter().filter(|state| *state != TcpState::NewSynRecv);
    let names: Vec<_> = passed.map(|state| Some(state.name())).chain([None]).collect();
    json_schema!({ "enum": names })
}

/// A word that names no TCP state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown TCP state; valid states: {}", TcpState::LIFECYCLE.map(TcpState::name).join(" "))]
pub struct UnknownState;

impl FromStr for TcpState {
    type Err = UnknownState;

    /// Reads the kernel's spelling and that of `ss` (`time-wait`, `fin-wait-1`, `estab`,
    /// `unconn`), in either case.
    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let plain = |s: &str| -> String {
            s.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_uppercase()).collect()
        };
        let wanted = plain(text);
        match wanted.as_str() {
            "ESTAB" => return Ok(Self::Established),
            "UNCONN" | "CLOSED" => return Ok(Self::Close),
            _ => {}
        }
        Self::LIFECYCLE.into_iter().find(|state| plain(state.name()) == wanted).ok_or(UnknownState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_numbers_are_unique() {
        let mut numbers = TcpState::LIFECYCLE.map(TcpState::number);
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        for state in TcpState::ALL {
            assert_eq!(TcpState::from_number(state.number()), Some(state));
            assert_eq!(state.name().parse(), Ok(state));
        }
        assert_eq!(TcpState::from_number(0_u8), None);
        assert_eq!(TcpState::from_number(13_u8), None);
    }

    #[test]
    fn reads_the_spelling_of_ss() {
        assert_eq!("time-wait".parse(), Ok(TcpState::TimeWait));
        assert_eq!("FIN-WAIT-1".parse(), Ok(TcpState::FinWait1));
        assert_eq!("fin_wait2".parse(), Ok(TcpState::FinWait2));
        assert_eq!("estab".parse(), Ok(TcpState::Established));
        let error = "NOPE".parse::<TcpState>().unwrap_err().to_string();
        assert!(error.contains("CLOSE_WAIT"), "{error}");
        assert_eq!("".parse::<TcpState>(), Err(UnknownState));
    }
}
