//! Parsers of single values. Their errors name the fault and a valid value.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::Ipv6Net;
use jiff::SignedDuration;

use crate::filter::Network;
use crate::report::Device;

/// Bytes of the name of a device.
const MAX_DEVICE: usize = 15;
/// Bits before an IPv4 address where it is mapped into IPv6.
const V4_OFFSET: u8 = 96;
/// Times are added to those of clocks, which end some day.
const MAX_TIME: Duration = Duration::from_hours(24 * 365 * 100);
/// Shorter intervals would measure the tool itself.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
/// Sizes that the kernel takes for a ring buffer and this kit thinks sane, in bytes.
const BUFFER_SIZES: RangeInclusive<u64> = 4096..=1 << 30;
/// A smaller recording would restart with every interval.
const SMALLEST_FILE: u64 = 64 << 10;

/// A time above 0: `200us`, `10ms`, `1.5s`, `2m`, `1h`, or seconds without a unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    time(text, "write a time above 0, e.g. 200us, 10ms, 1.5s, 2m or 1h")
}

fn time(text: &str, hint: &str) -> Result<Duration, String> {
    let time = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => text.parse::<SignedDuration>().ok().and_then(|time| time.try_into().ok()),
    };
    let time = time.filter(|time| !time.is_zero()).ok_or_else(|| hint.to_owned())?;
    if time > MAX_TIME { Err("the longest time is a century".to_owned()) } else { Ok(time) }
}

/// An interval: a time of at least a millisecond.
pub fn interval(text: &str) -> Result<Duration, String> {
    let time = time(text, "write seconds above 0, e.g. 1, 0.5 or 10")?;
    if time < MIN_INTERVAL {
        return Err("the shortest interval is 1ms".to_owned());
    }
    Ok(time)
}

/// A whole number of at least 1.
pub fn at_least_one(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| "write a whole number of at least 1".to_owned())
}

/// Number of entries of a BPF map.
pub fn entries(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(entries @ 1..=16_777_216) => Ok(entries),
        _ => Err("write a whole number from 1 to 16777216".to_owned()),
    }
}

/// The number of a process.
pub fn pid(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(pid @ 1..=0x7fff_ffff) => Ok(pid),
        _ => Err("write a process ID; --comm takes names".to_owned()),
    }
}

/// A port or a range of ports: `80`, `8000-8099`.
pub fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let port = |text: &str| match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err("ports are 1 to 65535; write 80 or a range, e.g. 8000-8099".to_owned()),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = port(first)?..=port(last)?;
    if range.is_empty() {
        return Err(format!("the range is empty; write {last}-{first}"));
    }
    Ok(range)
}

/// An address or network, of sockets that are bound to a device if one is given: `10.0.0.0/8`,
/// `fe80::1%eth0`, `%eth0`. IPv4 comes back v4-mapped; bits behind the prefix are cleared.
pub fn network(text: &str) -> Result<Network, String> {
    let (text, device) = match text.split_once('%') {
        // the prefix comes last: fe80::%eth0/64
        Some((addr, rest)) => {
            let (device, prefix) =
                rest.split_once('/').map_or((rest, ""), |(a, _)| (a, &rest[a.len()..]));
            (format!("{}{prefix}", if addr.is_empty() { "::/0" } else { addr }), Some(device))
        }
        None => (text.to_owned(), None),
    };
    if device.is_some_and(|device| device.is_empty() || device.len() > MAX_DEVICE) {
        return Err("write the name of a network device behind %, e.g. fe80::1%eth0".to_owned());
    }
    Ok(Network { net: addresses(&text)?, device: device.map(Device::from), place: None })
}

fn addresses(text: &str) -> Result<Ipv6Net, String> {
    let (addr, prefix) = match text.split_once('/') {
        Some((addr, prefix)) => (addr, Some(prefix)),
        None => (text, None),
    };
    let (addr, bits) = if let Ok(v4) = addr.parse::<Ipv4Addr>() {
        (v4.to_ipv6_mapped(), 32)
    } else if let Ok(v6) = addr.parse::<Ipv6Addr>() {
        (v6, 128)
    } else {
        return Err("write an address or network, e.g. 192.0.2.1, 10.0.0.0/8 or fd00::/8; \
                    host names are not resolved"
            .to_owned());
    };
    let prefix = match prefix.map(str::parse::<u8>) {
        None => bits,
        Some(Ok(prefix)) if prefix <= bits => prefix,
        Some(_) => {
            let family = if bits == 32 { "IPv4" } else { "IPv6" };
            return Err(format!("{family} prefixes are /0 to /{bits}"));
        }
    };
    let offset = if bits == 32 { V4_OFFSET } else { 0 };
    let net = Ipv6Net::new(addr, prefix + offset).map_err(|error| error.to_string())?;
    Ok(net.trunc())
}

