//! The rows of listenoverflow.

use std::cmp::Reverse;
use std::sync::Arc;

use super::model::Numbers;
use crate::flow::ip;
use crate::report::{Cell, Column, Row};
use crate::states::{comm, id, port};
use crate::wire::{COMM_LEN, Flow, LISTENER_GONE, LISTENER_V6ONLY};

/// A listener, or a group of them, in one interval.
#[derive(Debug, Clone)]
pub struct ListenerRow {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// Where it listens.
    pub flow: Flow,
    /// `LISTENER_…`.
    pub flags: u32,
    /// Listeners of the group.
    pub members: u64,
    /// Process, 0 = not known, or several.
    pub pid: u32,
    /// Its name.
    pub comm: [u8; COMM_LEN],
    /// What its network namespace is called.
    pub netns_name: Arc<str>,
    /// In words.
    pub listener: String,
    /// The numbers.
    pub numbers: Numbers,
    /// The peak of the accept queue is the highest value that was looked at.
    pub accept_sampled: bool,
    /// Likewise of the SYN queue.
    pub syn_sampled: bool,
    /// `tcp_abort_on_overflow`: a client whose last ACK finds no room gets an RST.
    pub aborts: Option<bool>,
}

/// Where a socket listens, as `ss` writes it: `*` takes IPv4 and IPv6.
pub fn listener_text(flow: &Flow, flags: u32) -> String {
    let address = ip(&flow.laddr);
    let any = flow.laddr == [0; 16];
    match address {
        _ if any && flags & LISTENER_V6ONLY == 0 => format!("*:{}", flow.lport),
        std::net::IpAddr::V6(v6) => format!("[{v6}]:{}", flow.lport),
        std::net::IpAddr::V4(v4) => format!("{v4}:{}", flow.lport),
    }
}

/// The columns that tell nothing in a table of all these rows; `waits`: waits are measured.
pub fn silent(rows: &[ListenerRow], waits: bool) -> Vec<&'static str> {
    let mut silent = Vec::new();
    if rows.iter().all(|row| row.flow.netns == rows[0].flow.netns) {
        silent.push("netns");
    }
    // The sum is told where its parts are not.
    if !rows.iter().any(|row| row.numbers.drops.is_sum_alone()) {
        silent.push("drops_accept");
    }
    if !waits {
        silent.extend(["wait_p50_ns", "wait_p99_ns"]);
    }
    silent
}

fn exact(count: Option<u64>) -> Cell<'static> {
    count.map_or(Cell::Missing, Cell::Id)
}

fn peak(count: u64, sampled: bool) -> Cell<'static> {
    if sampled { Cell::CountAtLeast(count) } else { Cell::Id(count) }
}

impl ListenerRow {
    /// Who loses most comes first, then whose queues were fullest; the rest by address.
    pub fn order(&self) -> impl Ord + use<> {
        let Numbers { drops, accept_peak, syn_peak, .. } = &self.numbers;
        let lost = drops.total.unwrap_or(u64::MAX);
        let flow = (self.flow.netns, self.flow.lport, self.flow.laddr);
        (Reverse(lost), Reverse(accept_peak.saturating_add(*syn_peak)), flow, self.pid)
    }

    fn wait(&self, per_mille: u64) -> Cell<'_> {
        let waits = self.numbers.waits.as_ref();
        waits.and_then(|waits| waits.quantile(per_mille)).map_or(Cell::Missing, Cell::Nanos)
    }

    fn v6only(&self) -> Cell<'_> {
        if ip(&self.flow.laddr).is_ipv4() {
            return Cell::Missing;
        }
        Cell::Flag(self.flags & LISTENER_V6ONLY != 0)
    }
}

