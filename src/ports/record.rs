//! The records of tcpports, and their tables.

use crate::report::{Cell, key, record, table};

use super::PortsBy;

record! {
    /// tcpports: local ports that connections to one destination use, or with `--by` of several
    "ports" Ports known(interval_ns used established time_wait others) {
        /// largest user whose owner is known, or with `--by process` the process; null: none is
        pid,
        comm,
        /// null with `--by`, but for `--by local`
        laddr,
        /// null with `--by`, but for `--by remote`
        raddr,
        /// null with `--by`
        rport,
        device,
        family,
        netns,
        netns_name,
        /// `process`, `remote`, `local` or `netns`; null without `--by`
        by,
        /// destinations of the row; null without `--by`
        destinations: Option<u64>,
        interval_ns,
        /// by sockets of the destination, whatever their process
        used,
        /// of `used`: `ESTABLISHED`
        established: u64,
        /// of `used`: `TIME_WAIT`
        time_wait: u64,
        /// of `used`: any other state
        others: u64,
        /// of `time_wait`: ports that `connect()` takes again already (`tcp_tw_reuse`); null: settings unknown
        reusable: Option<u64>,
        /// ports of the range that `bind()` took for other sockets: `connect()` does not share them; with `--by` of the fullest destination
        held: Option<u64>,
        /// (the namespace's, or the socket's own: `IP_LOCAL_PORT_RANGE`; with `--by` of the fullest destination)
        range_first,
        range_last,
        ports,
        /// ports of the range that are used or held; with `--by` of the fullest destination
        taken: Option<u64>,
        /// connects that found a port, those that had one by `bind()` included; null in the first interval
        opens: Option<u64>,
        /// ports that came free: `opens` less the growth of the destination's sockets
        freed: Option<u64>,
        /// connects that failed with EADDRNOTAVAIL
        no_port,
        /// ports that connects took from `TIME_WAIT`; null where no function can be hooked
        reused: Option<u64>,
        /// connections opened since the tool started that this side closed first
        closed_us: Option<u64>,
        /// the same: that the peer closed first
        closed_peer: Option<u64>,
        /// how long the ports last at the rate of the last 5 s: 0 if there is none left, null if they do last or the rate is unknown
        empty_in_ns: Option<u64>,
        /// searches for a port that were timed; null without `--cost`
        searches: Option<u64>,
        /// median of their times
        search_p50_ns: Option<u64>,
        /// 99th percentile
        search_p99_ns: Option<u64>,
    }
}

/// `taken` of `ports`, in thousandths.
pub fn per_mille(taken: Option<u64>, ports: Option<u64>) -> Option<u64> {
    taken?.saturating_mul(1000).checked_div(ports?)
}

impl Ports {
    /// In thousandths.
    pub fn share(&self) -> Option<u64> {
        per_mille(self.taken, self.ports)
    }

    /// Which side closed most connections first.
    pub fn closes_first(&self) -> Option<&'static str> {
        let (us, peer) = (self.closed_us?, self.closed_peer?);
        (us > 0 || peer > 0).then_some(if us >= peer { "us" } else { "peer" })
    }

    /// Keys of columns that a grouping has not, and of what is not measured.
    pub fn hidden(by: Option<PortsBy>, cost: bool, reuse: bool) -> Vec<&'static str> {
        const LADDR: &str = key!(Ports::laddr);
        const RADDR: &str = key!(Ports::raddr);
        const REMOTE: &str = "remote";
        const PID: &str = key!(Ports::pid);
        const COMM: &str = key!(Ports::comm);
        const NETNS: &str = key!(Ports::netns);
        let mut hidden: Vec<&'static str> = match by {
            None => vec![RADDR, key!(Ports::destinations)],
            Some(PortsBy::Remote) => vec![LADDR, REMOTE, NETNS],
            Some(PortsBy::Process) => vec![LADDR, RADDR, REMOTE, NETNS],
            Some(PortsBy::Local) => vec![RADDR, REMOTE],
            Some(PortsBy::Netns) => vec![LADDR, RADDR, REMOTE, PID, COMM],
        };
        if !cost {
            hidden.extend([
                key!(Ports::searches),
                key!(Ports::search_p50_ns),
                key!(Ports::search_p99_ns),
            ]);
        }
        if !reuse {
            hidden.push(key!(Ports::reused));
        }
        hidden
    }
}

/// A share of the ports of a range.
pub fn share(taken: Option<u64>, ports: Option<u64>) -> Cell<'static> {
    taken.zip(ports).map_or(Cell::Missing, |(taken, ports)| Cell::Share(taken, ports))
}

