//! Traffic filters as plain values, independent of the command line and BPF.

mod cgroup;
mod glob;
mod netns;
mod rows;
mod wire;

use std::net::Ipv6Addr;
use std::ops::RangeInclusive;

use ipnet::Ipv6Net;

pub use cgroup::{Cgroup, CgroupTree};
pub use glob::{CommGlob, GlobError};
pub use netns::NetnsChoice;
pub use rows::{passes, passes_listener, passes_owner};

use crate::kernel::devices;
use crate::kernel::netns::Netns;
use crate::report::Device;
use crate::wire::MAX_FILTER_VALUES;

/// IPv4, seen as the IPv6 addresses it is mapped into.
const V4_MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, also on an IPv6 socket that talks to a v4-mapped address.
    V4,
    /// IPv6.
    V6,
}

/// A network, and the device that sockets of it have to be bound to: `fe80::1%eth0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Addresses. IPv4 is v4-mapped.
    pub net: Ipv6Net,
    /// The zone of a link-local address, or any device.
    pub device: Option<Device>,
    /// Index of the device, and the inode of its network namespace.
    pub place: Option<(u32, u32)>,
}

impl Network {
    /// Finds the device, in a namespace or else in the one of this process.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn find_device(&mut self, netns: Option<u32>) -> Result<(), String> {
        let Some(device) = self.device else { return Ok(()) };
        let netns = match netns {
            Some(netns) => netns,
            None => Netns::own().map_err(|error| format!("{error:#}"))?.inode(),
        };
        let name = String::from_utf8_lossy(device.as_bytes()).into_owned();
        let Some(index) = devices::index(netns, &name) else {
            return Err(format!("no device '{name}' in network namespace {netns} (--netns)"));
        };
        self.place = Some((index, netns));
        Ok(())
    }
}

/// What has to hold of an event; an empty list or `None` asks for nothing, one match in a list
/// is enough.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Processes (thread group ids).
    pub pids: Vec<u32>,
    /// Pattern of the process name.
    pub comm: Option<CommGlob>,
    /// Ports on this side.
    pub lports: Vec<RangeInclusive<u16>>,
    /// Ports on the other side.
    pub rports: Vec<RangeInclusive<u16>>,
    /// Ports on either side.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Networks on this side. IPv4 is v4-mapped here and below.
    pub laddrs: Vec<Network>,
    /// Networks on the other side.
    pub raddrs: Vec<Network>,
    /// Networks on either side.
    pub addrs: Vec<Network>,
    /// Address family.
    pub family: Option<Family>,
    /// Network namespace.
    pub netns: Option<NetnsChoice>,
    /// Cgroup, with everything below it.
    pub cgroup: Option<Cgroup>,
}

impl Filter {
    /// Whether it asks for addresses, ports, a family or a namespace.
    pub fn by_ends(&self) -> bool {
        let ports = [&self.lports, &self.rports, &self.ports];
        let nets = [&self.laddrs, &self.raddrs, &self.addrs];
        ports.iter().any(|list| !list.is_empty())
            || nets.iter().any(|list| !list.is_empty())
            || self.family.is_some()
            || self.netns.is_some()
    }

    /// Whether it asks for anything but a namespace.
    pub fn chooses_sockets(&self) -> bool {
        let sockets = Self { netns: None, ..self.clone() };
        sockets.by_ends() || sockets.by_owner()
    }

    /// The record for `.rodata.filter`.
    pub fn to_wire(&self) -> crate::wire::Filter {
        wire::record(self)
    }

    /// The namespace and cgroup that it names at the start.
    pub fn wanted(&self) -> crate::wire::Wanted {
        let mut wanted = crate::wire::Wanted::default();
        wanted.netns = self.netns.as_ref().map_or(0, |netns| netns.inode);
        if let Some(cgroup) = &self.cgroup {
            (wanted.cgroup, wanted.cgroup_level) = (cgroup.id, cgroup.depth);
        }
        wanted
    }

    /// Whether it asks for something of the owner.
    pub fn by_owner(&self) -> bool {
        !self.pids.is_empty() || self.comm.is_some() || self.cgroup.is_some()
    }

