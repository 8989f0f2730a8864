//! A network namespace's own TCP counters, as `nstat` shows them: the kernel's truth, with or
//! without any program of ours.

use std::fs;

use anyhow::{Context, Result};

use crate::report::{Cell, Column, Row};

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

    fn cell(&self, index: usize) -> Cell<'static> {
        self.0[index].map_or(Cell::Missing, Cell::PerSec)
    }
}

/// What a namespace counted in an interval.
#[derive(Clone, Copy, Debug)]
pub struct MibRow {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Inode of the namespace.
    pub netns: u32,
    /// Length of the interval, ns.
    pub interval_ns: u64,
    /// What came in it.
    pub counters: Counters,
}

static COLUMNS: [Column<MibRow>; 12] = [
    Column::json("netns", |r: &MibRow| Cell::Id(r.netns.into()), "Network namespace's inode."),
    Column::json("interval_ns", |r| Cell::Nanos(r.interval_ns), "Length of the interval."),
    Column::json("active_opens", |r| r.counters.cell(0), "Connects begun."),
    Column::json("passive_opens", |r| r.counters.cell(1), "Connections taken by listeners."),
    Column::json("attempt_fails", |r| r.counters.cell(2), "Connects and SYNs that failed."),
    Column::json("estab_resets", |r| r.counters.cell(3), "Connections ended by a reset."),
    Column::json("in_segs", |r| r.counters.cell(4), "Segments received."),
    Column::json("out_segs", |r| r.counters.cell(5), "Segments sent, but for those sent again."),
    Column::json("retrans_segs", |r| r.counters.cell(6), "Segments sent again."),
    Column::json("out_rsts", |r| r.counters.cell(7), "Resets sent."),
    Column::json("listen_overflows", |r| r.counters.cell(8), "Accept queue full."),
    Column::json("listen_drops", |r| r.counters.cell(9), "Drops of listeners."),
];

impl Row for MibRow {
    const KIND: &'static str = "mib";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
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
        for (column, (_, name)) in COLUMNS[2..].iter().zip(COUNTERS) {
            assert_eq!(column.key.replace('_', ""), name.to_ascii_lowercase());
        }
    }
}
