//! Owners of dropped segments, found by flow among the sockets that user space knows.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::flow::ip;
use crate::report::Comm;
use crate::wire::{COMM_LEN, Flow};

/// PID, 0 if unknown, and name.
type Owner = (u32, [u8; COMM_LEN]);

/// A socket that segments were dropped of.
#[derive(Clone, Copy, Debug)]
pub struct SocketOwner {
    /// Its flow, with what a segment does not tell: the network namespace and the device.
    pub flow: Flow,
    /// PID, 0 if unknown, and name.
    pub owner: Owner,
}

/// A listener with an owner.
#[derive(Debug)]
struct Listening {
    /// `None`: any address.
    address: Option<IpAddr>,
    /// Of the wildcard address: the families that it takes.
    v4: bool,
    v6: bool,
    port: u16,
    netns: u32,
    owner: Owner,
}

impl Listening {
    /// How well it fits a local end; `None`: it does not.
    fn rank(&self, laddr: IpAddr, flow: &Flow) -> Option<u32> {
        if (self.port, self.netns) != (flow.lport, flow.netns) {
            return None;
        }
        match self.address {
            Some(address) => (address == laddr).then_some(3),
            None if laddr.is_ipv4() => self.v4.then_some(if self.v6 { 1 } else { 2 }),
            None => self.v6.then_some(1),
        }
    }
}

/// The sockets of some flows. Asked for first, so that only those are remembered.
#[derive(Debug, Default)]
pub struct SocketOwners {
    connections: HashMap<Flow, Vec<SocketOwner>>,
    listeners: Vec<Listening>,
}

/// A flow as in the headers of a segment.
fn bare(flow: &Flow) -> Flow {
    let mut bare = *flow;
    (bare.netns, bare.device) = (0, 0);
    bare
}

