//! Settings and tables of network namespaces that decide about TCP.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::kernel::netns_list::NetnsList;
use crate::listen::Sysctls;
use crate::ports::{Bound, BoundSockets, PortSettings};
use crate::report::{Ts, record};

record! {
    /// settings and tables of a network namespace that decide about TCP, as they are; null where /proc does not show them
    "settings" Settings known() {
        netns,
        range_first,
        range_last,
        ports,
        /// `net.ipv4.tcp_tw_reuse`: 0 never, 1 always, 2 on loopback
        tw_reuse: Option<u32>,
        /// `net.ipv4.tcp_timestamps`
        timestamps: Option<u32>,
        /// `net.ipv4.tcp_tw_recycle`, before 4.12
        tw_recycle: Option<u32>,
        /// `net.ipv4.tcp_max_tw_buckets`
        max_tw_buckets: Option<u64>,
        somaxconn,
        max_syn_backlog,
        syncookies,
        abort_on_overflow,
        /// sockets that are bound to a port, and neither listen nor are connected; null where the kernel does not list them
        bound_unused: Option<u64>,
        /// connections that netfilter tracks
        conntrack: Option<u64>,
        /// `net.netfilter.nf_conntrack_max`
        conntrack_max: Option<u64>,
        /// pages that TCP has for buffers, of the whole machine
        tcp_pages: Option<u64>,
        /// second number of `net.ipv4.tcp_mem`: from here on buffers do not grow
        tcp_pages_pressure: Option<u64>,
        /// third number of `net.ipv4.tcp_mem`
        tcp_pages_max: Option<u64>,
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys/net").join(path)).ok()?.trim().parse().ok()
}

fn small(path: &str) -> Option<u32> {
    number(path)?.try_into().ok()
}

/// `TCP: inuse 2 orphan 0 tw 7 alloc 3 mem 1`
fn tcp_pages(sockstat: &str) -> Option<u64> {
    let mut words = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "))?.split(' ');
    words.find(|word| *word == "mem")?;
    words.next()?.parse().ok()
}

/// The memory of TCP, in pages: that of the machine, whose limits only the first namespace shows.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    pages: Option<u64>,
    pressure: Option<u64>,
    max: Option<u64>,
}

impl Memory {
    fn read() -> Self {
        let sockstat = fs::read_to_string("/proc/thread-self/net/sockstat").unwrap_or_default();
        let limits = fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").unwrap_or_default();
        let mut limits = limits.split_whitespace().skip(1).map(|word| word.parse().ok());
        let (pressure, max) = (limits.next().flatten(), limits.next().flatten());
        Self { pages: tcp_pages(&sockstat), pressure, max }
    }
}

impl Settings {
    /// Those of the thread's namespace, as read at wall-clock `ts`.
    fn here(ts: i64, netns: Option<u32>, memory: &Memory, bound: Option<u64>) -> Self {
        let ports = PortSettings::here().ok();
        let pool = ports.as_ref().map(|ports| ports.pool(0));
        let sysctls = Sysctls::here().ok();
        Self {
            ts: Ts(ts),
            netns,
            range_first: pool.map(|pool| pool.first),
            range_last: pool.map(|pool| pool.last),
            ports: pool.map(|pool| pool.ports),
            tw_reuse: small("ipv4/tcp_tw_reuse"),
            timestamps: small("ipv4/tcp_timestamps"),
            tw_recycle: small("ipv4/tcp_tw_recycle"),
            max_tw_buckets: number("ipv4/tcp_max_tw_buckets"),
            somaxconn: sysctls.map(|sysctls| sysctls.somaxconn),
            max_syn_backlog: sysctls.map(|sysctls| sysctls.max_syn_backlog),
            syncookies: small("ipv4/tcp_syncookies"),
            abort_on_overflow: sysctls.map(|sysctls| sysctls.abort_on_overflow),
            bound_unused: bound,
            conntrack: number("netfilter/nf_conntrack_count"),
            conntrack_max: number("netfilter/nf_conntrack_max"),
            tcp_pages: memory.pages,
            tcp_pages_pressure: memory.pressure,
            tcp_pages_max: memory.max,
        }
    }
}

/// They are read this often, and take at most this part of the time.
const PAUSE: Duration = Duration::from_secs(4);
const SHARE: u32 = 200;

/// Reads the settings of all namespaces now and then.
#[derive(Debug, Default)]
pub struct SettingsReader {
    list: NetnsList,
    due: Option<Instant>,
    sockets: BoundSockets,
    bound: Vec<Bound>,
}

impl SettingsReader {
    /// Those of all namespaces, or with `only` of one, at wall-clock `ts`; none if they were read a short
    /// time ago.
    ///
    /// # Errors
    /// There is no way back from a namespace.
    pub fn read(&mut self, ts: i64, only: Option<u32>) -> Result<Vec<Settings>> {
        let begun = Instant::now();
        if self.due.is_some_and(|due| begun < due) {
            return Ok(Vec::new());
        }
        let places = self.list.places(only);
        let memory = Memory::read();
        let sockets = &mut self.sockets;
        let read = places.iter().filter_map(|place| {
            place.within(|| Ok(Settings::here(ts, place.inode, &memory, sockets.look(place.inode))))
        });
        let all = read.collect();
        self.bound = self.sockets.finish(ts);
        self.due = Some(begun + PAUSE.max(begun.elapsed() * SHARE));
        all
    }

    /// Sockets that the last reading found bound, and that neither listen nor are connected.
    pub fn bound(&mut self) -> Vec<Bound> {
        std::mem::take(&mut self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_namespace_has_settings() {
        let here = Settings::here(7, Some(1), &Memory::read(), None);
        assert!(here.somaxconn.is_some() && here.ports.is_some() && here.tcp_pages.is_some());
        let mut reader = SettingsReader::default();
        assert!(!reader.read(7, None).unwrap().is_empty());
        assert!(reader.read(7, None).unwrap().is_empty(), "not so soon again");
    }
}
