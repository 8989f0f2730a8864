//! A filter as the BPF programs read it.

use std::ops::RangeInclusive;

use ipnet::Ipv6Net;

use super::{Family, Filter, Network, family_of, is_wildcard};
use crate::wire::{self, FAMILY_V4, FAMILY_V6};

/// The record for `.rodata.filter`. Lists are cut at the kernel's limits, which
/// [`Filter::check`] has refused before.
pub fn record(filter: &Filter) -> wire::Filter {
    let mut to = wire::Filter::default();
    to.nr_pids = fill(&mut to.pids, filter.pids.iter().copied());
    if let Some(glob) = &filter.comm {
        to.comm_on = 1;
        to.comm_stay = glob.stay;
        to.comm_accept = glob.accept;
        to.comm_step = glob.step;
        to.comm_negated = u32::from(glob.negated);
    }
    to.by_netns = u32::from(filter.netns.is_some());
    to.by_cgroup = u32::from(filter.cgroup.is_some());
    to.family = match filter.family {
        None => 0,
        Some(Family::V4) => 4,
        Some(Family::V6) => 6,
    };
    to.lport = ports(&filter.lports);
    to.rport = ports(&filter.rports);
    to.port = ports(&filter.ports);
    to.laddr = addrs(&filter.laddrs);
    to.raddr = addrs(&filter.raddrs);
    to.addr = addrs(&filter.addrs);
    let lists = [to.lport.nr, to.rport.nr, to.port.nr, to.laddr.nr, to.raddr.nr, to.addr.nr];
    let asked = lists.into_iter().chain([to.by_netns, to.family]).any(|one| one > 0);
    to.by_flow = u32::from(asked);
    to
}

/// Puts as many values as fit and says how many.
fn fill<T>(to: &mut [T], from: impl Iterator<Item = T>) -> u32 {
    let mut nr = 0;
    for (slot, value) in to.iter_mut().zip(from) {
        *slot = value;
        nr += 1;
    }
    nr
}

fn ports(ranges: &[RangeInclusive<u16>]) -> wire::PortsFilter {
    let mut to = wire::PortsFilter::default();
    let wire =
        |range: &RangeInclusive<u16>| wire::PortRange { first: *range.start(), last: *range.end() };
    to.nr = fill(&mut to.ranges, ranges.iter().map(wire));
    to
}

fn addrs(nets: &[Network]) -> wire::AddrsFilter {
    let mut to = wire::AddrsFilter::default();
    let wire = |one: &Network| wire::Cidr {
        addr: halves(one.net.network().octets()),
        mask: halves(one.net.netmask().octets()),
        families: families(one.net),
        device: one.place.map_or(0, |(index, _)| index),
        netns: one.place.map_or(0, |(_, netns)| netns),
        reserved: 0,
    };
    to.nr = fill(&mut to.nets, nets.iter().map(wire));
    to
}

/// The families a network has addresses of; none for a wildcard address, which is no address of a connection.
fn families(net: Ipv6Net) -> u32 {
    match family_of(net) {
        _ if is_wildcard(net) => 0,
        Some(Family::V4) => FAMILY_V4,
        Some(Family::V6) => FAMILY_V6,
        None => FAMILY_V4 | FAMILY_V6,
    }
}

/// As the two halves lie in memory, whatever the machine's byte order.
fn halves(octets: [u8; 16]) -> [u64; 2] {
    let half = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&octets[at..at + 8]);
        u64::from_ne_bytes(bytes)
    };
    [half(0), half(8)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Record as _;

    /// Programs skip all of it otherwise.
    #[test]
    fn programs_are_told_whether_any_flag_asks_for_a_flow() {
        let lists = || Filter { lports: vec![1..=2], ..Filter::default() };
        assert_eq!(record(&lists()).by_flow, 1);
        assert_eq!(record(&Filter { family: Some(Family::V6), ..Filter::default() }).by_flow, 1);
        assert_eq!(record(&Filter { pids: vec![1], ..Filter::default() }).by_flow, 0);
        assert_eq!(record(&Filter::default()).by_flow, 0);
    }

    #[test]
    fn a_network_is_cut_to_its_prefix() {
        let filter = Filter {
            addrs: vec![crate::cli::parse::network("2001:db8::1/32").unwrap()],
            ..Filter::default()
        };
        let wire = record(&filter);
        assert_eq!((wire.addr.nr, wire.laddr.nr), (1, 0));
        let net = wire.addr.nets[0];
        assert_eq!(net.addr, halves([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(net.mask[1], 0);
    }

    #[test]
    fn an_empty_filter_is_all_zeros() {
        assert!(record(&Filter::default()).as_bytes().iter().all(|byte| *byte == 0));
    }
}
