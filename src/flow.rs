//! Display of addresses.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use crate::kernel::devices;
use crate::report::{Device, Key};
use crate::wire::{ADDR_LEN, Flow, Record as _};

/// An address of the wire; IPv4-mapped ones are IPv4.
pub fn ip(addr: &[u8; ADDR_LEN]) -> IpAddr {
    Ipv6Addr::from(*addr).to_canonical()
}

/// Whether an address of the wire is another host's on each link.
pub fn is_link_local(addr: &[u8; ADDR_LEN]) -> bool {
    Ipv6Addr::from(*addr).is_unicast_link_local()
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Flow {}

impl Hash for Flow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

impl Flow {
    /// Local address.
    pub fn local_ip(&self) -> IpAddr {
        ip(&self.laddr)
    }

    /// What records say of it.
    pub fn key(&self) -> Key {
        Key {
            laddr: Some(self.local_ip()),
            lport: self.local_port(),
            raddr: self.remote_ip(),
            rport: self.remote_port(),
            device: self.device(),
            netns: Some(self.netns),
            ..Key::default()
        }
    }

    /// The device that it is bound to.
    pub fn device(&self) -> Option<Device> {
        devices::device(self.netns, self.device)
    }

    /// The zone of the remote address, if it is link-local.
    pub fn remote_zone(&self) -> Option<Device> {
        is_link_local(&self.raddr).then(|| self.device()).flatten()
    }

    /// Remote address; `None` for a socket without a peer.
    pub fn remote_ip(&self) -> Option<IpAddr> {
        (self.rport != 0).then(|| ip(&self.raddr))
    }

    /// Local port; `None` while the kernel has not chosen it.
    pub fn local_port(&self) -> Option<u16> {
        (self.lport != 0).then_some(self.lport)
    }

    /// Remote port; `None` for a socket without a peer.
    pub fn remote_port(&self) -> Option<u16> {
        (self.rport != 0).then_some(self.rport)
    }

    /// 4 or 6; IPv4 over an IPv6 socket is 4.
    pub fn family(&self) -> u8 {
        if self.local_ip().is_ipv4() { 4 } else { 6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(addr: &str, port: u16) -> Flow {
        let addr: IpAddr = addr.parse().unwrap();
        let octets = match addr {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Flow { laddr: octets, raddr: octets, lport: port, rport: port, netns: 1, ..Flow::default() }
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let v4 = flow("192.0.2.1", 80);
        assert_eq!(v4.local_ip().to_string(), "192.0.2.1");
        assert_eq!(v4.family(), 4);
        let v6 = flow("2001:db8::1", 80);
        assert_eq!(v6.remote_ip().unwrap().to_string(), "2001:db8::1");
        assert_eq!(v6.family(), 6);
    }

    #[test]
    fn unknown_values_are_absent() {
        let fresh = flow("0.0.0.0", 0);
        assert_eq!(fresh.local_port(), None);
        assert_eq!(fresh.remote_ip(), None);
        assert_eq!(fresh.family(), 4, "the unspecified IPv4 address is still IPv4");
    }
}
