//! The manners of a connection's life, the states each leads through, and the script.

use serde::{Deserialize, Serialize};

use super::Family;

/// How a connection lives and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// The client closes first
    FinClient,
    /// The worker closes first
    FinServer,
    /// The client ends its side, the worker still sends
    HalfClient,
    /// The worker ends its side, the client still sends
    HalfServer,
    /// Both send a FIN before either has seen the other's
    Closing,
    RstClient,
    RstServer,
    /// The worker closes without reading what there is: the kernel resets
    Unread,
    Refused,
    /// The client has sent its FIN before anyone accepts
    LateFin,
    /// Accepted after a wait in `ESTABLISHED`
    LateAccept,
    /// The client sleeps before it closes
    SleepEstablished,
    /// The client closes, the worker sleeps
    SleepCloseWait,
    /// The worker closes, the client sleeps
    SleepFinWait,
}

use Manner::{
    Closing, FinClient, FinServer, HalfClient, HalfServer, LateAccept, LateFin, Refused, RstClient,
    RstServer, SleepCloseWait, SleepEstablished, SleepFinWait, Unread,
};

const QUICK: [Manner; 9] =
    [FinClient, FinServer, HalfClient, HalfServer, Closing, RstClient, RstServer, Unread, Refused];
const SLOW: [Manner; 5] = [LateFin, LateAccept, SleepEstablished, SleepCloseWait, SleepFinWait];
const FAMILIES: [Family; 4] = [Family::V4, Family::V6, Family::MappedServer, Family::MappedClient];

/// One connection of the script.
#[derive(Clone, Copy)]
pub struct Scene {
    pub manner: Manner,
    pub family: Family,
    /// The deliberate sleep, in milliseconds; used by the manners that sleep.
    pub sleep_ms: u8,
}

/// The connections of a run; one in ten is slow.
pub fn script(seed: u64, conns: u64) -> Vec<Scene> {
    let mut random = Random(seed);
    (0..conns)
        .map(|n| {
            let manner = if n % 10 == 9 { random.pick(&SLOW) } else { random.pick(&QUICK) };
            let sleep_ms = 60 + u8::try_from(random.next() % 140).unwrap_or(0);
            Scene { manner, family: random.pick(&FAMILIES), sleep_ms }
        })
        .collect()
}

/// `SplitMix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn pick<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        from[usize::try_from(self.next() % N as u64).unwrap_or(0)]
    }
}

impl Manner {
    /// The manner as the first byte of its connection.
    pub fn byte(self) -> u8 {
        let at = QUICK.iter().chain(&SLOW).position(|&manner| manner == self);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
    }

    /// The reverse of [`Manner::byte`].
    pub fn from_byte(byte: u8) -> Option<Self> {
        QUICK.iter().chain(&SLOW).nth(byte.into()).copied()
    }

    /// Whether a worker that accepts late takes it.
    pub fn is_late(self) -> bool {
        matches!(self, LateFin | LateAccept)
    }

    /// The states of the client's end in order (`tcp_close_state`, `tcp_rcv_state_process` in the
    /// kernel). Who closes first ends in `TIME_WAIT`, which outlasts the script.
    pub fn client_path(self) -> &'static [&'static str] {
        match self {
            FinClient | HalfClient | LateFin | LateAccept | SleepEstablished | SleepCloseWait => {
                &["CLOSE", "SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"]
            }
            FinServer | HalfServer | SleepFinWait => {
                &["CLOSE", "SYN_SENT", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSE"]
            }
            Closing => &["CLOSE", "SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "CLOSING", "TIME_WAIT"],
            RstClient | RstServer | Unread => &["CLOSE", "SYN_SENT", "ESTABLISHED", "CLOSE"],
            Refused => &["CLOSE", "SYN_SENT", "CLOSE"],
        }
    }

    /// The states of the accepted end in order; its socket is cloned from the listener.
    pub fn server_path(self) -> &'static [&'static str] {
        match self {
            FinClient | HalfClient | LateFin | LateAccept | SleepEstablished | SleepCloseWait => {
                &["LISTEN", "SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSE"]
            }
            FinServer | HalfServer | SleepFinWait | Closing => {
                &["LISTEN", "SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"]
            }
            RstClient | RstServer | Unread => &["LISTEN", "SYN_RECV", "ESTABLISHED", "CLOSE"],
            Refused => &[],
        }
    }

    /// How many of the server's transitions happen before the worker has used the socket: until
    /// then it belongs to the listening process.
    pub fn listener_owns(self) -> usize {
        if self == LateFin { 3 } else { 2 }
    }
}
