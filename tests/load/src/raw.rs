//! TCP clients made of raw packets, for handshakes that stop at a given step.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, eth};

const SYN: u8 = 2;
const ACK: u8 = 16;
const HEADER: usize = 20;
/// All clients use this port and this first sequence number.
const PORT: u16 = 40_000;
const SEQUENCE: u32 = 1000;

/// Clients of a range of unused addresses, so that no host answers for them. A route
/// must lead there.
pub struct RawClients {
    out: OwnedFd,
    tap: OwnedFd,
    to: SocketAddrV4,
    first: Ipv4Addr,
    answers: HashMap<Ipv4Addr, u32>,
}

impl RawClients {
    /// Clients of the server `to`, from `first` on.
    pub fn new(to: SocketAddrV4, first: Ipv4Addr) -> Result<Self> {
        let raw = |family, kind, protocol| {
            net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))
        };
        // IPPROTO_RAW: the header comes with the packet.
        let out = raw(AddressFamily::INET, SocketType::RAW, net::ipproto::RAW);
        let tap = raw(AddressFamily::PACKET, SocketType::DGRAM, eth::IP);
        Ok(Self {
            out: out.context("raw socket")?,
            tap: tap.context("packet socket")?,
            to,
            first,
            answers: HashMap::new(),
        })
    }

    fn address(&self, nth: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.first) + nth)
    }

    fn send(&self, nth: u32, flags: u8, sequence: u32, acknowledged: u32) -> Result<()> {
        let packet = packet(self.address(nth), self.to, flags, sequence, acknowledged);
        net::sendto(&self.out, &packet, SendFlags::empty(), &self.to).context("raw send")?;
        Ok(())
    }

    /// The nth client sends a SYN.
    pub fn syn(&self, nth: u32) -> Result<()> {
        self.send(nth, SYN, SEQUENCE, 0)
    }

    /// Waits for pending SYN-ACKs; returns how many clients have got one.
    pub fn answered(&mut self) -> Result<u32> {
        let wait = Duration::from_millis(50);
        let wait = Timespec::try_from(wait).context("a time")?;
        while poll(&mut [PollFd::new(&self.tap, PollFlags::IN)], Some(&wait))? > 0 {
            let mut bytes = [0u8; 128];
            let (_, len) = net::recv(&self.tap, &mut bytes[..], RecvFlags::empty())?;
            self.take(&bytes[..len.min(bytes.len())]);
        }
        Ok(u32::try_from(self.answers.len())?)
    }

    fn take(&mut self, ip: &[u8]) {
        let start = usize::from(ip.first().copied().unwrap_or(0) & 15) * 4;
        let (Some(to), Some(tcp)) = (ip.get(16..20), ip.get(start..start + HEADER)) else { return };
        if ip[9] != 6 || tcp[13] & (SYN | ACK) != SYN | ACK {
            return;
        }
        let to = Ipv4Addr::new(to[0], to[1], to[2], to[3]);
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        self.answers.insert(to, sequence);
    }

    /// The nth client answers its SYN-ACK with the final ACK.
    pub fn ack(&self, nth: u32) -> Result<()> {
        let answer = self.answers.get(&self.address(nth));
        let sequence = answer.with_context(|| format!("client {nth} got no SYN-ACK"))?;
        self.send(nth, ACK, SEQUENCE + 1, sequence.wrapping_add(1))
    }
}

/// An IPv4 packet with a bare TCP header. The kernel fills in the checksum of the former.
fn packet(
    from: Ipv4Addr,
    to: SocketAddrV4,
    flags: u8,
    sequence: u32,
    acknowledged: u32,
) -> Vec<u8> {
    let mut tcp = Vec::with_capacity(HEADER);
    tcp.extend(PORT.to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledged.to_be_bytes());
    tcp.extend([5 << 4, flags]);
    tcp.extend(0xffffu16.to_be_bytes());
    tcp.extend([0; 4]);
    let mut pseudo = Vec::new();
    pseudo.extend(from.octets());
    pseudo.extend(to.ip().octets());
    pseudo.extend([0, 6, 0, 20]);
    pseudo.extend(&tcp);
    let sum = checksum(&pseudo).to_be_bytes();
    tcp[16..18].copy_from_slice(&sum);
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.ip().octets());
    packet.extend(tcp);
    packet
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).map_or(0, |sum| !sum)
}

/// Clients that must have been answered before the script goes on.
pub fn expect(answered: u32, wanted: u32) -> Result<()> {
    ensure!(answered >= wanted, "{answered} of {wanted} clients got a SYN-ACK");
    Ok(())
}
