//! One value of a row: its type decides how a table shows it and how it sorts.

use std::cmp::Ordering;
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::{Comm, Ctx, Device, escape, human};
use crate::tcp_state::TcpState;

/// A typed value, borrowed from its row, in the unit of the variant; text is rounded for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Unknown: `-`.
    Missing,
    /// A number of things: `9999`, `12.3k`.
    Count(u64),
    /// A number counted over the interval, shown per second.
    PerSec(u64),
    /// Bytes: `512B`, `1.5M` (1024 based).
    Bytes(u64),
    /// Bytes counted over the interval, shown per second.
    BytesPerSec(u64),
    /// A duration in ns: `123µs`, `2m05s`.
    Nanos(u64),
    /// The lower bound of a duration in ns: `≥3h12m`.
    AtLeast(u64),
    /// A sampled maximum, so a lower bound: `≥12`.
    CountAtLeast(u64),
    /// A queue: length now, its peak and whether that is a lower bound, limit: `3/≥12/128`.
    Queue(Option<u64>, (Option<u64>, bool), Option<u64>),
    /// A part of a whole, which is not 0: `2.41%`.
    Share(u64, u64),
    /// A number that is never rounded: it names something, or people compare it to the unit.
    Id(u64),
    /// The first and the last port.
    Range(u16, u16),
    /// A TCP port.
    Port(u16),
    /// Bytes from the kernel, taken to be hostile.
    Text(&'a [u8]),
    /// A word of this program's own.
    Word(&'a str),
    /// An address, and its zone or device; a v4-mapped one is shown as IPv4.
    Addr(IpAddr, Option<Device>),
    /// An address, its zone or device, and port, each possibly unknown: `[::1]:80`, `127.0.0.1:-`,
    /// `[fe80::1%eth0]:80`.
    Endpoint(Option<IpAddr>, Option<Device>, Option<u16>),
    /// A port at any address: `*:80`, or of a device: `*%eth0:80`.
    AnyAddr(Option<Device>, u16),
    /// A network namespace by inode and name: `4026532281(blue)`.
    Netns(u32, Option<&'a str>),
    /// A network: `192.0.2.0/24`, and its zone: `fe80::/64%eth0`.
    Net(IpNet, Option<Device>),
    /// Wall-clock time in ns since the epoch.
    Time(i64),
}

/// Shares are compared to this part.
const FINE: i128 = 1 << 62;

/// What a cell sorts by.
enum Key<'a> {
    Number(i128),
    Text(&'a [u8]),
    Addr(Option<IpAddr>, Option<u16>),
    None,
}

impl<'a> Cell<'a> {
    /// A number that is never rounded, if it is known.
    pub fn id(value: Option<impl Into<u64>>) -> Self {
        value.map_or(Self::Missing, |value| Self::Id(value.into()))
    }

    /// A number of things, if it is known.
    pub fn count(value: Option<u64>) -> Self {
        value.map_or(Self::Missing, Self::Count)
    }

    /// A number counted over the interval, if it is known.
    pub fn per_sec(value: Option<u64>) -> Self {
        value.map_or(Self::Missing, Self::PerSec)
    }

    /// Bytes counted over the interval, if they are known.
    pub fn bytes_per_sec(value: Option<u64>) -> Self {
        value.map_or(Self::Missing, Self::BytesPerSec)
    }

    /// Bytes, if they are known.
    pub fn bytes(value: Option<u64>) -> Self {
        value.map_or(Self::Missing, Self::Bytes)
    }

    /// A duration in ns, if it is known.
    pub fn nanos(value: Option<u64>) -> Self {
        value.map_or(Self::Missing, Self::Nanos)
    }

    /// A duration in ns: exactly, else its lower bound.
    pub fn age(exact: Option<u64>, at_least: Option<u64>) -> Self {
        exact.map_or_else(|| at_least.map_or(Self::Missing, Self::AtLeast), Self::Nanos)
    }

    /// A port, if it is known.
    pub fn port(port: Option<u16>) -> Self {
        port.map_or(Self::Missing, Self::Port)
    }

    /// An address and its zone, if it is known.
    pub fn addr(ip: Option<IpAddr>, zone: Option<Device>) -> Self {
        ip.map_or(Self::Missing, |ip| Self::Addr(ip, zone))
    }

    /// The remote end of a socket that is bound to a device, which says nothing of it but the zone of
    /// a link-local address.
    pub fn remote(ip: Option<IpAddr>, device: Option<Device>, port: Option<u16>) -> Self {
        let local = |ip| matches!(ip, IpAddr::V6(ip) if Ipv6Addr::is_unicast_link_local(&ip));
        Self::Endpoint(ip, device.filter(|_| ip.is_some_and(local)), port)
    }

    /// A network namespace, if it is known.
    pub fn netns(inode: Option<u32>, name: Option<&'a str>) -> Self {
        inode.map_or(Self::Missing, |inode| Self::Netns(inode, name))
    }

    /// The name of a process, if it is known.
    pub fn comm(comm: Option<&'a Comm>) -> Self {
        comm.map_or(Self::Missing, |comm| Self::Text(comm.as_bytes()))
    }

    /// Text from the kernel, if it is known.
    pub fn text_of(text: Option<&'a str>) -> Self {
        text.map_or(Self::Missing, |text| Self::Text(text.as_bytes()))
    }

    /// A word of this program's own, if there is one.
    pub fn word(word: Option<&'a str>) -> Self {
        word.map_or(Self::Missing, Self::Word)
    }

    /// The name of a state, if it is known.
    pub fn state(state: Option<TcpState>) -> Self {
        Self::word(state.map(TcpState::name))
    }

    /// Appends the value as people read it.
    pub fn text(&self, ctx: &mut Ctx, out: &mut Vec<u8>) {
        match *self {
            Self::Missing => out.push(b'-'),
            Self::PerSec(n) if ctx.interval_ns > 0 => human::per_second(n, ctx.interval_ns, out),
            Self::BytesPerSec(n) if ctx.interval_ns > 0 => {
                human::bytes_per_second(n, ctx.interval_ns, out);
            }
            Self::Count(n) | Self::PerSec(n) => human::count(n, out),
            Self::Bytes(n) | Self::BytesPerSec(n) => human::bytes(n, out),
            Self::Nanos(ns) => human::nanos(ns, out),
            Self::AtLeast(ns) => {
                out.extend_from_slice("≥".as_bytes());
                human::nanos(ns, out);
            }
            Self::CountAtLeast(n) => {
                out.extend_from_slice("≥".as_bytes());
                human::integer(n, out);
            }
            Self::Queue(now, (peak, sampled), limit) => {
                let peak = match peak {
                    Some(peak) if sampled => Self::CountAtLeast(peak),
                    peak => Self::id(peak),
                };
                for (nth, part) in [Self::id(now), peak, Self::id(limit)].into_iter().enumerate() {
                    if nth > 0 {
                        out.push(b'/');
                    }
                    part.text(ctx, out);
                }
            }
            Self::Share(part, whole) => human::share(part, whole, out),
            Self::Id(id) => human::integer(id, out),
            Self::Port(port) => human::integer(port.into(), out),
            Self::Range(first, last) => {
                human::integer(first.into(), out);
                out.push(b'-');
                human::integer(last.into(), out);
            }
            Self::Netns(inode, name) => {
                human::integer(inode.into(), out);
                if let Some(name) = name {
                    out.push(b'(');
                    escape::text(name.as_bytes(), out);
                    out.push(b')');
                }
            }
            // A blank cell would shift columns for scripts that split at spaces.
            Self::Text([]) => out.extend_from_slice(b"\"\""),
            Self::Text(bytes) => escape::text(bytes, out),
            Self::Word(word) => out.extend_from_slice(word.as_bytes()),
            Self::Addr(ip, device) => {
                addr(ip, out);
                zone(device, out);
            }
            Self::Endpoint(ip, device, port) => endpoint(ip, device, port, out),
            Self::Time(ns) => ctx.clock(ns, out),
            Self::AnyAddr(device, port) => {
                out.push(b'*');
                zone(device, out);
                out.push(b':');
                human::integer(port.into(), out);
            }
            Self::Net(net, device) => {
                // Writing to a Vec cannot fail.
                let _ = write!(out, "{net}");
                zone(device, out);
            }
        }
    }

    /// Columns that `text`, as [`text`](Self::text) wrote it, takes on a terminal. Only names from the kernel
    /// have characters of other widths than one; looking them up costs more than the rest of a cell.
    pub fn width(&self, text: &[u8]) -> usize {
        let continues = |byte: u8| byte & 0xc0 == 0x80;
        match self {
            _ if text.is_ascii() => text.len(),
            Self::Text(_)
            | Self::Addr(_, Some(_))
            | Self::Endpoint(_, Some(_), _)
            | Self::AnyAddr(Some(_), _) => escape::width(text),
            _ => text.iter().filter(|&&byte| !continues(byte)).count(),
        }
    }

    /// Whether it says that there was none of something, or nothing at all.
    pub fn is_idle(&self) -> bool {
        match *self {
            Self::Missing | Self::Text([]) | Self::Word("") | Self::Endpoint(None, _, None) => true,
            Self::Queue(now, (peak, _), _) => now.max(peak).unwrap_or(0) == 0,
            Self::Count(n)
            | Self::PerSec(n)
            | Self::Bytes(n)
            | Self::BytesPerSec(n)
            | Self::CountAtLeast(n)
            | Self::Id(n) => n == 0,
            _ => false,
        }
    }

    /// Whether it is an address, which takes what it needs.
    pub fn is_address(&self) -> bool {
        matches!(self, Self::Addr(..) | Self::Endpoint(..) | Self::AnyAddr(..) | Self::Net(..))
    }

    /// The order of a sorted table: large numbers first, text and addresses ascending, what is
    /// missing last.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self.key(), other.key()) {
            (Key::Number(a), Key::Number(b)) => b.cmp(&a),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (Key::Addr(a, p), Key::Addr(b, q)) => (a, p).cmp(&(b, q)),
            (Key::None, Key::None) => Ordering::Equal,
            (Key::None, _) => Ordering::Greater,
            (_, Key::None) => Ordering::Less,
            // One column holds one type; anything else keeps its place.
            _ => Ordering::Equal,
        }
    }

    fn key(&self) -> Key<'_> {
        match *self {
            Self::Count(n)
            | Self::PerSec(n)
            | Self::Bytes(n)
            | Self::BytesPerSec(n)
            | Self::Nanos(n)
            | Self::AtLeast(n)
            | Self::CountAtLeast(n)
            | Self::Id(n) => Key::Number(n.into()),
            Self::Queue(now, (peak, _), _) => {
                now.max(peak).map_or(Key::None, |most| Key::Number(most.into()))
            }
            Self::Share(part, whole) => {
                Key::Number(i128::from(part) * FINE / i128::from(whole.max(1)))
            }
            Self::Port(port) | Self::Range(port, _) => Key::Number(port.into()),
            Self::Netns(inode, _) => Key::Number(inode.into()),
            Self::Time(ns) => Key::Number(ns.into()),
            Self::Text(bytes) => Key::Text(bytes),
            Self::Word(word) => Key::Text(word.as_bytes()),
            Self::Addr(ip, _) => Key::Addr(Some(ip.to_canonical()), None),
            Self::AnyAddr(_, port) => Key::Addr(None, Some(port)),
            Self::Net(net, _) => Key::Addr(Some(net.addr()), None),
            Self::Endpoint(None, _, None) | Self::Missing => Key::None,
            Self::Endpoint(ip, _, port) => Key::Addr(ip.map(|ip| ip.to_canonical()), port),
        }
    }
}

