//! The hooks of several subjects, and their programs.

mod accept;
pub mod maps;
mod send_recv;
mod sockets;

pub use crate::drop::hooks::DROP;
pub use crate::latency::hooks::{ACCEPT_WAIT, LATENCIES, LISTENING, SEND_BEGIN, sends_return};
pub use crate::listen::hooks::{
    FINAL_ACK, FIND_LISTENERS, LISTENER_QUEUES, LISTENERS, SYN, SYNACK_RETRANS, WAITS,
};
pub use crate::retrans::hooks::{PROBE, RETRANSMIT, SOCKET_COUNTERS};
pub use crate::states::timewait::hooks::{TIME_WAIT, TIME_WAIT_CAUSE};
pub use accept::{ACCEPT_RETURN, ACCEPT_RETURN_ASKED, keep_accept_waits};
pub use send_recv::{COUNTS, RECV, SEGMENT, SEND, SPLICE};
pub use sockets::{CHILD, DESTROY, OWNERS, SOCKETS, STATE, USE};
