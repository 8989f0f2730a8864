//! What a row of sums stands for, as its record and its table say it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::GroupBy;
use crate::flow::ip;
use crate::report::{Cell, Device, Key, key};
use crate::wire::{COMM_LEN, GroupKey};

/// The group of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPart {
    /// One key.
    Key,
    /// All keys that did not fit into the map.
    Other,
    /// Everything.
    Total,
}

impl RowPart {
    /// As records say it.
    pub fn of(other: bool, total: bool) -> Self {
        match (other, total) {
            (true, _) => Self::Other,
            (_, true) => Self::Total,
            _ => Self::Key,
        }
    }
}

/// What a record says of one key; what is no part of it is unknown.
#[derive(Debug, Default)]
pub struct Keyed {
    /// Owner and ends.
    pub key: Key,
    /// 4 or 6.
    pub family: Option<u8>,
    /// With `--by remote:PREFIX`.
    pub remote_net: Option<IpNet>,
}

impl Keyed {
    /// One key of a grouping, with its process where the grouping has one and the path of its
    /// cgroup.
    pub fn new(
        by: GroupBy,
        group: &GroupKey,
        (pid, comm): (u32, [u8; COMM_LEN]),
        cgroup: Option<Arc<str>>,
    ) -> Self {
        let flow = group.flow.key();
        let connection = by == GroupBy::Connection;
        let remote = connection || matches!(by, GroupBy::Remote(..));
        let port = connection || by == GroupBy::Port;
        let address = ip(&group.flow.raddr);
        let key = Key {
            laddr: flow.laddr.filter(|_| connection),
            lport: flow.lport.filter(|_| port),
            raddr: remote.then_some(address),
            rport: flow.rport.filter(|_| port),
            device: flow.device,
            netns: flow.netns.filter(|_| connection || by == GroupBy::Netns),
            cgroup,
            ..Key::default().owned(pid, comm)
        };
        let family = remote.then_some(if address.is_ipv4() { 4 } else { 6 });
        Self { key, family, remote_net: network(by, address) }
    }
}

/// The first column of a table says it when a row is no key.
pub fn label<'a>(part: RowPart, cell: impl FnOnce() -> Cell<'a>) -> Cell<'a> {
    match part {
        RowPart::Key => cell(),
        RowPart::Other => Cell::Word("(other)"),
        RowPart::Total => Cell::Word("total"),
    }
}

/// Remote address; with a prefix, its network.
pub fn remote(raddr: Option<IpAddr>, zone: Option<Device>, net: Option<IpNet>) -> Cell<'static> {
    net.map_or_else(|| Cell::addr(raddr, zone), |net| Cell::Net(net, zone))
}

const PID: &str = key!(Key::pid);
const COMM: &str = key!(Key::comm);
const RADDR: &str = key!(Key::raddr);
const LPORT: &str = key!(Key::lport);
const CGROUP: &str = key!(Key::cgroup);
const NETNS: &str = key!(Key::netns);

/// Columns of a table, by their names, that rows of a grouping have nothing for.
pub fn hidden(by: GroupBy) -> &'static [&'static str] {
    match by {
        GroupBy::Process => &[RADDR, LPORT, CGROUP, NETNS, "local", "remote", "part"],
        GroupBy::Connection => {
            &[RADDR, LPORT, CGROUP, NETNS, "part", "worst_local", "worst_remote"]
        }
        GroupBy::Remote(..) => &[PID, COMM, LPORT, CGROUP, NETNS, "local", "remote", "part"],
        GroupBy::Port => &[PID, COMM, RADDR, CGROUP, NETNS, "local", "remote", "part"],
        GroupBy::Cgroup => &[PID, COMM, RADDR, LPORT, NETNS, "local", "remote", "part"],
        GroupBy::Netns => &[PID, COMM, RADDR, LPORT, CGROUP, "local", "remote", "part"],
        GroupBy::Total => &[PID, COMM, RADDR, LPORT, CGROUP, NETNS, "local", "remote"],
    }
}

/// With a prefix, the network of a remote address.
fn network(by: GroupBy, addr: IpAddr) -> Option<IpNet> {
    let GroupBy::Remote(v4, v6) = by else { return None };
    let (bits, all) = if addr.is_ipv4() { (v4, 32) } else { (v6, 128) };
    if bits == all {
        return None;
    }
    IpNet::new(addr, bits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_shorter_than_the_address_makes_a_network() {
        let remote = |addr: &str, by| network(by, addr.parse().unwrap()).map(|net| net.to_string());
        let (cut4, cut6) = (GroupBy::Remote(24, 128), GroupBy::Remote(32, 64));
        assert_eq!(remote("192.0.2.0", cut4).as_deref(), Some("192.0.2.0/24"));
        assert_eq!(remote("2001:db8::1", cut4), None);
        assert_eq!(remote("192.0.2.1", cut6), None);
        assert_eq!(remote("2001:db8::", cut6).as_deref(), Some("2001:db8::/64"));
        assert_eq!(remote("192.0.2.0", GroupBy::Process), None);
    }
}
