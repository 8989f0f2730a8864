//! What a row of sums stands for, and the cells that say so.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::GroupBy;
use crate::flow::ip;
use crate::report::Cell;
use crate::states::{comm, id, port};
use crate::wire::{COMM_LEN, GroupKey};

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPart {
    /// One key.
    Key,
    /// All keys that did not fit into the map.
    Other,
    /// Everything.
    Total,
}

/// The key of a row with everything that names it.
#[derive(Debug, Clone)]
pub struct RowGroup {
    /// The grouping.
    pub by: GroupBy,
    /// What it stands for.
    pub part: RowPart,
    /// The key; meaningful for [`RowPart::Key`].
    pub key: GroupKey,
    /// Process, 0 = none or not known.
    pub pid: u32,
    /// Its name.
    pub comm: [u8; COMM_LEN],
    /// Path of the cgroup.
    pub cgroup: Option<Arc<str>>,
    /// Remote network in words, with `--by remote:PREFIX`.
    remote_net: Option<String>,
}

const CONNECTION: &[GroupBy] = &[GroupBy::Connection];
const REMOTES: &[GroupBy] = &[GroupBy::Connection, GroupBy::Remote(0, 0)];
const PORTS: &[GroupBy] = &[GroupBy::Connection, GroupBy::Port];
const NETNS: &[GroupBy] = &[GroupBy::Connection, GroupBy::Netns];

impl RowGroup {
    /// One key, with its process where the grouping has one and the path of its cgroup.
    pub fn key(
        by: GroupBy,
        key: GroupKey,
        (pid, comm): (u32, [u8; COMM_LEN]),
        cgroup: Option<Arc<str>>,
    ) -> Self {
        let remote_net = network(by, &key);
        Self { key, pid, comm, cgroup, remote_net, ..Self::without_key(by, RowPart::Key) }
    }

    /// What is no key.
    pub fn without_key(by: GroupBy, part: RowPart) -> Self {
        Self {
            by,
            part,
            key: GroupKey::default(),
            pid: 0,
            comm: [0; COMM_LEN],
            cgroup: None,
            remote_net: None,
        }
    }

