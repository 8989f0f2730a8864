//! Why a connection does not send. What a process of this side does not read is judged in `model.rs`.

use crate::report::words;
use crate::wire::{CONN_CORK, CONN_NODELAY, ConnEntry, SendLimit};

words! {
    /// Why a connection does not move.
    Why {
        /// The peer's window is closed: its process does not read.
        ZeroWindow = "zero_window",
        /// The peer's window has less room than the next segment needs.
        ReceiveWindow = "receive_window",
        /// Our send buffer holds no more, and all of it is in flight.
        SendBuffer = "send_buffer",
        /// As many segments are in flight as the congestion window allows.
        Congestion = "congestion",
        /// A loss is being repaired.
        Loss = "loss",
        /// Retransmits or probes get no answer.
        PeerGone = "peer_gone",
        /// Our process does not read.
        Reader = "reader",
        /// A small segment waits for an acknowledgement (no `TCP_NODELAY`).
        Nagle = "nagle",
        /// `TCP_CORK` or `MSG_MORE` holds a small segment back.
        Cork = "cork",
        /// An idle connection whose keepalive probes get no answer.
        Keepalive = "keepalive",
    }
}

/// Unanswered retransmits or probes from which on the peer counts as gone.
const GONE: u8 = 2;
/// `TCP_CA_Recovery` of include/uapi/linux/tcp.h; `TCP_CA_Loss` follows.
const CA_RECOVERY: u8 = 3;

fn has(conn: &ConnEntry, flag: u32) -> bool {
    u32::from(conn.flags) & flag != 0
}

/// Retransmits, or probes of a closed window, that the peer does not answer at all. `tick_ns` is the
/// precision of the kernel's clock for acknowledgements.
pub fn is_gone(conn: &ConnEntry, tick_ns: u64) -> bool {
    if conn.packets_out == 0 {
        return conn.unsent > 0 && conn.probes >= GONE;
    }
    conn.retransmits >= GONE && conn.heard.saturating_add(tick_ns) >= conn.resent
}

/// Keepalive probes without an answer, and nothing queued that would be sent in their place.
pub fn is_probed(conn: &ConnEntry) -> bool {
    conn.packets_out == 0 && conn.unsent == 0 && conn.probes > 0
}

/// Why what is queued is not sent or not acknowledged: `None` if nothing is held up but by the time
/// that an answer takes, `Some(None)` if the reason is unknown.
#[allow(clippy::option_option, reason = "held up, and why")]
pub fn judge_sender(conn: &ConnEntry, tick_ns: u64) -> Option<Option<Why>> {
    let flight = conn.packets_out > 0;
    if !flight && conn.unsent == 0 {
        return None;
    }
    if is_gone(conn, tick_ns) {
        return Some(Some(Why::PeerGone));
    }
    if conn.unsent > 0 && conn.snd_wnd == 0 {
        return Some(Some(Why::ZeroWindow));
    }
    if flight && (conn.retransmits > 0 || conn.ca_state >= CA_RECOVERY) {
        return Some(Some(Why::Loss));
    }
    if conn.unsent == 0 {
        let full = SendLimit::from_number(conn.limit) == Some(SendLimit::Sndbuf);
        return full.then_some(Some(Why::SendBuffer));
    }
    Some(judge_unsent(conn, flight))
}

