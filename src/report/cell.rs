//! One value of a row: its type decides how a table shows it and what JSON carries.

use std::cmp::Ordering;
use std::io::Write;
use std::net::IpAddr;

use serde_json::Value;

use super::{Ctx, escape, human, json};

/// A typed value, borrowed from its row.
///
/// JSON carries raw numbers in the unit of the variant, text is rounded for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Not known: `-`, `null`.
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
    /// The lower bound of a number of things, for it was looked at now and then: `≥12`.
    CountAtLeast(u64),
    /// A number that is never rounded: it names something, or people compare it to the unit.
    Id(u64),
    /// A TCP port.
    Port(u16),
    /// Bytes from the kernel, taken to be hostile.
    Text(&'a [u8]),
    /// A word of this program's own.
    Word(&'a str),
    /// An address; a v4-mapped one is shown as IPv4.
    Addr(IpAddr),
    /// An address and port, either of them possibly unknown: `[::1]:80`, `127.0.0.1:-`.
    Endpoint(Option<IpAddr>, Option<u16>),
    /// Wall-clock time in ns since the epoch.
    Time(i64),
    /// Yes or no.
    Flag(bool),
    /// Names with a value each; an object in JSON.
    Pairs(&'a [(&'a str, &'a str)]),
    /// What has no text of its own: lists, objects.
    Json(&'a Value),
}

/// What a cell sorts by.
enum Key<'a> {
    Number(i128),
    Text(&'a [u8]),
    Addr(Option<IpAddr>, Option<u16>),
    None,
}

impl Cell<'_> {
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
            Self::Id(id) => human::integer(id, out),
            Self::Port(port) => human::integer(port.into(), out),
            // A blank cell would shift the columns of whoever splits lines at spaces.
            Self::Text([]) => out.extend_from_slice(b"\"\""),
            Self::Text(bytes) => escape::text(bytes, out),
            Self::Word(word) => out.extend_from_slice(word.as_bytes()),
            Self::Addr(ip) => addr(ip, out),
            Self::Endpoint(ip, port) => endpoint(ip, port, out),
            Self::Time(ns) => ctx.clock(ns, out),
            Self::Flag(yes) => out.extend_from_slice(if yes { b"yes" } else { b"no" }),
            Self::Json(_) => self.json(ctx, out),
            Self::Pairs(pairs) => {
                for (i, (name, value)) in pairs.iter().enumerate() {
                    out.extend_from_slice(if i > 0 { b" " } else { b"" });
                    out.extend_from_slice(name.as_bytes());
                    out.push(b'=');
                    out.extend_from_slice(value.as_bytes());
                }
            }
        }
    }

    /// Appends the value as JSON.
    pub fn json(&self, ctx: &mut Ctx, out: &mut Vec<u8>) {
        match *self {
            Self::Missing | Self::Endpoint(None, None) => out.extend_from_slice(b"null"),
            Self::Count(n)
            | Self::PerSec(n)
            | Self::Bytes(n)
            | Self::BytesPerSec(n)
            | Self::Nanos(n)
            | Self::AtLeast(n)
            | Self::CountAtLeast(n)
            | Self::Id(n) => human::integer(n, out),
            Self::Port(port) => human::integer(port.into(), out),
            Self::Text(bytes) => escape::json(bytes, out),
            Self::Word(word) => escape::json(word.as_bytes(), out),
            Self::Addr(ip) => quoted(out, |out| addr(ip, out)),
            Self::Endpoint(ip, port) => quoted(out, |out| endpoint(ip, port, out)),
            Self::Time(ns) => quoted(out, |out| ctx.rfc3339(ns, out)),
            Self::Flag(yes) => out.extend_from_slice(if yes { b"true" } else { b"false" }),
            Self::Json(value) => json::value(value, out),
            Self::Pairs(pairs) => {
                out.push(b'{');
                for (i, (name, value)) in pairs.iter().enumerate() {
                    out.extend_from_slice(if i > 0 { b"," } else { b"" });
                    escape::json(name.as_bytes(), out);
                    out.push(b':');
                    escape::json(value.as_bytes(), out);
                }
                out.push(b'}');
            }
        }
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
            Self::Port(port) => Key::Number(port.into()),
            Self::Time(ns) => Key::Number(ns.into()),
            Self::Flag(yes) => Key::Number(yes.into()),
            Self::Text(bytes) => Key::Text(bytes),
            Self::Word(word) => Key::Text(word.as_bytes()),
            Self::Addr(ip) => Key::Addr(Some(ip.to_canonical()), None),
            Self::Endpoint(None, None) | Self::Missing | Self::Pairs(_) | Self::Json(_) => {
                Key::None
            }
            Self::Endpoint(ip, port) => Key::Addr(ip.map(|ip| ip.to_canonical()), port),
        }
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn addr(ip: IpAddr, out: &mut Vec<u8>) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            for (i, octet) in ip.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                human::integer(octet.into(), out);
            }
        }
        IpAddr::V6(ip) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{ip}");
        }
    }
}

