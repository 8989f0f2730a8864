//! A network namespace's own TCP counters, as in `nstat`: complete, with or
//! without any program of ours.

use std::fs;

use anyhow::{Context, Result};

use crate::report::{Ts, record};

/// The counters of the calling thread's namespace (RFC 4022's, and Linux's own).
const FILES: [&str; 2] = ["/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat"];

/// The counters read, by key and by the names of their line and themselves.
const COUNTERS: [(&str, &str); 10] = [
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
    /// Reads those of the calling thread's namespace.
    ///
    /// # Errors
    /// /proc is not there.
    pub fn read() -> Result<Self> {
        let mut counters = Self::default();
        for file in FILES {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
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

    /// The record of what came in an interval of so many ns that ended at wall-clock `ts`, in the
    /// namespace of this inode.
    pub fn record(&self, (ts, interval_ns): (i64, u64), netns: u32) -> Mib {
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
        ] = self.0;
        Mib {
            ts: Ts(ts),
            netns: Some(netns),
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
        }
    }
}

record! {
    /// a network namespace's own TCP counters
    "mib" Mib known(netns interval_ns) {
        /// the namespace
        netns,
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
        /// `TcpOutSegs`: segments sent, without retransmits
        out_segs: Option<u64>,
        /// `TcpRetransSegs`: segments retransmitted
        retrans_segs: Option<u64>,
        /// `TcpOutRsts`: resets sent
        out_rsts: Option<u64>,
        /// `TcpExtListenOverflows`
        listen_overflows: Option<u64>,
        /// `TcpExtListenDrops`
        listen_drops: Option<u64>,
    }
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
    fn every_key_is_named_after_its_counter() {
        let counters = Counters(std::array::from_fn(|place| Some(place as u64)));
        let record = serde_json::to_value(counters.record((0, 1), 1)).unwrap();
        for (place, (_, name)) in COUNTERS.iter().enumerate() {
            let mut keys = record.as_object().unwrap().iter();
            let (key, _) = keys
                .find(|(key, value)| {
                    **value == place && !["netns", "interval_ns"].contains(&key.as_str())
                })
                .unwrap();
            assert_eq!(key.replace('_', ""), name.to_ascii_lowercase());
        }
    }
}
