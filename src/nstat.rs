//! A network namespace's own TCP counters, as in `nstat`: complete, with or
//! without any program of ours.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::kernel::netns_list::{Extent, NetnsList};
use crate::report::{Ts, record};

/// The files of a namespace's counters (RFC 4022's, and Linux's own).
const FILES: [&str; 2] = ["snmp", "netstat"];

/// The counters read, by key and by the names of their line and themselves.
const COUNTERS: [(&str, &str); 23] = [
    ("Tcp:", "ActiveOpens"),
    ("Tcp:", "PassiveOpens"),
    ("Tcp:", "AttemptFails"),
    ("Tcp:", "EstabResets"),
    ("Tcp:", "InSegs"),
    ("Tcp:", "OutSegs"),
    ("Tcp:", "RetransSegs"),
    ("Tcp:", "OutRsts"),
    ("TcpExt:", "ListenOverflows"),
    ("TcpExt:", "ListenDrops"),
    ("TcpExt:", "TCPSynRetrans"),
    ("TcpExt:", "TCPTimeWaitOverflow"),
    ("TcpExt:", "TCPAbortOnMemory"),
    ("TcpExt:", "TCPWinProbe"),
    ("TcpExt:", "TCPAbortOnData"),
    ("TcpExt:", "TCPAbortOnClose"),
    ("TcpExt:", "TCPAbortOnTimeout"),
    ("TcpExt:", "TCPToZeroWindowAdv"),
    ("TcpExt:", "TCPFromZeroWindowAdv"),
    ("TcpExt:", "IPReversePathFilter"),
    ("Tcp:", "InCsumErrors"),
    ("TcpExt:", "RcvPruned"),
    ("TcpExt:", "TCPMemoryPressures"),
];

/// What a file of such counters holds: for each protocol (`TcpExt:`) a line of names, then one of
/// values. What cannot be counted (`MaxConn` -1) is left out.
pub fn values(text: &str) -> impl Iterator<Item = (&str, &str, u64)> {
    let mut lines = text.lines();
    let pairs = std::iter::from_fn(move || Some((lines.next()?, lines.next()?)));
    pairs.flat_map(|(names, values)| {
        let protocol = names.split(' ').next().unwrap_or_default();
        let pairs = names.split(' ').zip(values.split(' ')).skip(1);
        pairs.filter_map(move |(name, value)| Some((protocol, name, value.parse().ok()?)))
    })
}

/// Sums since the namespace began; `None` where this kernel does not have the counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters([Option<u64>; COUNTERS.len()]);

impl Counters {
    /// Reads those of the namespace whose folder in /proc this is.
    ///
    /// # Errors
    /// It is not there.
    pub fn read(net: &Path) -> Result<Self> {
        let mut counters = Self::default();
        for file in FILES.map(|file| net.join(file)) {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            counters.take(&text);
        }
        Ok(counters)
    }

    fn take(&mut self, text: &str) {
        for (protocol, name, value) in values(text) {
            if let Some(place) = COUNTERS.iter().position(|known| *known == (protocol, name)) {
                self.0[place] = Some(value);
            }
        }
    }