static COLUMNS: [Column<ListenerRow>; 35] = [
    Column::left("time", "TIME", 12, |r: &ListenerRow| Cell::Time(r.ts), "End of the interval.")
        .table_only(),
    Column::left(
        "listener",
        "LISTENER",
        21,
        |r: &ListenerRow| Cell::Word(&r.listener),
        "Where it listens.",
    )
    .table_only(),
    Column::right(
        "netns",
        "NETNS",
        10,
        |r| Cell::Id(r.flow.netns.into()),
        "Network namespace's inode.",
    ),
    Column::json("netns_name", |r| name(&r.netns_name), "Its name, or its eldest process."),
    Column::json("laddr", |r| Cell::Addr(r.flow.local_ip()), "Local address."),
    Column::json("lport", |r| port(r.flow.local_port()), "Local port."),
    Column::json("v6only", ListenerRow::v6only, "An IPv6 listener takes no IPv4 connections."),
    Column::right("pid", "PID", 7, |r| id(r.pid.into()), "Process."),
    Column::left("comm", "COMM", 15, |r| comm(r.pid, &r.comm), "Its name."),
    Column::json("listeners", |r| Cell::Id(r.members), "Listeners of the group."),
    Column::json("closed", |r| Cell::Flag(r.flags & LISTENER_GONE != 0), "It listens no more."),
    Column::json("interval_ns", |r| Cell::Nanos(r.interval_ns), "Length of the interval."),
    Column::right(
        "accept_now",
        "ACCEPT-Q",
        8,
        |r| Cell::Id(r.numbers.accept_now),
        "Connections waiting for accept().",
    ),
    Column::right(
        "accept_peak",
        "PEAK",
        6,
        |r| peak(r.numbers.accept_peak, r.accept_sampled),
        "Most of them in the interval.",
    ),
    Column::json(
        "accept_peak_sampled",
        |r| Cell::Flag(r.accept_sampled),
        "The peak is the most that was looked at.",
    ),
    Column::right(
        "accept_limit",
        "LIMIT",
        6,
        |r| Cell::Id(r.numbers.accept_limit),
        "sk_max_ack_backlog; one more fits.",
    ),
    Column::right("syn_now", "SYN-Q", 6, |r| Cell::Id(r.numbers.syn_now), "Handshakes under way."),
    Column::right(
        "syn_peak",
        "PEAK",
        6,
        |r| peak(r.numbers.syn_peak, r.syn_sampled),
        "Most of them in the interval.",
    ),
    Column::json(
        "syn_peak_sampled",
        |r| Cell::Flag(r.syn_sampled),
        "The peak is the most that was looked at.",
    ),
    Column::right("syn_limit", "LIMIT", 6, |r| exact(r.numbers.syn_limit), "Most that are let in."),
    Column::right(
        "accepts",
        "ACCEPTS/s",
        9,
        |r| r.numbers.accepts.map_or(Cell::Missing, Cell::PerSec),
        "Connections taken out of the accept queue.",
    ),
    Column::right(
        "drops_accept",
        "ACC-FULL",
        8,
        |r| exact(r.numbers.drops.accept),
        "Dropped for a full accept queue, at a SYN or at a last ACK.",
    ),
    Column::right(
        "drops_accept_syn",
        "SYN:ACC-FULL",
        12,
        |r| exact(r.numbers.drops.accept_syn),
        "SYNs dropped for a full accept queue.",
    ),
    Column::right(
        "drops_accept_ack",
        "ACK:ACC-FULL",
        12,
        |r| exact(r.numbers.drops.accept_ack),
        "Last ACKs dropped for a full accept queue.",
    ),
    Column::right(
        "drops_syn",
        "SYN:SYN-FULL",
        12,
        |r| exact(r.numbers.drops.syn),
        "SYNs dropped for a full SYN queue.",
    ),
    Column::right(
        "cookies",
        "COOKIES",
        7,
        |r| exact(r.numbers.drops.cookies),
        "Cookies sent for a full SYN queue.",
    ),
    Column::right(
        "drops_other",
        "OTHER",
        6,
        |r| exact(r.numbers.drops.other),
        "Dropped for other reasons.",
    ),
    Column::right(
        "drops_total",
        "DROPS",
        6,
        |r| exact(r.numbers.drops.total),
        "All that was dropped.",
    ),
    Column::json(
        "discards",
        |r| exact(r.numbers.drops.discards),
        "Segments that sk_drops counts beyond that.",
    ),
    Column::right(
        "synack_retrans",
        "RETRANS",
        7,
        |r| exact(r.numbers.synack_retrans),
        "SYN-ACKs sent again.",
    ),
    Column::right("wait_p50_ns", "WAIT P50", 8, |r| r.wait(500), "Median wait for accept()."),
    Column::right("wait_p99_ns", "WAIT P99", 8, |r| r.wait(990), "99th percentile of the waits."),
    Column::json(
        "waits",
        |r| r.numbers.waits.as_ref().map_or(Cell::Missing, |w| Cell::Count(w.count())),
        "Waits that these stand for.",
    ),
    Column::json(
        "abort_on_overflow",
        |r| r.aborts.map_or(Cell::Missing, Cell::Flag),
        "Whose last ACK finds no room gets an RST.",
    ),
    Column::json("family", |r| Cell::Id(r.flow.family()), "4 or 6."),
];

fn name(name: &str) -> Cell<'_> {
    if name.is_empty() { Cell::Missing } else { Cell::Text(name.as_bytes()) }
}

impl Row for ListenerRow {
    const KIND: &'static str = "listener";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
