//! Counters and settings of a network namespace, from /proc inside it.

use std::fs;

use anyhow::{Context, Result};

use crate::nstat::values;

/// Counters of TCP listeners (`TcpExt` in /proc/net/netstat).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListenCounters {
    /// `ListenOverflows`: an accept queue was full.
    pub overflows: u64,
    /// `ListenDrops`: a SYN or final ACK was dropped, for any reason.
    pub drops: u64,
    /// `TCPReqQFullDrop`: a SYN queue was full, and the SYN was dropped.
    pub syn_drops: u64,
    /// `SyncookiesSent`. `TCPReqQFullDoCookies` counts before the accept queue is checked.
    pub cookies: u64,
    /// `SyncookiesRecv`: final ACKs that came with a good cookie.
    pub cookies_back: u64,
    /// `TCPMigrateReqSuccess`: a closing listener gave a connection to another one; 0 on kernels
    /// that cannot (before 5.14).
    pub migrated: u64,
}

impl ListenCounters {
    /// Those of the calling thread's namespace.
    ///
    /// # Errors
    /// /proc is not there, or has no such counters.
    pub fn here() -> Result<Self> {
        const PATH: &str = "/proc/thread-self/net/netstat";
        let text = fs::read_to_string(PATH).with_context(|| format!("cannot read {PATH}"))?;
        Self::parse(&text).with_context(|| format!("{PATH} has no listener counters"))
    }

    fn parse(text: &str) -> Option<Self> {
        let of = |wanted: &str| {
            let found = values(text).find(|(of, name, _)| (*of, *name) == ("TcpExt:", wanted));
            found.map(|(.., value)| value)
        };
        Some(Self {
            overflows: of("ListenOverflows")?,
            drops: of("ListenDrops")?,
            syn_drops: of("TCPReqQFullDrop")?,
            cookies: of("SyncookiesSent")?,
            cookies_back: of("SyncookiesRecv")?,
            migrated: of("TCPMigrateReqSuccess").unwrap_or(0),
        })
    }

    /// Growth since `before`; everything if the counters restarted, in another namespace of
    /// the same number.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let less = self.overflows < before.overflows
            || self.drops < before.drops
            || self.syn_drops < before.syn_drops
            || self.cookies < before.cookies
            || self.cookies_back < before.cookies_back
            || self.migrated < before.migrated;
        let before = if less { Self::default() } else { before };
        Self {
            overflows: self.overflows - before.overflows,
            drops: self.drops - before.drops,
            syn_drops: self.syn_drops - before.syn_drops,
            cookies: self.cookies - before.cookies,
            cookies_back: self.cookies_back - before.cookies_back,
            migrated: self.migrated - before.migrated,
        }
    }
}

/// Settings of a namespace that decide about listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sysctls {
    /// `net.core.somaxconn`: most that `listen()` gets.
    pub somaxconn: u32,
    /// `net.ipv4.tcp_max_syn_backlog`.
    pub max_syn_backlog: u32,
    /// `net.ipv4.tcp_syncookies`: 0 never, 1 when the SYN queue is full, 2 always.
    pub syncookies: u32,
    /// `net.ipv4.tcp_abort_on_overflow`: the client gets an RST.
    pub abort_on_overflow: bool,
}

impl Sysctls {
    /// Those of the calling thread's namespace.
    ///
    /// # Errors
    /// /proc/sys is not there.
    pub fn here() -> Result<Self> {
        let of = |name: &str| -> Result<u32> {
            let path = format!("/proc/sys/net/{name}");
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
            text.trim().parse().with_context(|| format!("{path} is not a number"))
        };
        Ok(Self {
            somaxconn: of("core/somaxconn")?,
            max_syn_backlog: of("ipv4/tcp_max_syn_backlog")?,
            syncookies: of("ipv4/tcp_syncookies").unwrap_or(0),
            abort_on_overflow: of("ipv4/tcp_abort_on_overflow")? != 0,
        })
    }

    /// Requests that fit into a SYN queue whose listener has this limit. Without cookies the last
    /// quarter of `tcp_max_syn_backlog` is kept for clients that are known.
    pub fn syn_limit(&self, accept_limit: u32) -> u32 {
        let unproven = self.max_syn_backlog - self.max_syn_backlog / 4;
        if self.syncookies == 0 { accept_limit.min(unproven) } else { accept_limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETSTAT: &str = "\
TcpExt: SyncookiesSent SyncookiesRecv ListenOverflows ListenDrops TCPReqQFullDoCookies TCPReqQFullDrop
TcpExt: 4 3 7 9 5 2
IpExt: InNoRoutes
IpExt: 0
";

    #[test]
    fn counters_are_found_by_name() {
        let mib = ListenCounters::parse(NETSTAT).unwrap();
        assert_eq!(
            mib,
            ListenCounters {
                overflows: 7,
                drops: 9,
                syn_drops: 2,
                cookies: 4,
                cookies_back: 3,
                migrated: 0
            }
        );
        assert_eq!(ListenCounters::parse("TcpExt: ListenDrops\nTcpExt: 1\n"), None);
        assert!(ListenCounters::here().is_ok());
    }

    #[test]
    fn restarted_counters_count_from_zero() {
        let old = ListenCounters {
            overflows: 7,
            drops: 9,
            syn_drops: 2,
            cookies: 4,
            cookies_back: 3,
            migrated: 1,
        };
        let new = ListenCounters { overflows: 8, drops: 11, ..old };
        assert_eq!(
            new.since(old),
            ListenCounters { overflows: 1, drops: 2, ..ListenCounters::default() }
        );
        let reborn = ListenCounters { drops: 1, ..ListenCounters::default() };
        assert_eq!(reborn.since(old), reborn);
    }

    #[test]
    fn without_cookies_a_quarter_is_reserved_for_known_clients() {
        let sysctls = Sysctls {
            somaxconn: 4096,
            max_syn_backlog: 128,
            syncookies: 0,
            abort_on_overflow: false,
        };
        assert_eq!((sysctls.syn_limit(4096), sysctls.syn_limit(10)), (96, 10));
        assert_eq!(Sysctls { syncookies: 1, ..sysctls }.syn_limit(4096), 4096);
    }
}