    /// What came since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.0.iter().zip(&before.0);
        let mut grown = Self::default();
        for (to, (now, before)) in grown.0.iter_mut().zip(pairs) {
            *to = now.zip(*before).map(|(now, before)| now.wrapping_sub(before));
        }
        grown
    }

    /// The sum of two namespaces.
    #[must_use]
    fn plus(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (to, other) in sum.0.iter_mut().zip(other.0) {
            *to = to.map_or(other, |one| Some(one.wrapping_add(other.unwrap_or(0))));
        }
        sum
    }

    /// Whether these can be what `before` has become.
    fn follow(&self, before: &Self) -> bool {
        self.0.iter().zip(&before.0).all(|(now, before)| now >= before)
    }

    /// The record of what came in an interval of so many ns that ended at wall-clock `ts`, in these
    /// namespaces.
    pub fn record(&self, (ts, interval_ns): (i64, u64), extent: &Extent) -> Mib {
        let [
            active_opens,
            passive_opens,
            attempt_fails,
            estab_resets,
            in_segs,
            out_segs,
            retrans_segs,
            out_rsts,
            listen_overflows,
            listen_drops,
            tcp_syn_retrans,
            tcp_time_wait_overflow,
            tcp_abort_on_memory,
            tcp_win_probe,
            tcp_abort_on_data,
            tcp_abort_on_close,
            tcp_abort_on_timeout,
            tcp_to_zero_window_adv,
            tcp_from_zero_window_adv,
            ip_reverse_path_filter,
            in_csum_errors,
            rcv_pruned,
            tcp_memory_pressures,
        ] = self.0;
        Mib {
            ts: Ts(ts),
            netns: extent.only,
            namespaces: Some(extent.read),
            not_entered: Some(extent.closed),
            interval_ns: Some(interval_ns),
            active_opens,
            passive_opens,
            attempt_fails,
            estab_resets,
            in_segs,
            out_segs,
            retrans_segs,
            out_rsts,
            listen_overflows,
            listen_drops,
            tcp_syn_retrans,
            tcp_time_wait_overflow,
            tcp_abort_on_memory,
            tcp_win_probe,
            tcp_abort_on_data,
            tcp_abort_on_close,
            tcp_abort_on_timeout,
            tcp_to_zero_window_adv,
            tcp_from_zero_window_adv,
            ip_reverse_path_filter,
            in_csum_errors,
            rcv_pruned,
            tcp_memory_pressures,
            ..Mib::default()
        }
    }
}

/// The counters of all namespaces, from one interval to the next.
#[derive(Debug, Default)]
pub struct NetnsTotals {
    list: NetnsList,
    last: Option<HashMap<u64, Counters>>,
}

impl NetnsTotals {
    /// What came since the last time, in all namespaces or, with `only`, in one. A namespace that was
    /// not there before began with 0; the first time nothing has come.
    pub fn grown(&mut self, only: Option<u32>) -> (Counters, Extent) {
        let (mut sum, mut extent) = (Counters::default(), Extent::default());
        let mut last = HashMap::new();
        for place in self.list.places(only) {
            let Some(now) = place.read_net(Counters::read) else {
                extent.closed += u64::from(place.exists());
                continue;
            };
            extent.add(place.inode);
            let before =
                self.last.as_ref().map_or(Some(now), |last| last.get(&place.id()).copied());
            // Where they have fallen, a new namespace has the inode.
            let before = before.filter(|before| now.follow(before));
            sum = sum.plus(&before.map_or(now, |before| now.since(&before)));
            last.insert(place.id(), now);
        }
        self.last = Some(last);
        (sum, extent)
    }
}

record! {
    /// the TCP counters of network namespaces, added up
    "mib" Mib known(namespaces not_entered interval_ns) {
        /// null if there are several
        netns,
        namespaces,
        /// no process in them can be read, and they cannot be entered
        not_entered,
        interval_ns,
        /// `TcpActiveOpens`: connects that sent a SYN
        active_opens: Option<u64>,
        /// `TcpPassiveOpens`: connections to listeners
        passive_opens: Option<u64>,
        /// `TcpAttemptFails`: connects and half-open connections that failed
        attempt_fails: Option<u64>,
        /// `TcpEstabResets`: established connections that ended in a reset
        estab_resets: Option<u64>,
        /// `TcpInSegs`: segments received
        in_segs: Option<u64>,
        /// `TcpOutSegs`
        out_segs,
        /// `TcpRetransSegs`: segments retransmitted
        retrans_segs,
        /// `TcpOutRsts`: resets sent
        out_rsts: Option<u64>,
        /// `TcpExtListenOverflows`
        listen_overflows: Option<u64>,
        /// `TcpExtListenDrops`
        listen_drops: Option<u64>,
        /// `TcpExtTCPSynRetrans`: SYNs and SYN-ACKs retransmitted; `retrans_segs` includes them
        tcp_syn_retrans: Option<u64>,
        /// `TcpExtTCPTimeWaitOverflow`: connections that went without `TIME_WAIT`, as `tcp_max_tw_buckets` was reached
        tcp_time_wait_overflow: Option<u64>,
        /// `TcpExtTCPAbortOnMemory`: connections reset because there were too many orphans, or no memory for TCP
        tcp_abort_on_memory: Option<u64>,
        /// `TcpExtTCPWinProbe`: probes of a peer's zero window sent
        tcp_win_probe: Option<u64>,
        /// `TcpExtTCPAbortOnData`: connections reset by `close()` with `SO_LINGER` 0, or because data came after it
        tcp_abort_on_data: Option<u64>,
        /// `TcpExtTCPAbortOnClose`: connections reset by `close()` with unread data
        tcp_abort_on_close: Option<u64>,
        /// `TcpExtTCPAbortOnTimeout`: connections given up because no answer came
        tcp_abort_on_timeout: Option<u64>,
        /// `TcpExtTCPToZeroWindowAdv`: receive windows of this side that became zero
        tcp_to_zero_window_adv: Option<u64>,
        /// `TcpExtTCPFromZeroWindowAdv`: those that opened again
        tcp_from_zero_window_adv: Option<u64>,
        /// `TcpExtIPReversePathFilter`: packets dropped by `rp_filter`
        ip_reverse_path_filter: Option<u64>,
        /// `TcpInCsumErrors`: segments dropped because of a wrong checksum
        in_csum_errors: Option<u64>,
        /// `TcpExtRcvPruned`: segments dropped because a receive buffer was full
        rcv_pruned: Option<u64>,
        /// `TcpExtTCPMemoryPressures`: how often TCP came under memory pressure
        tcp_memory_pressures: Option<u64>,
        /// sockets of the whole machine that their process has closed and TCP has not, at the end of the interval
        orphans: Option<u64>,
        /// `net.ipv4.tcp_max_orphans`, of the whole machine; null where /proc does not show it
        max_orphans: Option<u64>,
    }
}