fn addr(ip: IpAddr, out: &mut Vec<u8>) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            for (i, octet) in ip.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                // A number of at most three digits: cheaper than what serves any.
                if octet >= 100 {
                    out.push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    out.push(b'0' + octet / 10 % 10);
                }
                out.push(b'0' + octet % 10);
            }
        }
        IpAddr::V6(ip) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{ip}");
        }
    }
}

/// `%` and the device.
fn zone(device: Option<Device>, out: &mut Vec<u8>) {
    if let Some(device) = device {
        out.push(b'%');
        escape::text(device.as_bytes(), out);
    }
}

fn endpoint(ip: Option<IpAddr>, device: Option<Device>, port: Option<u16>, out: &mut Vec<u8>) {
    if ip.is_none() && port.is_none() {
        out.push(b'-');
        return;
    }
    match ip.map(|ip| ip.to_canonical()) {
        Some(ip @ IpAddr::V4(_)) => {
            addr(ip, out);
            zone(device, out);
        }
        Some(ip @ IpAddr::V6(_)) => {
            out.push(b'[');
            addr(ip, out);
            zone(device, out);
            out.push(b']');
        }
        None => out.push(b'-'),
    }
    out.push(b':');
    match port {
        Some(port) => human::integer(port.into(), out),
        None => out.push(b'-'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cell: Cell<'_>) -> String {
        let mut out = Vec::new();
        cell.text(&mut Ctx::new(2_000_000_000, true), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn shows_every_kind() {
        let v4: IpAddr = "127.0.0.1".parse().unwrap();
        let v6: IpAddr = "::1".parse().unwrap();
        let vb = Device::from("v\x1b");
        let mapped: IpAddr = "::ffff:10.0.0.255".parse().unwrap();
        for (cell, expected) in [
            (Cell::Missing, "-"),
            (Cell::Count(12_345), "12.3k"),
            (Cell::PerSec(3), "1.5"),
            (Cell::CountAtLeast(12_345), "≥12345"),
            (Cell::Bytes(1_572_864), "1.5M"),
            (Cell::BytesPerSec(2048), "1.0K"),
            (Cell::Nanos(123_000), "123µs"),
            (Cell::AtLeast(11_520_000_000_000), "≥3h12m"),
            (Cell::Queue(Some(3), (Some(12), true), Some(128)), "3/≥12/128"),
            (Cell::Queue(None, (Some(12), false), None), "-/12/-"),
            (Cell::Id(4_026_531_840), "4026531840"),
            (Cell::Port(80), "80"),
            (Cell::Range(32_768, 60_999), "32768-60999"),
            (Cell::Text(b"\x1b\""), "\\x1b\""),
            (Cell::Word("LISTEN"), "LISTEN"),
            (Cell::Word("→"), "→"),
            (Cell::Text("漢".as_bytes()), "漢"),
            (Cell::Addr(v6, None), "::1"),
            (Cell::Addr("10.99.100.255".parse().unwrap(), None), "10.99.100.255"),
            (Cell::Addr(mapped, None), "10.0.0.255"),
            (Cell::Endpoint(Some(v4), None, Some(80)), "127.0.0.1:80"),
            (Cell::Endpoint(Some(v4), Some(vb), Some(80)), "127.0.0.1%v\\x1b:80"),
            (Cell::Endpoint(Some(v6), Some(vb), Some(80)), "[::1%v\\x1b]:80"),
            (Cell::remote(Some(v6), Some(vb), Some(80)), "[::1]:80"),
            (Cell::Endpoint(Some(v4), None, None), "127.0.0.1:-"),
            (Cell::Endpoint(None, None, None), "-"),
            (Cell::AnyAddr(None, 80), "*:80"),
            (Cell::AnyAddr(Some(vb), 80), "*%v\\x1b:80"),
            (Cell::Netns(4_026_532_281, Some("blue\x1b")), "4026532281(blue\\x1b)"),
            (Cell::Net("192.0.2.0/24".parse().unwrap(), None), "192.0.2.0/24"),
            (Cell::Time(1_000_000), "00:00:00.001"),
        ] {
            assert_eq!(text(cell), expected);
            assert_eq!(cell.width(expected.as_bytes()), escape::width(expected.as_bytes()));
        }
    }

    #[test]
    fn sums_when_there_is_no_interval() {
        let mut out = Vec::new();
        Cell::PerSec(5).text(&mut Ctx::new(0, true), &mut out);
        Cell::BytesPerSec(5).text(&mut Ctx::new(0, true), &mut out);
        assert_eq!(out, b"55B");
    }
}