fn endpoint(ip: Option<IpAddr>, port: Option<u16>, out: &mut Vec<u8>) {
    if ip.is_none() && port.is_none() {
        out.push(b'-');
        return;
    }
    match ip.map(|ip| ip.to_canonical()) {
        Some(ip @ IpAddr::V4(_)) => addr(ip, out),
        Some(ip @ IpAddr::V6(_)) => {
            out.push(b'[');
            addr(ip, out);
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

    fn both(cell: Cell<'_>) -> (String, String) {
        let mut ctx = Ctx::new(2_000_000_000, true);
        let (mut text, mut json) = (Vec::new(), Vec::new());
        cell.text(&mut ctx, &mut text);
        cell.json(&mut ctx, &mut json);
        serde_json::from_slice::<serde_json::Value>(&json).unwrap();
        (String::from_utf8(text).unwrap(), String::from_utf8(json).unwrap())
    }

    #[test]
    fn shows_every_kind_both_ways() {
        let v4: IpAddr = "127.0.0.1".parse().unwrap();
        let v6: IpAddr = "::1".parse().unwrap();
        let mapped: IpAddr = "::ffff:10.0.0.255".parse().unwrap();
        for (cell, text, json) in [
            (Cell::Missing, "-", "null"),
            (Cell::Count(12_345), "12.3k", "12345"),
            (Cell::PerSec(3), "1.5", "3"),
            (Cell::CountAtLeast(12_345), "≥12345", "12345"),
            (Cell::Bytes(1_572_864), "1.5M", "1572864"),
            (Cell::BytesPerSec(2048), "1.0K", "2048"),
            (Cell::Nanos(123_000), "123µs", "123000"),
            (Cell::AtLeast(11_520_000_000_000), "≥3h12m", "11520000000000"),
            (Cell::Id(4_026_531_840), "4026531840", "4026531840"),
            (Cell::Port(80), "80", "80"),
            (Cell::Text(b"\x1b\""), "\\x1b\"", r#""\u001b\"""#),
            (Cell::Word("LISTEN"), "LISTEN", "\"LISTEN\""),
            (Cell::Addr(mapped), "10.0.0.255", "\"10.0.0.255\""),
            (Cell::Endpoint(Some(v4), Some(80)), "127.0.0.1:80", "\"127.0.0.1:80\""),
            (Cell::Endpoint(Some(v6), Some(80)), "[::1]:80", "\"[::1]:80\""),
            (Cell::Endpoint(Some(v4), None), "127.0.0.1:-", "\"127.0.0.1:-\""),
            (Cell::Endpoint(None, None), "-", "null"),
            (Cell::Time(1_000_000), "00:00:00.001", "\"1970-01-01T00:00:00.001000000Z\""),
            (Cell::Flag(true), "yes", "true"),
            (Cell::Pairs(&[("a", "x"), ("b", "y")]), "a=x b=y", r#"{"a":"x","b":"y"}"#),
        ] {
            assert_eq!(both(cell), (text.to_owned(), json.to_owned()));
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
