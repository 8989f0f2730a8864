//! The records of tcpdrop, and their tables.

use super::{DropBy, DropSums, Names, TcpFlags};
use crate::flow::ip;
use crate::group::{RowPart, hidden, label, remote};
use crate::report::{Cell, Key, Ts, Word as _, record, spell, table, word};
use crate::tcp_state::TcpState;
use crate::wire::{DROP_HAS_FLAGS, DROP_HAS_LEN, DropDirection, DropEvent};

spell! { "" DropDirection {
    In = "in",
    Out = "out",
} }

record! {
    /// tcpdrop: the kernel dropped a buffer with one or more segments
    "drop" SegmentDrop known(laddr raddr family direction segs) {
        /// of the socket or, where that has none of its own or is not made yet, of the listener; null: unknown, or there is no socket
        pid,
        comm,
        /// this host's end; of a packet that is only forwarded its destination
        laddr,
        /// null in a later fragment, or where the kernel dropped what has no TCP header
        lport,
        raddr,
        rport,
        device,
        family,
        /// null where the segment had neither a socket nor a device any more
        netns,
        netns_name,
        /// the owner's
        cgroup,
        /// of the socket or the listener; null: there is none, or it is unknown
        state,
        /// `in`: on its way to this host or through it; `out`: sent by it
        #[serde(deserialize_with = "word")]
        direction: Option<DropDirection>,
        /// the kernel's name of the reason, without `SKB_DROP_REASON_`; of a reason of a subsystem the name of that; null: the kernel gives none (before 5.17)
        drop_reason,
        /// the function of the kernel that dropped it; null: unknown
        function,
        /// data bytes; null in a fragment, or if unknown
        data_bytes: Option<u32>,
        /// segments of the buffer
        segs,
        /// flags of the TCP header, like `SYN|ACK`; null if unknown
        flags: Option<TcpFlags>,
        cookie,
    }
}

impl SegmentDrop {
    /// An event at wall-clock `ts` ns.
    pub fn new(ts: i64, event: &DropEvent, names: &mut impl Names) -> Self {
        let flow = &event.flow;
        let has = |flag: u32| (u32::from(event.flags) & flag != 0).then_some(());
        // Other events have no remote address without a port.
        let key = Key { raddr: Some(ip(&flow.raddr)), ..flow.key() };
        let netns = key.netns.filter(|netns| *netns != 0);
        let key = Key { netns, ..key }.owned(event.pid, event.comm);
        let netns_name = netns.and_then(|inode| names.netns(inode));
        Self {
            ts: Ts(ts),
            family: Some(flow.family()),
            netns_name,
            cgroup: names.cgroup(event.cgroup),
            state: TcpState::from_number(event.state),
            direction: DropDirection::from_number(event.direction),
            drop_reason: names.reason(event.reason),
            function: names.place(event.place),
            data_bytes: has(DROP_HAS_LEN).map(|()| event.len),
            segs: Some(event.segs.into()),
            flags: has(DROP_HAS_FLAGS).map(|()| TcpFlags(event.tcp_flags)),
            cookie: (event.cookie != 0).then_some(event.cookie),
            ..Self::about(key)
        }
    }
}

fn direction_cell(direction: Option<DropDirection>) -> Cell<'static> {
    let words = DropDirection::WORDS;
    let word = words.iter().find(|(one, _)| Some(*one) == direction).map(|(_, word)| *word);
    Cell::word(word)
}

fn flags_cell(flags: Option<TcpFlags>) -> Cell<'static> {
    match flags.map(TcpFlags::name) {
        Some("") => Cell::Word("none"),
        name => Cell::word(name),
    }
}

table! { "drop" SegmentDrop {
    yields 9 time;
    yields 7 pid;
    yields 10 comm 15;
    yields 4 local 21;
    yields 11 remote 20;
    yields 8 left direction, "DIR", 3, |r| direction_cell(r.direction);
    yields 5 left state, "STATE", 12, |r| Cell::state(r.state);
    yields 1 right data_bytes, "LEN", 5, |r| Cell::id(r.data_bytes);
    yields 2 left flags, "FLAGS", 11, |r| flags_cell(r.flags);
    left drop_reason, "REASON", 20, |r| Cell::text_of(r.drop_reason.as_deref());
    yields 6 left function, "WHERE", 22, |r| Cell::text_of(r.function.as_deref());
} }