/// The size of a ring buffer in bytes: `512K`, `4M`. Rounded up to a power of two, as the kernel
/// takes no other.
pub fn buffer_size(text: &str) -> Result<u32, String> {
    bytes(text)
        .filter(|size| BUFFER_SIZES.contains(size))
        .and_then(|size| u32::try_from(size.next_power_of_two()).ok())
        .ok_or_else(|| "write a size from 4K to 1G, e.g. 512K or 4M".to_owned())
}

/// The size of a file in bytes: `64M`, `1G`.
pub fn file_size(text: &str) -> Result<u64, String> {
    bytes(text)
        .filter(|size| *size >= SMALLEST_FILE)
        .ok_or_else(|| "write a size of at least 64K, e.g. 64M or 1G".to_owned())
}

/// An amount of data: `512`, `100K`, `1M`.
pub fn byte_count(text: &str) -> Result<u64, String> {
    bytes(text)
        .filter(|size| *size > 0)
        .ok_or_else(|| "write a number of bytes above 0, e.g. 512, 100K or 1M".to_owned())
}

/// A number of bytes with a unit of 1024: `512K`, `4MiB`.
fn bytes(text: &str) -> Option<u64> {
    let upper = text.to_ascii_uppercase();
    let upper = upper.strip_suffix('B').unwrap_or(&upper);
    let upper = upper.strip_suffix('I').unwrap_or(upper);
    let (digits, shift) = match upper.strip_suffix(['K', 'M', 'G']) {
        Some(digits) if upper.ends_with('K') => (digits, 10),
        Some(digits) if upper.ends_with('M') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (upper, 0),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ns) in [
            ("200us", 200_000),
            ("200µs", 200_000),
            ("10ms", 10_000_000),
            ("1.5s", 1_500_000_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("3", 3_000_000_000),
            ("0.25", 250_000_000),
        ] {
            assert_eq!(duration(text).unwrap().as_nanos(), ns, "{text}");
        }
        for text in ["", "0", "0s", "-1", "-1s", "NaN", "inf", "1e30", "10 parsecs", "ms"] {
            assert!(duration(text).unwrap_err().contains("10ms"), "{text}");
            assert!(interval(text).unwrap_err().contains("0.5"), "{text}");
        }
        for text in ["9223372036854775808", "9223372036854775807", "4000000000"] {
            assert!(duration(text).unwrap_err().contains("century"), "{text}");
            assert!(interval(text).unwrap_err().contains("century"), "{text}");
        }
        assert!(interval("10us").unwrap_err().contains("1ms"));
        assert_eq!(interval("0.001").unwrap(), MIN_INTERVAL);
    }

    #[test]
    fn port_ranges() {
        assert_eq!(ports("80"), Ok(80..=80));
        assert_eq!(ports("8000-8099"), Ok(8000..=8099));
        for text in ["70000", "0", "", "-1", "80-", "http", "1-70000", "1-2-3"] {
            assert!(ports(text).unwrap_err().contains("65535"), "{text}");
        }
        assert_eq!(ports("90-80").unwrap_err(), "the range is empty; write 80-90");
    }

    #[test]
    fn networks() {
        let ok = |text: &str| network(text).unwrap().net.to_string();
        assert_eq!(ok("10.1.2.3/8"), "::ffff:10.0.0.0/104");
        assert_eq!(ok("192.0.2.1"), "::ffff:192.0.2.1/128");
        assert_eq!(ok("0.0.0.0/0"), "::ffff:0.0.0.0/96");
        assert_eq!(ok("fd00::1/8"), "fd00::/8");
        assert_eq!(ok("::1"), "::1/128");
        assert_eq!(network("10.0.0.0/33").unwrap_err(), "IPv4 prefixes are /0 to /32");
        assert_eq!(network("::/129").unwrap_err(), "IPv6 prefixes are /0 to /128");
        for text in ["fe80::a%eth0", "fe80::%eth0/64", "%eth0"] {
            assert_eq!(network(text).unwrap().device, Some(Device::from("eth0")), "{text}");
        }
        assert_eq!(ok("%eth0"), "::/0");
        assert_eq!(ok("fe80::1%eth0/64"), "fe80::/64");
        for text in
            ["", "10.0.0", "localhost", "10.0.0.0/", "10.0.0.0/x", "::1%", "%a-very-long-name"]
        {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_and_sizes() {
        assert_eq!(pid("42"), Ok(42));
        assert!(pid("0").is_err() && pid("nginx").is_err() && pid("4294967295").is_err());
        assert!(at_least_one("0").is_err() && at_least_one("-3").is_err());
        assert_eq!(at_least_one("3").unwrap().get(), 3);
        assert_eq!(buffer_size("512K"), Ok(512 << 10));
        assert_eq!(buffer_size("4MiB"), Ok(4 << 20));
        assert_eq!(buffer_size("3m"), Ok(4 << 20));
        assert_eq!(buffer_size("4096"), Ok(4096));
        for text in ["", "K", "1K", "2G", "-4M", "4T", "1.5M"] {
            assert!(buffer_size(text).unwrap_err().contains("512K"), "{text}");
        }
    }
}
