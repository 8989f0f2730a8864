//! One type for each kind of line; see docs/json.md for what the keys mean.
#![allow(missing_docs, reason = "fields are the keys that docs/json.md describes")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::values::{By, Key, Ts, state};
use crate::tcp_state::TcpState;

kinds! {
    /// `count`
    Count {
        pid: Option<u32>,
        by: By,
        other: bool,
        total: bool,
        comm: Option<Box<str>>,
        laddr: Option<IpAddr>,
        lport: Option<u16>,
        raddr: Option<IpAddr>,
        rport: Option<u16>,
        family: Option<u8>,
        netns: Option<u32>,
        cgroup: Option<Box<str>>,
        interval_ns: u64,
        tx_calls: u64,
        tx_bytes: u64,
        rx_calls: u64,
        rx_bytes: u64,
        segs_in: u64,
        errors: u64,
        eagain: u64,
    }

    /// `sockets`
    Sockets {
        #[serde(with = "state")]
        state: Option<TcpState>,
        by: Option<By>,
        pid: Option<u32>,
        comm: Option<Box<str>>,
        raddr: Option<IpAddr>,
        lport: Option<u16>,
        netns: Option<u32>,
        count: Option<u64>,
        oldest_ns: Option<u64>,
        oldest_at_least_ns: Option<u64>,
    }

    /// `socket`
    Socket {
        pid: Option<u32>,
        comm: Option<Box<str>>,
        laddr: Option<IpAddr>,
        lport: Option<u16>,
        raddr: Option<IpAddr>,
        rport: Option<u16>,
        family: Option<u8>,
        netns: Option<u32>,
        #[serde(with = "state")]
        state: Option<TcpState>,
        age_ns: Option<u64>,
        age_at_least_ns: Option<u64>,
    }

    /// `close_wait`
    CloseWait {
        pid: Option<u32>,
        comm: Option<Box<str>>,
        laddr: Option<IpAddr>,
        lport: Option<u16>,
        raddr: Option<IpAddr>,
        rport: Option<u16>,
        family: Option<u8>,
        netns: Option<u32>,
        age_ns: Option<u64>,
        age_at_least_ns: Option<u64>,
    }

    /// `state`
    StateChange {
        pid: Option<u32>,
        comm: Option<Box<str>>,
        laddr: Option<IpAddr>,
        lport: Option<u16>,
        raddr: Option<IpAddr>,
        rport: Option<u16>,
        family: Option<u8>,
        netns: Option<u32>,
        cgroup: Option<Box<str>>,
        #[serde(with = "state")]
        old: Option<TcpState>,
        #[serde(with = "state")]
        new: Option<TcpState>,
        duration_ns: Option<u64>,
        cookie: Option<u64>,
        polled: bool,
        ended_by: Option<Box<str>>,
    }

    /// `latency`
    Latency {
        what: Option<Box<str>>,
        role: Option<Box<str>>,
        by: By,
        other: bool,
        pid: Option<u32>,
        comm: Option<Box<str>>,
        laddr: Option<IpAddr>,
        lport: Option<u16>,
        raddr: Option<IpAddr>,
        rport: Option<u16>,
        family: Option<u8>,
        netns: Option<u32>,
        cgroup: Option<Box<str>>,
        interval_ns: Option<u64>,
        count: Option<u64>,
        min_ns: Option<u64>,
        p50_ns: Option<u64>,
        p90_ns: Option<u64>,
        p99_ns: Option<u64>,
        p999_ns: Option<u64>,
        max_ns: Option<u64>,
        refused: Option<u64>,
        timed_out: Option<u64>,
        failed: Option<u64>,
        syn_retries: Option<u64>,
        retrans: Option<u64>,
        untimed: Option<u64>,
        buckets: Option<Box<[[u64; 3]]>>,
    }

    /// `exchange`
    Exchange {
        what: Option<Box<str>>,
        role: Option<Box<str>>,
        pid: Option<u32>,
        comm: Option<Box<str>>,
        laddr: Option<IpAddr>,
        lport: Option<u16>,
        raddr: Option<IpAddr>,
        rport: Option<u16>,
        family: Option<u8>,
        netns: Option<u32>,
        cgroup: Option<Box<str>>,
        tx_bytes: Option<u64>,
        rx_bytes: Option<u64>,
        duration_ns: Option<u64>,
        retrans: Option<u64>,
        outcome: Option<Box<str>>,
    }

    /// `mib`
    Mib {
        netns: Option<u32>,
        interval_ns: u64,
        active_opens: Option<u64>,
        passive_opens: Option<u64>,
        attempt_fails: Option<u64>,
        estab_resets: Option<u64>,
        in_segs: Option<u64>,
        out_segs: Option<u64>,
        retrans_segs: Option<u64>,
        out_rsts: Option<u64>,
        listen_overflows: Option<u64>,
        listen_drops: Option<u64>,
    }

    /// `status`
    ToolStatus {
        tool: Box<str>,
        version: Box<str>,
        kernel: Box<str>,
        probes: BTreeMap<Box<str>, Box<str>>,
        attempted: u64,
        delivered: u64,
        lost: u64,
        filtered: u64,
        pending: u64,
        untracked: Option<u64>,
        missed: Option<u64>,
        unreturned: Option<u64>,
        unexplained: Option<u64>,
        cpu_ns: Option<u64>,
        #[serde(rename = "final")]
        last: bool,
    }

    /// `note`
    Note {
        text: Box<str>,
    }
}

keyed! {
    Count: pid comm laddr lport raddr rport netns cgroup;
    Sockets: pid comm lport raddr netns;
    Socket: pid comm laddr lport raddr rport netns;
    CloseWait: pid comm laddr lport raddr rport netns;
    StateChange: pid comm laddr lport raddr rport netns cgroup;
    Latency: pid comm laddr lport raddr rport netns cgroup;
    Exchange: pid comm laddr lport raddr rport netns;
}

impl Latency {
    /// Whether it is about everything together.
    pub fn is_total(&self) -> bool {
        self.by == By::Total
    }
}

impl ToolStatus {
    /// Everything that makes the output less than the truth.
    pub fn incomplete(&self) -> u64 {
        let unseen = self.missed.or(self.unreturned).unwrap_or(0);
        self.lost.saturating_add(self.untracked.unwrap_or(0)).saturating_add(unseen)
    }
}