impl Mib {
    /// With the orphans as they are now.
    #[must_use]
    pub fn with_orphans(self) -> Self {
        let sockstat = fs::read_to_string("/proc/thread-self/net/sockstat").unwrap_or_default();
        let limit = fs::read_to_string("/proc/sys/net/ipv4/tcp_max_orphans").ok();
        let max_orphans = limit.and_then(|text| text.trim().parse().ok());
        Self { orphans: orphans(&sockstat), max_orphans, ..self }
    }
}

/// `TCP: inuse 2 orphan 0 tw 7 alloc 3 mem 1`
fn orphans(sockstat: &str) -> Option<u64> {
    let mut words = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "))?.split(' ');
    words.find(|word| *word == "orphan")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_paired_and_gaps_stay_unknown() {
        let mut before = Counters::default();
        before.take("Ip: Forwarding\nIp: 1\nTcp: RtoMax ActiveOpens OutRsts\nTcp: 7 10 3\n");
        let mut now = before;
        now.take("Tcp: ActiveOpens OutRsts\nTcp: 15 3\nUdp: ActiveOpens\nUdp: 99\n");
        let grown = now.since(&before);
        assert_eq!((grown.0[0], grown.0[7], grown.0[8]), (Some(5), Some(0), None));
    }

    #[test]
    fn namespaces_add_up_and_a_fallen_counter_is_a_new_one() {
        let of = |opens: u64| {
            let mut counters = Counters::default();
            counters.take(&format!("Tcp: ActiveOpens OutRsts\nTcp: {opens} 3\n"));
            counters
        };
        let sum = of(4).plus(&Counters::default()).plus(&of(5));
        assert_eq!((sum.0[0], sum.0[7], sum.0[8]), (Some(9), Some(6), None));
        assert!(of(5).follow(&of(4)) && !of(3).follow(&of(4)));
    }

    #[test]
    fn orphans_are_read() {
        let text = "sockets: used 9\nTCP: inuse 2 orphan 30 tw 7 alloc 3 mem 1\nUDP: inuse 1\n";
        assert_eq!((orphans(text), orphans("UDP: inuse 1\n")), (Some(30), None));
    }

    #[test]
    fn every_key_is_named_after_its_counter() {
        let counters = Counters(std::array::from_fn(|place| Some(place as u64)));
        let extent = Extent::default();
        let record = serde_json::to_value(counters.record((0, 1), &extent)).unwrap();
        for (place, (_, name)) in COUNTERS.iter().enumerate() {
            let mut keys = record.as_object().unwrap().iter();
            let (key, _) = keys
                .find(|(key, value)| {
                    let scope = ["netns", "namespaces", "not_entered", "interval_ns", "orphans"];
                    **value == place && !scope.contains(&key.as_str())
                })
                .unwrap();
            assert_eq!(key.replace('_', ""), name.to_ascii_lowercase());
        }
    }
}