fn range(first: Option<u16>, last: Option<u16>) -> Cell<'static> {
    first.zip(last).map_or(Cell::Missing, |(first, last)| Cell::Range(first, last))
}

table! { "ports" Ports {
    yields 14 time;
    yields 9 left netns, "NETNS", 26, |r| Cell::netns(r.netns, r.netns_name.as_deref());
    yields 10 left laddr, "LADDR", 15, |r| Cell::addr(r.laddr, r.device);
    left raddr, "RADDR", 15, |r| Cell::addr(r.raddr, r.device);
    remote 20;
    yields 12 pid;
    yields 15 comm 15;
    yields 8 right destinations, "DESTS", 5, |r| Cell::id(r.destinations);
    right used, "USED", 5, |r| Cell::id(r.used);
    yields 11 right established, "ESTAB", 5, |r| Cell::Id(r.established);
    yields 13 right time_wait, "TIME_WAIT", 9, |r| Cell::Id(r.time_wait);
    yields 3 right others, "OTHER", 5, |r| Cell::Id(r.others);
    yields 2 right reusable, "REUSABLE", 8, |r| Cell::id(r.reusable);
    yields 7 right held, "HELD", 5, |r| Cell::id(r.held);
    yields 6 left "range", "RANGE", 11, |r| range(r.range_first, r.range_last);
    yields 8 right ports, "PORTS", 5, |r| Cell::id(r.ports);
    right "share", "SHARE", 6, |r| share(r.taken, r.ports);
    yields 16 right opens, "OPENS/s", 7, |r| Cell::per_sec(r.opens);
    yields 4 right freed, "FREED/s", 7, |r| Cell::per_sec(r.freed);
    yields 17 right no_port, "FAILED/s", 8, |r| Cell::per_sec(r.no_port);
    yields 1 right reused, "REUSED/s", 8, |r| Cell::per_sec(r.reused);
    yields 5 left "closed_first_by", "CLOSED BY", 9, |r| Cell::word(r.closes_first());
    right empty_in_ns, "EMPTY IN", 8, |r| Cell::nanos(r.empty_in_ns);
    yields 10 right searches, "SEARCHES", 8, |r| Cell::id(r.searches);
    yields 11 right search_p50_ns, "P50", 7, |r| Cell::nanos(r.search_p50_ns);
    right search_p99_ns, "P99", 7, |r| Cell::nanos(r.search_p99_ns);
} }

record! {
    /// tcpports: ports of a local address for sockets that call `bind()` before `connect()`: they share one pool, whatever the remote end
    "port_pool" PortPool known(laddr netns interval_ns) {
        /// largest user of `by_bind`; null: owner unknown
        pid,
        comm,
        laddr,
        family,
        netns,
        netns_name,
        interval_ns,
        /// by a socket at this address or at the wildcard address: `bind()` with port 0 gets none of them, unless all sockets of a port have `SO_REUSEADDR`
        used,
        /// of `used`: ports that `bind()` took for sockets that do not listen
        by_bind: Option<u64>,
        /// sockets that are bound, and neither connected nor listening; open files show them
        bound: Option<u64>,
        range_first,
        range_last,
        ports,
        /// `bind()` with port 0 that failed with EADDRINUSE; null where no function can be hooked
        no_port,
    }
}

table! { "port_pool" PortPool {
    yields 9 time;
    yields 4 left netns, "NETNS", 26, |r| Cell::netns(r.netns, r.netns_name.as_deref());
    left laddr, "LADDR", 15, |r| Cell::addr(r.laddr, None);
    yields 6 pid;
    yields 7 comm 15;
    right used, "USED", 5, |r| Cell::id(r.used);
    yields 5 right by_bind, "BY BIND", 7, |r| Cell::id(r.by_bind);
    yields 3 right bound, "UNCONNECTED", 11, |r| Cell::id(r.bound);
    yields 2 left "range", "RANGE", 11, |r| range(r.range_first, r.range_last);
    yields 1 right ports, "PORTS", 5, |r| Cell::id(r.ports);
    right "share", "SHARE", 6, |r| share(r.used, r.ports);
    yields 8 right no_port, "FAILED/s", 8, |r| Cell::per_sec(r.no_port);
} }

record! {
    /// tcpports --advise: what to do about the ports of a destination
    "port_advice" PortAdvice known(laddr netns text) {
        /// largest user of the ports
        pid,
        comm,
        laddr,
        raddr,
        rport,
        netns,
        /// the advice as text, lines separated by `\u000a`
        text,
    }
}
