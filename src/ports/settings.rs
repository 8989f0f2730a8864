//! How a network namespace hands out local ports.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

use crate::nstat::values;

/// Ports, 64 to a word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortSet(BTreeMap<u16, u64>);

impl PortSet {
    /// Adds a port.
    pub fn insert(&mut self, port: u16) {
        *self.0.entry(port / 64).or_default() |= 1 << (port % 64);
    }

    /// Whether it has a port.
    pub fn contains(&self, port: u16) -> bool {
        self.0.get(&(port / 64)).is_some_and(|word| word >> (port % 64) & 1 != 0)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().flat_map(|(&place, &word)| {
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| place * 64 + bit)
        })
    }

    /// As `ip_local_reserved_ports` has them: `8080,9148-9150`.
    fn parse(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for part in text.trim().split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            (first.parse().ok()?..=last.parse().ok()?).for_each(|port| set.insert(port));
        }
        Some(set)
    }
}

/// The ports that the kernel chooses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
    /// How many, without the reserved ones.
    pub ports: u64,
}

/// Settings and counters of a namespace that decide about ports.
#[derive(Debug, Clone, Default)]
pub struct PortSettings {
    /// `net.ipv4.ip_local_port_range`.
    pub range: (u16, u16),
    /// `net.ipv4.ip_local_reserved_ports`.
    pub reserved: PortSet,
    /// `net.ipv4.tcp_tw_reuse`: 0 never, 1 always, 2 on loopback.
    pub tw_reuse: Option<u32>,
    /// `net.ipv4.tcp_tw_reuse_delay`, ms; before 6.14 it is a second.
    pub tw_reuse_delay: Option<u32>,
    /// `net.ipv4.tcp_timestamps`.
    pub timestamps: Option<u32>,
    /// `net.ipv4.tcp_max_tw_buckets`.
    pub max_tw_buckets: Option<u32>,
    /// `net.ipv4.tcp_fin_timeout`, s.
    pub fin_timeout: Option<u32>,
    /// `TCPTimeWaitOverflow`: `TIME_WAIT` sockets that were left out.
    pub tw_overflow: Option<u64>,
}

impl PortSettings {
    /// Those of the calling thread's namespace.
    ///
    /// # Errors
    /// /proc is not there.
    pub fn here() -> Result<Self> {
        let text = |name: &str| {
            let path = format!("/proc/sys/net/ipv4/{name}");
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let number = |name: &str| text(name).ok()?.trim().parse().ok();
        let netstat = fs::read_to_string("/proc/thread-self/net/netstat").unwrap_or_default();
        let overflow = values(&netstat)
            .find(|(of, name, _)| (*of, *name) == ("TcpExt:", "TCPTimeWaitOverflow"));
        let range = text("ip_local_port_range")?;
        let mut ends = range.split_whitespace().map(str::parse);
        let (Some(Ok(first)), Some(Ok(last))) = (ends.next(), ends.next()) else {
            anyhow::bail!("ip_local_port_range is not two ports: {range:?}")
        };
        Ok(Self {
            range: (first, last),
            reserved: PortSet::parse(&text("ip_local_reserved_ports")?)
                .context("ip_local_reserved_ports is no list of ports")?,
            tw_reuse: number("tcp_tw_reuse"),
            tw_reuse_delay: number("tcp_tw_reuse_delay"),
            timestamps: number("tcp_timestamps"),
            max_tw_buckets: number("tcp_max_tw_buckets"),
            fin_timeout: number("tcp_fin_timeout"),
            tw_overflow: overflow.map(|(.., value)| value),
        })
    }

    /// The ports for a socket with this `IP_LOCAL_PORT_RANGE` (0: none). A bound outside of the
    /// namespace's range has no effect (`inet_sk_get_local_port_range` in the kernel).
    pub fn pool(&self, own: u32) -> Pool {
        let (first, last) = self.range;
        #[allow(clippy::cast_possible_truncation, reason = "halves of a word")]
        let (low, high) = (own as u16, (own >> 16) as u16);
        let inside = |port: u16, or: u16| if (first..=last).contains(&port) { port } else { or };
        let (first, last) = (inside(low, first), inside(high, last));
        let reserved = self.reserved.iter().filter(|port| (first..=last).contains(port)).count();
        let all = u64::from(last).saturating_sub(first.into()) + 1;
        Pool { first, last, ports: all - (reserved as u64).min(all) }
    }

    /// Whether the kernel may choose a port.
    pub fn offers(&self, pool: Pool, port: u16) -> bool {
        (pool.first..=pool.last).contains(&port) && !self.reserved.contains(port)
    }

    /// After this many ms in `TIME_WAIT` the port of a connection is taken again; `None`: not before
    /// its end.
    pub fn reuse_after_ms(&self, loopback: bool) -> Option<u32> {
        let reuses = self.tw_reuse == Some(1) || (self.tw_reuse == Some(2) && loopback);
        reuses.then_some(self.tw_reuse_delay.unwrap_or(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PortSettings {
        let reserved = PortSet::parse("80,40002,40005-40006\n").unwrap();
        PortSettings { range: (40_000, 40_009), reserved, ..PortSettings::default() }
    }

    #[test]
    fn reserved_ports_are_not_offered() {
        let settings = settings();
        let pool = settings.pool(0);
        assert_eq!(pool, Pool { first: 40_000, last: 40_009, ports: 7 });
        assert!(settings.offers(pool, 40_000) && !settings.offers(pool, 40_006));
        assert_eq!(settings.reserved.iter().collect::<Vec<_>>(), [80, 40_002, 40_005, 40_006]);
        assert_eq!(PortSet::parse("80,x"), None);
    }

    #[test]
    fn a_range_of_the_socket_narrows_that_of_the_namespace() {
        let own = |first: u32, last: u32| settings().pool(first | last << 16);
        assert_eq!(own(40_003, 40_007), Pool { first: 40_003, last: 40_007, ports: 3 });
        // A bound of 0, or one outside, is the namespace's.
        assert_eq!(own(0, 40_007), Pool { first: 40_000, last: 40_007, ports: 5 });
        assert_eq!(own(30_000, 50_000).ports, 7);
    }

    #[test]
    fn time_wait_is_reused_as_the_setting_says() {
        let with =
            |tw_reuse, loopback| PortSettings { tw_reuse, ..settings() }.reuse_after_ms(loopback);
        assert_eq!(with(Some(2), true), Some(1000));
        assert_eq!(
            (with(Some(2), false), with(Some(0), true), with(None, true)),
            (None, None, None)
        );
        assert_eq!(with(Some(1), false), Some(1000));
    }
}