    /// The cell of a part of the key; missing where the grouping does not have it.
    fn keyed<'a>(
        &'a self,
        groupings: &[GroupBy],
        cell: impl FnOnce(&'a Self) -> Cell<'a>,
    ) -> Cell<'a> {
        let grouped = groupings.iter().any(|by| by.as_wire() == self.by.as_wire());
        if self.part == RowPart::Key && grouped { cell(self) } else { Cell::Missing }
    }

    /// The first column of a table says it when a row is no key.
    pub fn label<'a>(&'a self, cell: impl FnOnce(&'a Self) -> Cell<'a>) -> Cell<'a> {
        match self.part {
            RowPart::Key => cell(self),
            RowPart::Other => Cell::Word("(other)"),
            RowPart::Total => Cell::Word("total"),
        }
    }

    /// Process.
    pub fn pid(&self) -> Cell<'_> {
        id(self.pid.into())
    }

    /// Its name.
    pub fn comm(&self) -> Cell<'_> {
        comm(self.pid, &self.comm)
    }

    /// Local address.
    pub fn laddr(&self) -> Cell<'_> {
        self.keyed(CONNECTION, |s| Cell::Addr(s.key.flow.local_ip()))
    }

    /// Local port.
    pub fn lport(&self) -> Cell<'_> {
        self.keyed(PORTS, |s| port(s.key.flow.local_port()))
    }

    /// Remote address, or the first one of its network.
    pub fn raddr(&self) -> Cell<'_> {
        self.keyed(REMOTES, |s| Cell::Addr(ip(&s.key.flow.raddr)))
    }

    /// Remote port.
    pub fn rport(&self) -> Cell<'_> {
        self.keyed(PORTS, |s| port(s.key.flow.remote_port()))
    }

    /// The port by which a row is grouped, at whichever end it is.
    pub fn service_port(&self) -> Cell<'_> {
        self.keyed(PORTS, |s| port(s.key.flow.local_port().or(s.key.flow.remote_port())))
    }

    /// Remote address; with a prefix, the network in words.
    pub fn remote(&self) -> Cell<'_> {
        self.remote_net.as_ref().map_or_else(|| self.raddr(), |net| Cell::Word(net))
    }

    /// Local address and port.
    pub fn local_end(&self) -> Cell<'_> {
        self.keyed(CONNECTION, |s| {
            Cell::Endpoint(Some(s.key.flow.local_ip()), s.key.flow.local_port())
        })
    }

    /// Remote address and port.
    pub fn remote_end(&self) -> Cell<'_> {
        self.keyed(CONNECTION, |s| Cell::Endpoint(s.key.flow.remote_ip(), s.key.flow.remote_port()))
    }

    /// 4 or 6.
    pub fn family(&self) -> Cell<'_> {
        self.keyed(REMOTES, |s| Cell::Id(if ip(&s.key.flow.raddr).is_ipv4() { 4 } else { 6 }))
    }

    /// Network namespace's inode.
    pub fn netns(&self) -> Cell<'_> {
        self.keyed(NETNS, |s| Cell::Id(s.key.flow.netns.into()))
    }

    /// Path of the cgroup.
    pub fn cgroup(&self) -> Cell<'_> {
        self.cgroup.as_ref().map_or(Cell::Missing, |path| Cell::Text(path.as_bytes()))
    }

    /// Columns of a table, by their keys, that rows of a grouping have nothing for.
    pub fn hidden(by: GroupBy) -> &'static [&'static str] {
        match by {
            GroupBy::Process => &["raddr", "lport", "cgroup", "netns", "local", "remote", "part"],
            GroupBy::Connection => &["raddr", "lport", "cgroup", "netns", "part"],
            GroupBy::Remote(..) => {
                &["pid", "comm", "lport", "cgroup", "netns", "local", "remote", "part"]
            }
            GroupBy::Port => {
                &["pid", "comm", "raddr", "cgroup", "netns", "local", "remote", "part"]
            }
            GroupBy::Cgroup => {
                &["pid", "comm", "raddr", "lport", "netns", "local", "remote", "part"]
            }
            GroupBy::Netns => {
                &["pid", "comm", "raddr", "lport", "cgroup", "local", "remote", "part"]
            }
            GroupBy::Total => {
                &["pid", "comm", "raddr", "lport", "cgroup", "netns", "local", "remote"]
            }
        }
    }
}

/// With a prefix, a remote in words.
fn network(by: GroupBy, key: &GroupKey) -> Option<String> {
    let GroupBy::Remote(v4, v6) = by else { return None };
    let addr: IpAddr = ip(&key.flow.raddr);
    let (bits, all) = if addr.is_ipv4() { (v4, 32) } else { (v6, 128) };
    if bits == all {
        return None;
    }
    IpNet::new(addr, bits).ok().map(|net| net.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_shorter_than_the_address_makes_a_network() {
        let remote = |addr: &str, by| {
            let mut key = GroupKey::default();
            key.flow.raddr = match addr.parse().unwrap() {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                IpAddr::V6(v6) => v6.octets(),
            };
            network(by, &key)
        };
        let (cut4, cut6) = (GroupBy::Remote(24, 128), GroupBy::Remote(32, 64));
        assert_eq!(remote("192.0.2.0", cut4).as_deref(), Some("192.0.2.0/24"));
        assert_eq!(remote("2001:db8::1", cut4), None);
        assert_eq!(remote("192.0.2.1", cut6), None);
        assert_eq!(remote("2001:db8::", cut6).as_deref(), Some("2001:db8::/64"));
        assert_eq!(remote("192.0.2.0", GroupBy::Process), None);
    }
}
