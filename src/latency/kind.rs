//! Kinds and roles of latencies.

use crate::report::spell;
pub use crate::wire::{LatencyKind, SocketRole as Role};

spell! { "latency_kind" LatencyKind {
    Response = "response",
    Service = "service",
    Rtt = "rtt",
    Connect = "connect",
    Accept = "accept",
} }

spell! { "role" Role { Client = "client", Server = "server", } }

impl LatencyKind {
    /// As `--kind` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
            Self::Rtt => "rtt",
            Self::Connect => "connect",
            Self::Accept => "accept",
        }
    }

    /// The same for people: where the role is unknown, one of the two may be the client's think time.
    pub fn marked(self, role: Option<Role>) -> &'static str {
        match (self, role) {
            (Self::Response, None) => "response?",
            (Self::Service, None) => "service?",
            _ => self.name(),
        }
    }

    /// Its bit in [`Kinds`].
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The kind called `name`.
    ///
    /// # Errors
    /// The kinds there are.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("valid kinds: {names}")
        })
    }
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// Every kind; accept only where that costs next to nothing.
    pub const DEFAULT: Self = Self((1 << LatencyKind::COUNT) - 1);
    /// Exchanges alone.
    pub const EXCHANGES: Self = Self(LatencyKind::Response.bit() | LatencyKind::Service.bit());
    /// Of the handshake alone: no data is watched for them.
    pub const HANDSHAKE: Self = Self(LatencyKind::Connect.bit() | LatencyKind::Accept.bit());

    /// Those named.
    pub fn of(kinds: &[LatencyKind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | kind.bit()))
    }

    /// Whether `kind` is one of them.
    pub fn has(self, kind: LatencyKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// As the programs want them.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Role {
    /// In a word, where it is known.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Client => Some("client"),
            Self::Server => Some("server"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_called_by_name() {
        for kind in LatencyKind::ALL {
            assert_eq!(LatencyKind::parse(kind.name()), Ok(kind));
        }
        let error = LatencyKind::parse("latency").unwrap_err();
        assert_eq!(error, "valid kinds: response, service, rtt, connect, accept");
    }

    #[test]
    fn a_set_contains_its_elements() {
        let set = Kinds::of(&[LatencyKind::Rtt, LatencyKind::Service]);
        let has: Vec<_> = LatencyKind::ALL.into_iter().filter(|kind| set.has(*kind)).collect();
        assert_eq!(has, [LatencyKind::Service, LatencyKind::Rtt]);
        assert!(LatencyKind::ALL.into_iter().all(|kind| Kinds::DEFAULT.has(kind)));
        assert_eq!(Kinds::EXCHANGES, Kinds::of(&[LatencyKind::Response, LatencyKind::Service]));
    }
}
