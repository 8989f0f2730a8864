//! The record of a stall that has ended, and its table.

use std::sync::Arc;

use super::ends::{EndedStall, StallOutcome};
use super::record::word_of;
use crate::report::{Cell, Ts, record, table, word};
use crate::tcp_state::TcpState;

record! {
    /// tcpstall --events: a stall has ended
    "stall_end" StallEnd known(laddr family netns lasted_at_least_ns unacked_bytes unsent_bytes unread_bytes) {
        /// null if the owner is unknown
        pid,
        comm,
        laddr,
        lport,
        raddr,
        rport,
        device,
        family,
        netns,
        netns_name,
        /// the owner's
        cgroup,
        /// as it was last seen to stall
        state,
        /// the last reason, as in [stall](#stall)
        why,
        /// how long it had not moved; null: known by its lower bound only
        lasted_ns: Option<u64>,
        /// a lower bound of the same
        lasted_at_least_ns: u64,
        /// `acknowledged`, `read`, `closed`, `reset`, `timed_out` or `failed`: [how it ended](tcpstall.md#events); null: unknown
        #[serde(deserialize_with = "word")]
        stall_outcome: Option<StallOutcome>,
        /// that the process gets; null: the connection lives on, or closed without one
        errno,
        /// as it was last seen to stall
        unacked_bytes,
        unsent_bytes,
        unread_bytes,
        /// the socket's cookie as in other kinds; null: it has none yet
        cookie,
    }
}

impl StallEnd {
    /// A stall that ended at wall-clock `ts` ns; `cgroup` is the path of the owner's.
    pub fn new(ts: i64, stall: &EndedStall, cgroup: Option<Arc<str>>) -> Self {
        let conn = &stall.conn;
        Self {
            ts: Ts(ts),
            family: Some(conn.flow.family()),
            cgroup,
            state: TcpState::from_number(conn.state),
            why: stall.why,
            lasted_ns: stall.exact,
            lasted_at_least_ns: stall.exact.unwrap_or(stall.least),
            stall_outcome: stall.outcome,
            errno: stall.errno,
            unacked_bytes: conn.unacked.saturating_add(conn.unsent),
            unsent_bytes: conn.unsent,
            unread_bytes: conn.unread,
            cookie: (conn.cookie != 0).then_some(conn.cookie),
            ..Self::about(conn.flow.key().owned(conn.pid, conn.comm))
        }
    }
}

table! { "stall_end" StallEnd {
    yields 4 time;
    yields 3 pid;
    yields 6 comm 15;
    yields 2 local 21;
    remote 21;
    left why, "WHY", 14, |r| word_of(r.why);
    right lasted_at_least_ns, "LASTED", 8, |r| Cell::age(r.lasted_ns, Some(r.lasted_at_least_ns));
    left stall_outcome, "ENDED", 12, |r| word_of(r.stall_outcome);
    yields 5 right unacked_bytes, "QUEUED", 7, |r| Cell::Bytes(r.unacked_bytes.into());
    yields 1 right unread_bytes, "UNREAD", 7, |r| Cell::Bytes(r.unread_bytes.into());
} }
