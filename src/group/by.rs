//! What sums are grouped by, and the key of an event under each grouping.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::flow::{ip, is_link_local};
use crate::wire::{self, ADDR_LEN, Flow, GroupKey, Options};

/// How rows of an interval are grouped, as records say it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs, reason = "each is a value of --by")]
pub enum Grouping {
    Process,
    Connection,
    Remote,
    Local,
    Port,
    Cgroup,
    Netns,
    Total,
    Reason,
    /// One that this version does not know, or none.
    #[default]
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

impl Grouping {
    /// As `--by` and records spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Connection => "connection",
            Self::Remote => "remote",
            Self::Local => "local",
            Self::Port => "port",
            Self::Cgroup => "cgroup",
            Self::Netns => "netns",
            Self::Total => "total",
            Self::Reason => "reason",
            Self::Unknown => "-",
        }
    }
}

/// The first bits of an address of the wire, by its family.
fn prefix(addr: [u8; ADDR_LEN], v4: u8, v6: u8) -> [u8; ADDR_LEN] {
    let bits = if ip(&addr).is_ipv4() { 96 + u32::from(v4) } else { u32::from(v6) };
    let host = u128::MAX.checked_shr(bits).unwrap_or(0);
    (u128::from_be_bytes(addr) & !host).to_be_bytes()
}

/// How tools group that sum up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupBy {
    /// By the process that calls.
    #[default]
    Process,
    /// By connection.
    Connection,
    /// By remote address; bits kept of an IPv4 and of an IPv6 address.
    Remote(u8, u8),
    /// By local port.
    Port,
    /// By the cgroup of the process.
    Cgroup,
    /// By network namespace.
    Netns,
    /// One line.
    Total,
}

impl GroupBy {
    /// As the programs call it. There is one more, by process and remote address, which no tool
    /// shows as it is.
    pub fn as_wire(self) -> wire::GroupBy {
        match self {
            Self::Process => wire::GroupBy::Process,
            Self::Connection => wire::GroupBy::Connection,
            Self::Remote(..) => wire::GroupBy::Remote,
            Self::Port => wire::GroupBy::Port,
            Self::Cgroup => wire::GroupBy::Cgroup,
            Self::Netns => wire::GroupBy::Netns,
            Self::Total => wire::GroupBy::Total,
        }
    }

    /// Whether new keys come seldom: not where peers or their connections are the keys.
    pub fn has_lasting_keys(self) -> bool {
        !matches!(self, Self::Connection | Self::Remote(..))
    }

    /// Asks the programs to read what this grouping needs.
    pub fn configure(self, options: &mut Options) {
        options.want_netns |= u32::from(matches!(self, Self::Netns | Self::Connection));
        options.want_cgroup |= u32::from(self == Self::Cgroup);
        if let Self::Remote(v4, v6) = self {
            (options.remote_prefix4, options.remote_prefix6) = (v4.into(), v6.into());
        }
    }

    /// The key of an event, as programs that sum up make it (`bpf/lib/group.h`).
    pub fn key_of(self, flow: &Flow, pid: u32, cgroup: u64) -> GroupKey {
        let mut key = GroupKey::default();
        match self {
            Self::Process => key.pid = pid,
            Self::Connection => key.flow = *flow,
            Self::Remote(v4, v6) => {
                key.flow.raddr = prefix(flow.raddr, v4, v6);
                if is_link_local(&flow.raddr) && flow.device != 0 {
                    (key.flow.device, key.flow.netns) = (flow.device, flow.netns);
                }
            }
            Self::Port => key.flow.lport = flow.lport,
            Self::Cgroup => key.cgroup = cgroup,
            Self::Netns => key.flow.netns = flow.netns,
            Self::Total => {}
        }
        key
    }

    /// As records say it.
    pub fn grouping(self) -> Grouping {
        match self {
            Self::Process => Grouping::Process,
            Self::Connection => Grouping::Connection,
            Self::Remote(..) => Grouping::Remote,
            Self::Port => Grouping::Port,
            Self::Cgroup => Grouping::Cgroup,
            Self::Netns => Grouping::Netns,
            Self::Total => Grouping::Total,
        }
    }

    /// `remote:24` keeps 24 bits of IPv4 addresses and, of IPv6 ones, all; beyond 32 the prefix is
    /// one of IPv6 addresses.
    ///
    /// # Errors
    /// The choices there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(prefix) = text.strip_prefix("remote:") {
            return match prefix.parse::<u8>() {
                Ok(bits @ 1..=32) => Ok(Self::Remote(bits, 128)),
                Ok(bits @ 33..=128) => Ok(Self::Remote(32, bits)),
                _ => Err(format!(
                    "'{prefix}' is no prefix length; 1 to 32 cut IPv4 addresses (remote:24), \
                     33 to 128 IPv6 addresses (remote:64)"
                )),
            };
        }
        match text {
            "process" => Ok(Self::Process),
            "connection" => Ok(Self::Connection),
            "remote" => Ok(Self::Remote(32, 128)),
            "port" => Ok(Self::Port),
            "cgroup" => Ok(Self::Cgroup),
            "netns" => Ok(Self::Netns),
            "total" => Ok(Self::Total),
            _ => Err("the choices are process, connection, remote, remote:PREFIX, port, cgroup, \
                      netns and total"
                .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grouping_sets_only_the_options_it_needs() {
        let asked = |by: GroupBy| {
            let mut options = Options::default();
            by.configure(&mut options);
            (by.as_wire() as u32, options.want_netns, options.want_cgroup, options.remote_prefix4)
        };
        assert_eq!(asked(GroupBy::Process), (0, 0, 0, 0));
        assert_eq!(asked(GroupBy::Connection), (1, 1, 0, 0));
        assert_eq!(asked(GroupBy::Remote(24, 128)), (2, 0, 0, 24));
        assert_eq!(asked(GroupBy::Cgroup), (4, 0, 1, 0));
        assert_eq!(asked(GroupBy::Netns), (5, 1, 0, 0));
    }

    #[test]
    fn a_prefix_belongs_to_the_family_it_fits() {
        assert_eq!(GroupBy::parse("remote:24"), Ok(GroupBy::Remote(24, 128)));
        assert_eq!(GroupBy::parse("remote:64"), Ok(GroupBy::Remote(32, 64)));
        for bad in ["remote:0", "remote:129", "remote:x", "remote:"] {
            assert!(GroupBy::parse(bad).unwrap_err().contains("prefix length"), "{bad}");
        }
        assert!(GroupBy::parse("pid").unwrap_err().contains("process, connection"));
    }
}