impl SocketOwners {
    /// Those of these flows are wanted.
    pub fn of<'a>(flows: impl Iterator<Item = &'a Flow>) -> Self {
        let connections = flows.map(|flow| (bare(flow), Vec::new())).collect();
        Self { connections, listeners: Vec::new() }
    }

    /// A connection that is known; remembered if it is wanted.
    pub fn offer(&mut self, flow: &Flow, owner: Owner) {
        if self.connections.is_empty() {
            return;
        }
        if let Some(known) = self.connections.get_mut(&bare(flow)) {
            match known.iter_mut().find(|one| one.flow.netns == flow.netns) {
                Some(one) if owner.0 != 0 => one.owner = owner,
                Some(_) => {}
                None => known.push(SocketOwner { flow: *flow, owner }),
            }
        }
    }

    /// A listener at an address, port and namespace; an IPv6 wildcard may take IPv4, too.
    pub fn offer_listener(
        &mut self,
        (address, port, netns): (IpAddr, u16, u32),
        v6only: bool,
        (pid, comm): (u32, Option<&Comm>),
    ) {
        if self.connections.is_empty() || pid == 0 {
            return;
        }
        let mut name = [0; COMM_LEN];
        let bytes = comm.map_or(&[][..], Comm::as_bytes);
        for (to, from) in name.iter_mut().zip(bytes) {
            *to = *from;
        }
        let any = address.is_unspecified();
        self.listeners.push(Listening {
            address: (!any).then_some(address),
            v4: any && (address.is_ipv4() || !v6only),
            v6: any && address.is_ipv6(),
            port,
            netns,
            owner: (pid, name),
        });
    }

    /// The connection of a flow. One that nothing is known of, or its owner, has that of the listener
    /// of its local end, unless it is only forwarded.
    pub fn find(&self, flow: &Flow, forwarded: bool) -> Option<SocketOwner> {
        let known = self.connections.get(&bare(flow)).map_or(&[][..], Vec::as_slice);
        let one = match flow.netns {
            // Where it is the only one of its kind.
            0 => known.first().filter(|_| known.len() == 1).copied(),
            netns => known.iter().find(|one| one.flow.netns == netns).copied(),
        };
        if one.is_some_and(|one| one.owner.0 != 0) || forwarded {
            return one;
        }
        let flow = one.map_or(*flow, |one| one.flow);
        self.listener(&flow).map(|owner| SocketOwner { flow, owner }).or(one)
    }

    /// The owner of the listener that serves a local end; `None` also where several processes do.
    fn listener(&self, flow: &Flow) -> Option<Owner> {
        let laddr = ip(&flow.laddr);
        let fits = |one: &&Listening| one.rank(laddr, flow).is_some();
        let best = self.listeners.iter().filter(fits).max_by_key(|one| one.rank(laddr, flow))?;
        let equal = |one: &&Listening| one.rank(laddr, flow) == best.rank(laddr, flow);
        let mut others = self.listeners.iter().filter(equal);
        others.all(|one| one.owner.0 == best.owner.0).then_some(best.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(laddr: [u8; 4], lport: u16, rport: u16, netns: u32) -> Flow {
        let mapped = |addr: [u8; 4]| std::net::Ipv4Addr::from(addr).to_ipv6_mapped().octets();
        let mut flow = Flow::default();
        (flow.laddr, flow.raddr) = (mapped(laddr), mapped([10, 0, 0, 2]));
        (flow.lport, flow.rport, flow.netns) = (lport, rport, netns);
        flow
    }

    fn pid(owners: &SocketOwners, flow: &Flow, forwarded: bool) -> Option<u32> {
        owners.find(flow, forwarded).map(|one| one.owner.0)
    }

    const HOST: [u8; 4] = [10, 0, 0, 1];

    #[test]
    fn a_flow_has_the_owner_of_its_connection_and_its_namespace() {
        let (known, other) = (flow(HOST, 80, 5000, 7), flow(HOST, 80, 5001, 7));
        let mut owners = SocketOwners::of([known, other].iter());
        let bound = {
            let mut bound = known;
            bound.device = 3;
            bound
        };
        owners.offer(&bound, (11, *b"server\0\0\0\0\0\0\0\0\0\0"));
        owners.offer(&flow(HOST, 80, 9999, 7), (12, [0; COMM_LEN]));
        assert_eq!(pid(&owners, &known, false), Some(11));
        assert_eq!(pid(&owners, &other, false), None);
        let lost = flow(HOST, 80, 5000, 0);
        let found = owners.find(&lost, false).unwrap();
        assert_eq!((found.flow.netns, found.flow.device), (7, 3), "a segment without a device");
        owners.offer(&flow(HOST, 80, 5000, 8), (13, [0; COMM_LEN]));
        assert_eq!(pid(&owners, &lost, false), None, "two namespaces have this flow");
        assert_eq!(pid(&owners, &known, false), Some(11));
        assert_eq!(pid(&owners, &flow(HOST, 80, 5000, 9), false), None);
    }

    #[test]
    fn what_has_no_owner_has_that_of_the_best_listener_unless_it_is_forwarded() {
        let syn = flow(HOST, 80, 5000, 7);
        let mut owners = SocketOwners::of([syn].iter());
        let name = Comm::from("nginx");
        let v6: IpAddr = "::".parse().unwrap();
        owners.offer_listener((v6, 80, 7), true, (1, Some(&name)));
        assert_eq!(pid(&owners, &syn, false), None, "it takes no IPv4");
        owners.offer_listener((v6, 80, 7), false, (2, Some(&name)));
        owners.offer_listener((v6, 80, 8), false, (3, Some(&name)));
        assert_eq!(pid(&owners, &syn, false), Some(2));
        assert_eq!(pid(&owners, &syn, true), None);
        owners.offer_listener(([0, 0, 0, 0].into(), 80, 7), false, (4, Some(&name)));
        assert_eq!(pid(&owners, &syn, false), Some(4));
        owners.offer_listener((HOST.into(), 80, 7), false, (5, Some(&name)));
        let found = owners.find(&syn, false).unwrap();
        assert_eq!(found.owner, (5, *b"nginx\0\0\0\0\0\0\0\0\0\0\0"));
        owners.offer(&syn, (0, [0; COMM_LEN]));
        assert_eq!(pid(&owners, &syn, false), Some(5), "a child that nothing is known of");
        owners.offer_listener((HOST.into(), 80, 7), false, (6, Some(&name)));
        assert_eq!(pid(&owners, &syn, false), Some(0), "two processes share the port");
    }
}