/// Why the next segment is not sent, of a connection that loses none.
fn judge_unsent(conn: &ConnEntry, flight: bool) -> Option<Why> {
    let room = conn.snd_wnd.saturating_sub(conn.unacked);
    let small = conn.unsent < conn.mss;
    if room < conn.unsent.min(conn.mss) {
        return Some(Why::ReceiveWindow);
    }
    if flight && conn.in_flight >= conn.cwnd {
        return Some(Why::Congestion);
    }
    // Without anything in flight Nagle's algorithm sends at once: it is MSG_MORE.
    match (small, has(conn, CONN_CORK) || !flight) {
        (true, true) => Some(Why::Cork),
        (true, false) if !has(conn, CONN_NODELAY) => Some(Why::Nagle),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 4_000_000;
    const MS: u64 = 1_000_000;

    /// 1000 bytes in flight in one segment, and 5000 more that nothing holds up.
    fn flowing() -> ConnEntry {
        ConnEntry {
            unacked: 1000,
            unsent: 5000,
            packets_out: 1,
            in_flight: 1,
            snd_wnd: 65_536,
            mss: 1000,
            cwnd: 10,
            limit: SendLimit::Busy as u8,
            heard: 500 * MS,
            resent: crate::wire::DURATION_UNKNOWN,
            ..ConnEntry::default()
        }
    }

    /// Nothing in flight.
    fn waiting() -> ConnEntry {
        ConnEntry { unacked: 0, packets_out: 0, in_flight: 0, ..flowing() }
    }

    fn why(conn: &ConnEntry) -> Option<Why> {
        judge_sender(conn, TICK).expect("it is held up")
    }

    #[test]
    fn an_answer_that_takes_its_time_is_no_stall() {
        assert_eq!(judge_sender(&ConnEntry { unsent: 0, ..flowing() }, TICK), None);
        assert_eq!(judge_sender(&ConnEntry { unsent: 0, ..waiting() }, TICK), None);
    }

    #[test]
    fn the_peers_window_is_closed_or_too_small() {
        assert_eq!(why(&ConnEntry { snd_wnd: 0, ..waiting() }), Some(Why::ZeroWindow));
        assert_eq!(why(&ConnEntry { snd_wnd: 0, probes: 1, ..waiting() }), Some(Why::ZeroWindow));
        assert_eq!(why(&ConnEntry { snd_wnd: 999, ..waiting() }), Some(Why::ReceiveWindow));
        assert_eq!(why(&ConnEntry { snd_wnd: 1999, ..flowing() }), Some(Why::ReceiveWindow));
        // The last segment needs less.
        assert_ne!(
            why(&ConnEntry { snd_wnd: 999, unsent: 999, ..waiting() }),
            Some(Why::ReceiveWindow)
        );
    }

    #[test]
    fn a_loss_is_repaired_until_the_peer_is_silent_throughout() {
        assert_eq!(why(&ConnEntry { ca_state: CA_RECOVERY, ..flowing() }), Some(Why::Loss));
        let once = ConnEntry { retransmits: 1, resent: 300 * MS, unsent: 0, ..flowing() };
        assert_eq!(why(&once), Some(Why::Loss));
        let answered = ConnEntry { retransmits: 2, resent: 600 * MS, ..once };
        assert_eq!(why(&answered), Some(Why::Loss));
        assert_eq!(why(&ConnEntry { heard: 700 * MS, ..answered }), Some(Why::PeerGone));
        // An acknowledgement just before the retransmit may seem to be younger by a tick.
        assert_eq!(why(&ConnEntry { heard: 597 * MS, ..answered }), Some(Why::PeerGone));
        let probes = ConnEntry { snd_wnd: 0, probes: 2, ..waiting() };
        assert_eq!(why(&probes), Some(Why::PeerGone));
    }

    #[test]
    fn our_side_holds_back() {
        let full = ConnEntry { unsent: 0, limit: SendLimit::Sndbuf as u8, ..flowing() };
        assert_eq!(why(&full), Some(Why::SendBuffer));
        assert_eq!(why(&ConnEntry { in_flight: 10, ..flowing() }), Some(Why::Congestion));
        let small = ConnEntry { unsent: 10, ..flowing() };
        assert_eq!(why(&small), Some(Why::Nagle));
        let cork = u8::try_from(CONN_CORK).unwrap();
        assert_eq!(why(&ConnEntry { flags: cork, ..small }), Some(Why::Cork));
        assert_eq!(why(&ConnEntry { unsent: 10, ..waiting() }), Some(Why::Cork));
        let nodelay = u8::try_from(CONN_NODELAY).unwrap();
        assert_eq!(why(&ConnEntry { flags: nodelay, ..small }), None);
        assert_eq!(why(&flowing()), None);
    }

    #[test]
    fn keepalive_probes_have_nothing_queued() {
        assert!(is_probed(&ConnEntry { unsent: 0, probes: 1, ..waiting() }));
        assert!(!is_probed(&ConnEntry { probes: 1, ..waiting() }));
    }
}
