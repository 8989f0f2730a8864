//! The record of a change of state, and its table.

use std::sync::Arc;

use crate::life::{end_of, end_word, errno_of};
use crate::report::{Cell, Ts, record, spell, table, word};
use crate::tcp_state::TcpState;
use crate::wire::{DURATION_UNKNOWN, EndCause, LifeEnd, STATE_MPTCP, StateEvent};

spell! { "" EndCause {
    Expired = "expired",
    ReusedConnect = "reused_connect",
    ReusedSyn = "reused_syn",
    Reset = "reset",
} }

record! {
    /// tcpstates: one socket changed its state
    "state" StateChange known(laddr family netns polled mptcp) {
        /// null if the owner is unknown: see [tcpstates](tcpstates.md#who-owns-a-socket)
        pid,
        comm,
        laddr,
        /// null at `CLOSE` → `SYN_SENT` if the kernel has not chosen it yet
        lport,
        /// null for a socket without a peer, e.g. a listener
        raddr,
        /// null for a socket without a peer, e.g. a listener
        rport,
        device,
        family,
        netns,
        netns_name,
        /// the owner's
        cgroup,
        /// state left, as in the kernel, without `TCP_`; never `NEW_SYN_RECV`; null for a number unknown to this version
        #[schemars(schema_with = "crate::tcp_state::passed")]
        old: Option<TcpState>,
        /// state entered, spelled as `old`
        #[schemars(schema_with = "crate::tcp_state::passed")]
        new: Option<TcpState>,
        /// time in `old`; null if its start was not seen. With `polled` as exact as `ts`
        duration_ns,
        cookie,
        /// the kernel did not report the change; it was found by polling, every `--interval`. The line comes up to one interval late. `ts` of `new` = `TIME_WAIT` is exact to a millisecond from Linux 6.14 on and on connections with TCP timestamps, else at most one interval late, as it is of `old` = `TIME_WAIT`. See [tcpstates](tcpstates.md#time_wait)
        polled: bool,
        /// a subflow of an MPTCP socket, which may have several; false also for timewait sockets older than the tool
        mptcp: bool,
        /// what ended `TIME_WAIT`: `expired`, `reused_connect` (our connect took its ports), `reused_syn` (the peer's), `reset`; null: unknown, or another change
        #[serde(deserialize_with = "word")]
        ended_by: Option<EndCause>,
        /// on the change to `CLOSE` or `TIME_WAIT` with which a connection ends: [how it ended](tcplife.md#ends), and why a connect failed; null: unknown, or another change
        #[serde(deserialize_with = "word")]
        cause: Option<LifeEnd>,
        /// that a call of the process gets for it, e.g. 104 for `ECONNRESET`; null: none, or it had closed
        #[schemars(range(min = 1, max = 4095))]
        errno,
    }
}

impl StateChange {
    /// An event as it came, or made up from what polling has found, at wall-clock `ts` ns.
    /// `cgroup` is the path of the owner's.
    pub fn new(ts: i64, event: &StateEvent, polled: bool, cgroup: Option<Arc<str>>) -> Self {
        let old = TcpState::from_number(event.old_state);
        let ended_by = EndCause::from_number(event.end_cause)
            .filter(|cause| old == Some(TcpState::TimeWait) && *cause != EndCause::Unknown);
        Self {
            ts: Ts(ts),
            family: Some(event.flow.family()),
            cgroup,
            old,
            new: TcpState::from_number(event.new_state),
            duration_ns: known(event.duration),
            cookie: (event.cookie != 0).then_some(event.cookie),
            polled,
            mptcp: u32::from(event.flags) & STATE_MPTCP != 0,
            ended_by,
            cause: end_of(&event.ending),
            errno: errno_of(&event.ending),
            ..Self::about(event.flow.key().owned(event.pid, event.comm))
        }
    }

    /// What the table has no column for, in a word.
    fn note(&self) -> &'static str {
        match self.ended_by {
            Some(EndCause::ReusedConnect | EndCause::ReusedSyn) => "reused",
            Some(EndCause::Expired) => "expired",
            Some(EndCause::Reset) => "reset",
            _ if self.polled => "polled",
            _ => match self.cause.and_then(end_word) {
                Some(word) => word,
                None if self.mptcp => "mptcp",
                None => "",
            },
        }
    }
}

/// ns, where the largest number means unknown.
pub(crate) fn known(ns: u64) -> Option<u64> {
    (ns != DURATION_UNKNOWN).then_some(ns)
}

table! { "state" StateChange {
    yields 5 time;
    yields 4 pid;
    yields 7 comm 15;
    local 21;
    yields 3 remote 20;
    yields 8 left old, "OLD", 11, |r| Cell::state(r.old);
    yields 2 filler "arrow", "→", 1, |_| Cell::Word("→");
    left new, "NEW", 11, |r| Cell::state(r.new);
    yields 6 right duration_ns, "IN STATE", 8, |r| Cell::nanos(r.duration_ns);
    yields 1 left "note", "NOTE", 22, |r| Cell::Word(r.note());
} }
