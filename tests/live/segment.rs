//! TCP segments made by hand, in IPv4 and IPv6, whole or in fragments.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::ops::Range;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::net::{self, AddressFamily, SendFlags, SocketFlags, SocketType};

use crate::netns::{NEAR, Netns};

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

const TCP: u8 = 6;
/// Extension headers of IPv6.
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// What differs between segments.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Where it says that it comes from.
    pub from: SocketAddr,
    pub flags: u8,
    pub sequence: u32,
    pub acknowledged: u32,
    /// With a timestamp.
    pub stamp: Option<u32>,
    pub data: usize,
    /// With a wrong checksum.
    pub damaged: bool,
    /// IPv6: behind a header of destination options.
    pub extended: bool,
    /// Of a packet of this number only these bytes behind its IP header; they begin at a multiple of 8.
    pub part: Option<(u16, Range<usize>)>,
}

impl Segment {
    /// From a port near.
    pub fn new(port: u16, flags: u8) -> Self {
        Self::of((NEAR.parse::<IpAddr>().unwrap(), port).into(), flags)
    }

    /// From any address.
    pub fn of(from: SocketAddr, flags: u8) -> Self {
        Self {
            from,
            flags,
            sequence: 1,
            acknowledged: 1,
            stamp: None,
            data: 0,
            damaged: false,
            extended: false,
            part: None,
        }
    }

    /// Header and data of TCP.
    fn tcp(&self, to: SocketAddr) -> Vec<u8> {
        let stamp = self.stamp.map(|stamp| {
            let [no_operation, timestamps, length] = [1, 8, 10];
            [&[no_operation, no_operation, timestamps, length][..], &stamp.to_be_bytes(), &[0; 4]]
                .concat()
        });
        let options = stamp.unwrap_or_default();
        let words = u8::try_from(5 + options.len() / 4).unwrap();
        let mut tcp = Vec::new();
        tcp.extend(self.from.port().to_be_bytes());
        tcp.extend(to.port().to_be_bytes());
        tcp.extend(self.sequence.to_be_bytes());
        tcp.extend(self.acknowledged.to_be_bytes());
        tcp.extend([words << 4, self.flags]);
        tcp.extend(1000_u16.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(options);
        tcp.extend(vec![7; self.data]);
        let mut pseudo = [octets(self.from.ip()), octets(to.ip())].concat();
        pseudo.extend(u32::try_from(tcp.len()).unwrap().to_be_bytes());
        pseudo.extend([0, 0, 0, TCP]);
        pseudo.extend(&tcp);
        let sum = checksum(&pseudo) ^ if self.damaged { 0x5555 } else { 0 };
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        tcp
    }

    /// The bytes behind the IP header, and how a fragment counts them: offset, and whether more follow.
    fn payload(&self, to: SocketAddr) -> (Vec<u8>, u16, bool) {
        let whole = self.tcp(to);
        let Some((_, bytes)) = &self.part else { return (whole, 0, false) };
        let more = bytes.end < whole.len();
        (whole[bytes.clone()].to_vec(), u16::try_from(bytes.start).unwrap(), more)
    }

    /// The whole packet.
    fn packet(&self, to: SocketAddr) -> Vec<u8> {
        let (payload, offset, more) = self.payload(to);
        let ends = [octets(self.from.ip()), octets(to.ip())].concat();
        let number = self.part.as_ref().map(|(number, _)| *number);
        let mut packet = Vec::new();
        if to.is_ipv4() {
            let dont_fragment = 0x4000;
            let part = (offset / 8) | if more { 0x2000 } else { 0 };
            packet.extend([0x45, 0]);
            packet.extend(u16::try_from(20 + payload.len()).unwrap().to_be_bytes());
            packet.extend(number.unwrap_or(0).to_be_bytes());
            packet.extend(number.map_or(dont_fragment, |_| part).to_be_bytes());
            packet.extend([64, TCP, 0, 0]);
            packet.extend(ends);
        } else {
            let mut next = TCP;
            let mut headers = Vec::new();
            if self.extended {
                let [pad, length] = [1, 4];
                headers = [&[next, 0, pad, length, 0, 0, 0, 0][..], &headers].concat();
                next = DESTINATION;
            }
            if let Some(number) = number {
                let offset = (offset | u16::from(more)).to_be_bytes();
                let number = u32::from(number).to_be_bytes();
                headers = [&[next, 0][..], &offset, &number, &headers].concat();
                next = FRAGMENT;
            }
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(u16::try_from(headers.len() + payload.len()).unwrap().to_be_bytes());
            packet.extend([next, 64]);
            packet.extend(ends);
            packet.extend(headers);
        }
        packet.extend(payload);
        packet
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | u32::from(two.get(1).copied().unwrap_or_default()));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).map_or(0, |sum| !sum)
}

/// Sends segments to an address.
pub struct Raw {
    socket: OwnedFd,
    to: SocketAddr,
}

impl Raw {
    pub fn new(netns: &Netns, to: SocketAddr) -> Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        // IPPROTO_RAW: the header comes with the packet.
        let protocol = Some(net::ipproto::RAW);
        let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
        let socket = netns
            .within(|| Ok(net::socket_with(family, kind, flags, protocol)?))
            .context("raw socket")?;
        Ok(Self { socket, to })
    }

    pub fn send(&self, segment: &Segment) -> Result<()> {
        let packet = segment.packet(self.to);
        // The port of a raw socket is its protocol.
        let to = match self.to {
            SocketAddr::V4(_) => self.to,
            SocketAddr::V6(to) => SocketAddrV6::new(*to.ip(), 0, 0, to.scope_id()).into(),
        };
        net::sendto(&self.socket, &packet, SendFlags::empty(), &to).context("raw send")?;
        Ok(())
    }
}