    /// Refuses lists beyond [`MAX_FILTER_VALUES`] and demands that nothing can meet, naming the flags.
    pub fn check(&self) -> Result<(), String> {
        for (flag, len) in [
            ("--pid", self.pids.len()),
            ("--lport", self.lports.len()),
            ("--rport", self.rports.len()),
            ("--port", self.ports.len()),
            ("--laddr", self.laddrs.len()),
            ("--raddr", self.raddrs.len()),
            ("--addr", self.addrs.len()),
        ] {
            if len > MAX_FILTER_VALUES {
                return Err(format!("{flag} takes at most {MAX_FILTER_VALUES} values, not {len}"));
            }
        }
        // Both ends of a connection have one family.
        let nets = [("--laddr", &self.laddrs), ("--raddr", &self.raddrs), ("--addr", &self.addrs)];
        let forced = self.family.map(|family| match family {
            Family::V4 => ("--ipv4", family),
            Family::V6 => ("--ipv6", family),
        });
        let mut given: Vec<(&str, Family)> = forced.into_iter().collect();
        given.extend(nets.iter().filter_map(|(flag, nets)| Some((*flag, common_family(nets)?))));
        let clash = given.iter().find(|(_, family)| *family != given[0].1);
        match clash {
            Some((flag, _)) => Err(format!(
                "{} and {flag} exclude each other: one matches only IPv4, the other only IPv6",
                given[0].0
            )),
            None => Ok(()),
        }
    }
}

/// The one family that all of some networks have addresses of.
fn common_family(nets: &[Network]) -> Option<Family> {
    let first = family_of(nets.first()?.net)?;
    nets.iter().all(|one| family_of(one.net) == Some(first)).then_some(first)
}

/// The one family that a network has addresses of; `None` for networks like `::/0`.
fn family_of(net: Ipv6Net) -> Option<Family> {
    if V4_MAPPED.contains(&net) {
        Some(Family::V4)
    } else if net.contains(&V4_MAPPED) {
        None
    } else {
        Some(Family::V6)
    }
}

/// Whether it is `0.0.0.0` or `::` alone.
fn is_wildcard(net: Ipv6Net) -> bool {
    net.prefix_len() == 128 && net.addr().to_canonical().is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(text: &[&str]) -> Vec<Network> {
        let net = |text: &&str| Network { net: text.parse().unwrap(), device: None, place: None };
        text.iter().map(net).collect()
    }

    #[test]
    fn long_lists_are_rejected_by_flag() {
        let filter = Filter { ports: vec![1..=2; 16], ..Filter::default() };
        assert_eq!(filter.check(), Ok(()));
        let filter = Filter { ports: vec![1..=2; 17], ..Filter::default() };
        assert_eq!(filter.check().unwrap_err(), "--port takes at most 16 values, not 17");
    }

    #[test]
    fn unsatisfiable_filters_are_rejected() {
        let v4 = nets(&["::ffff:10.0.0.0/104"]);
        let v6 = nets(&["fd00::/8"]);
        let any = nets(&["::/0"]);
        let refused = |filter: Filter| filter.check().err();
        let base = Filter::default;
        assert_eq!(refused(Filter { addrs: v4.clone(), family: Some(Family::V4), ..base() }), None);
        assert_eq!(
            refused(Filter { addrs: any.clone(), family: Some(Family::V4), ..base() }),
            None
        );
        assert_eq!(refused(Filter { laddrs: any, raddrs: v4.clone(), ..base() }), None);
        let both = [v4.clone(), v6.clone()].concat();
        assert_eq!(refused(Filter { addrs: both, family: Some(Family::V6), ..base() }), None);
        let error = refused(Filter { addrs: v4.clone(), family: Some(Family::V6), ..base() });
        assert!(error.unwrap().starts_with("--ipv6 and --addr exclude each other"));
        let error = refused(Filter { laddrs: v4, raddrs: v6, ..base() });
        assert!(error.unwrap().starts_with("--laddr and --raddr exclude each other"));
    }
}