record! {
    /// tcpdrop --summary, and the dashboard: segments that were dropped of one key, (other) or everything
    "drop_sum" DropSum known(by other total interval_ns drops drop_segs drop_bytes drop_in_segs drop_out_segs) {
        /// with `--by process` and `--by connection`
        pid,
        by,
        other,
        total,
        /// with `--by process` and `--by connection`
        comm,
        /// with `--by connection`
        laddr,
        /// with `--by connection` and `--by port`
        lport,
        /// with `--by connection` and `--by remote`; of a network its first address
        raddr,
        /// with `--by connection`; with `--by remote` the zone of a link-local address
        device,
        /// with `--by connection`
        rport,
        /// with `raddr`
        family,
        /// with `--by connection` and `--by netns`
        netns,
        /// with `--by netns`
        netns_name,
        /// with `--by cgroup`
        cgroup,
        interval_ns,
        /// with `--by reason` the reason, else the most frequent one; of the dashboard, which has a row for each reason of a connection, that one; null if it is unknown
        drop_reason,
        /// where most of them were dropped; null if it is unknown
        function,
        /// buffers, of one or more segments
        drops: u64,
        /// segments
        drop_segs: u64,
        /// data bytes, without those of fragments
        drop_bytes: u64,
        /// segments on their way to this host or through it
        drop_in_segs: u64,
        /// segments that this host sent
        drop_out_segs: u64,
        /// in the row of everything: buffers freed in the interval that are no dropped segments
        hidden,
        remote_net,
    }
}

impl DropSum {
    fn part(&self) -> RowPart {
        RowPart::of(self.other, self.total)
    }

    /// The numbers.
    pub fn sums(&self) -> DropSums {
        DropSums {
            drops: self.drops,
            segs: self.drop_segs,
            bytes: self.drop_bytes,
            in_segs: self.drop_in_segs,
            out_segs: self.drop_out_segs,
        }
    }

    /// A row with these numbers.
    #[must_use]
    pub fn with(self, sums: DropSums) -> Self {
        Self {
            drops: sums.drops,
            drop_segs: sums.segs,
            drop_bytes: sums.bytes,
            drop_in_segs: sums.in_segs,
            drop_out_segs: sums.out_segs,
            ..self
        }
    }

    /// Columns that the table of a grouping leaves out.
    pub fn hidden(by: DropBy) -> Vec<&'static str> {
        let key = match by {
            DropBy::Reason => ["part", "top_reason"],
            DropBy::Group(_) => ["by_reason"; 2],
        };
        [hidden(by.group()), &key].concat()
    }

    fn label<'a>(&'a self, cell: impl FnOnce(&'a Self) -> Cell<'a>) -> Cell<'a> {
        label(self.part(), || cell(self))
    }
}

table! { "drop_sum" DropSum {
    yields 9 time;
    yields 8 pid;
    left comm, "COMM", 15, |r| r.label(|r| Cell::comm(r.comm.as_ref()));
    left raddr, "RADDR", 39, |r| r.label(|r| remote(r.raddr, r.device, r.remote_net));
    right lport, "LPORT", 7, |r| r.label(|r| Cell::port(r.lport));
    left cgroup, "CGROUP", 32, |r| r.label(|r| Cell::text_of(r.cgroup.as_deref()));
    left netns, "NETNS", 26, |r| r.label(|r| Cell::netns(r.netns, r.netns_name.as_deref()));
    filler "part", "", 5, |r| r.label(|_| Cell::Missing);
    filler "by_reason", "REASON", 24, |r| r.label(|r| Cell::text_of(r.drop_reason.as_deref()));
    yields 6 local 21;
    remote 21;
    right drops, "DROPS", 7, |r| Cell::Count(r.drops);
    yields 7 right drop_segs, "SEGS", 7, |r| Cell::Count(r.drop_segs);
    yields 2 right drop_bytes, "BYTES", 7, |r| Cell::Bytes(r.drop_bytes);
    yields 4 right drop_in_segs, "IN", 7, |r| Cell::Count(r.drop_in_segs);
    yields 3 right drop_out_segs, "OUT", 7, |r| Cell::Count(r.drop_out_segs);
    yields 5 left "top_reason", "TOP REASON", 24, |r| Cell::text_of(r.drop_reason.as_deref());
    yields 1 left "top_place", "TOP PLACE", 24, |r| Cell::text_of(r.function.as_deref());
} }
