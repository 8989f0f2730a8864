//! A network namespace's own TCP counters, as in `nstat`: complete, with or
//! without any program of ours.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::interfaces::{Interface, InterfaceCounters};
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

    /// Whether nothing came: a namespace without traffic.
    fn is_nothing(&self) -> bool {
        self.0.iter().all(|count| count.unwrap_or(0) == 0)
    }

    /// Whether these can be what `before` has become.
    fn follow(&self, before: &Self) -> bool {
        self.0.iter().zip(&before.0).all(|(now, before)| now >= before)
    }

    /// The record of what came in an interval of so many ns that ended at wall-clock `ts`, in these
    /// namespaces.
    pub fn record(&self, (ts, interval_ns): (i64, u64), extent: &Extent) -> Mib {
        let mut mib = Mib {
            ts: Ts(ts),
            netns: extent.only,
            namespaces: Some(extent.read),
            not_entered: Some(extent.closed),
            interval_ns: Some(interval_ns),
            ..Mib::default()
        };
        for (to, count) in mib.counters_mut().into_iter().zip(self.0) {
            *to = count;
        }
        mib
    }
}

/// The counters of all namespaces, from one interval to the next.
#[derive(Debug, Default)]
pub struct NetnsTotals {
    list: NetnsList,
    last: Option<HashMap<u64, (Counters, InterfaceCounters)>>,
    grown: Vec<(u32, Counters)>,
    interfaces: Vec<(Option<u32>, InterfaceCounters)>,
}

impl NetnsTotals {
    /// What came since the last time, in all namespaces or, with `only`, in one. A namespace that was
    /// not there before began with 0; the first time nothing has come.
    pub fn grown(&mut self, only: Option<u32>) -> (Counters, Extent) {
        let (mut sum, mut extent) = (Counters::default(), Extent::default());
        let mut last = HashMap::new();
        self.grown.clear();
        self.interfaces.clear();
        for place in self.list.places(only) {
            let read = |net: &Path| Ok((Counters::read(net)?, InterfaceCounters::read(net)));
            let Some((now, interfaces)) = place.read_net(read) else {
                extent.closed += u64::from(place.exists());
                continue;
            };
            extent.add(place.inode);
            let known = self.last.as_ref().map(|last| last.get(&place.id()));
            // Where they have fallen, a new namespace has the inode.
            let before = known.map(|before| before.filter(|(before, _)| now.follow(before)));
            let grown = match before {
                None => now.since(&now),
                Some(None) => now,
                Some(Some((before, _))) => now.since(before),
            };
            sum = sum.plus(&grown);
            if let Some(inode) = place.inode.filter(|_| !grown.is_nothing()) {
                self.grown.push((inode, grown));
            }
            if let Some(Some((_, before))) = before {
                let grown = interfaces.since(before);
                self.interfaces.extend((!grown.is_empty()).then_some((place.inode, grown)));
            }
            last.insert(place.id(), (now, interfaces));
        }
        self.last = Some(last);
        (sum, extent)
    }

    /// The parts of the last sum, if it has several: of each namespace in which something came.
    pub fn parts(&self, time: (i64, u64), extent: &Extent) -> Vec<Mib> {
        let one = |netns| Extent { read: 1, closed: 0, only: Some(netns) };
        let part = |(netns, grown): &(u32, Counters)| Mib {
            part: true,
            ..grown.record(time, &one(*netns))
        };
        let parts = self.grown.iter().take(PARTS).filter(|_| extent.read > 1);
        parts.map(part).collect()
    }

    /// Interfaces that had errors or drops.
    pub fn interfaces(&self, time: (i64, u64)) -> Vec<Interface> {
        let rows = self.interfaces.iter();
        rows.flat_map(|(netns, interfaces)| interfaces.records(time, *netns)).collect()
    }
}

/// Namespaces that have a line; of others the sum alone says something.
const PARTS: usize = 256;

/// Segments that never reached TCP because the queue of a CPU was full, of the whole machine.
#[derive(Debug, Default)]
pub struct CpuQueues(Option<u64>);

impl CpuQueues {
    /// What came since the last time; `None` the first time, or if the kernel does not say.
    pub fn grown(&mut self) -> Option<u64> {
        let text = fs::read_to_string("/proc/net/softnet_stat").ok()?;
        let now = cpu_queue_drops(&text)?;
        let before = self.0.replace(now)?;
        Some(now.saturating_sub(before))
    }
}

/// Second column of each CPU's line, in hexadecimal (`softnet_seq_show`).
fn cpu_queue_drops(text: &str) -> Option<u64> {
    let drops = text.lines().map(|line| {
        let word = line.split_whitespace().nth(1)?;
        u64::from_str_radix(word, 16).ok()
    });
    drops.sum()
}

record! {
    /// the TCP counters of network namespaces, added up
    "mib" Mib known(part namespaces not_entered interval_ns) {
        /// null if there are several
        netns,
        /// of one of several namespaces, which another line adds up
        part: bool,
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
        /// packets dropped before TCP as the queue of a CPU was full (`net.core.netdev_max_backlog`), of the whole machine
        cpu_queue_drops: Option<u64>,
        /// `net.ipv4.tcp_max_orphans`, of the whole machine; null where /proc does not show it
        max_orphans: Option<u64>,
    }
}

impl Mib {
    /// Its counters, in the order of [`COUNTERS`].
    fn counters_mut(&mut self) -> [&mut Option<u64>; COUNTERS.len()] {
        [
            &mut self.active_opens,
            &mut self.passive_opens,
            &mut self.attempt_fails,
            &mut self.estab_resets,
            &mut self.in_segs,
            &mut self.out_segs,
            &mut self.retrans_segs,
            &mut self.out_rsts,
            &mut self.listen_overflows,
            &mut self.listen_drops,
            &mut self.tcp_syn_retrans,
            &mut self.tcp_time_wait_overflow,
            &mut self.tcp_abort_on_memory,
            &mut self.tcp_win_probe,
            &mut self.tcp_abort_on_data,
            &mut self.tcp_abort_on_close,
            &mut self.tcp_abort_on_timeout,
            &mut self.tcp_to_zero_window_adv,
            &mut self.tcp_from_zero_window_adv,
            &mut self.ip_reverse_path_filter,
            &mut self.in_csum_errors,
            &mut self.rcv_pruned,
            &mut self.tcp_memory_pressures,
        ]
    }

    /// The sum of two intervals, the second of which came later.
    #[must_use]
    pub fn followed_by(mut self, mut later: Self) -> Self {
        let add = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        let mut sum = later.clone();
        sum.interval_ns = add(self.interval_ns, later.interval_ns);
        sum.cpu_queue_drops = add(self.cpu_queue_drops, later.cpu_queue_drops);
        let pairs = self.counters_mut().into_iter().zip(later.counters_mut());
        for (to, (a, b)) in sum.counters_mut().into_iter().zip(pairs) {
            *to = add(*a, *b);
        }
        sum
    }

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
#[path = "nstat_tests.rs"]
mod tests;
