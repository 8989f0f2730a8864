//! How a connection ended, in words.

use std::fmt::Write as _;

use crate::report::{Word as _, human, spell};
use crate::wire::{ENDING_TW_FULL, Ending, LIFE_WAITING, LifeEnd, LifeEvent};

spell! { "" LifeEnd {
    ClosedUs = "closed_by_us",
    ClosedPeer = "closed_by_peer",
    ClosedBoth = "closed_by_both",
    LingerZero = "reset_sent_linger_0",
    Unread = "reset_sent_unread_data",
    Killed = "reset_sent_killed",
    AfterClose = "reset_sent_data_after_close",
    Aborted = "reset_sent_aborted",
    Listener = "reset_sent_listener_closed",
    Disconnected = "reset_sent_disconnect",
    Linger2 = "reset_sent_linger2",
    Reset = "reset_received",
    Refused = "refused",
    TimeoutConnect = "timeout_connect",
    TimeoutData = "timeout_data",
    TimeoutKeepalive = "timeout_keepalive",
    TimeoutUser = "timeout_user",
    UnreachableNet = "unreachable_net",
    UnreachableHost = "unreachable_host",
    NoPort = "no_local_port",
    AddressUsed = "address_in_use",
    GivenUp = "given_up",
    OrphanLimit = "orphan_limit",
    NoMemory = "no_memory",
    Open = "open",
} }

/// How a connection ended; `None`: unknown, or it has not.
pub fn end_of(ending: &Ending) -> Option<LifeEnd> {
    LifeEnd::from_number(ending.end).filter(|end| *end != LifeEnd::Unknown)
}

/// The error that the process gets.
pub fn errno_of(ending: &Ending) -> Option<u32> {
    (ending.error != 0).then(|| ending.error.into())
}

/// The word of an end, as it is filtered by.
pub fn end_word(end: LifeEnd) -> Option<&'static str> {
    LifeEnd::WORDS.iter().find(|(one, _)| *one == end).map(|(_, word)| *word)
}

/// An error number as a table shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u32);

impl Errno {
    /// Its name, if a socket can end with it.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            13 => "EACCES",
            22 => "EINVAL",
            32 => "EPIPE",
            71 => "EPROTO",
            90 => "EMSGSIZE",
            92 => "ENOPROTOOPT",
            98 => "EADDRINUSE",
            99 => "EADDRNOTAVAIL",
            100 => "ENETDOWN",
            101 => "ENETUNREACH",
            103 => "ECONNABORTED",
            104 => "ECONNRESET",
            105 => "ENOBUFS",
            110 => "ETIMEDOUT",
            111 => "ECONNREFUSED",
            112 => "EHOSTDOWN",
            113 => "EHOSTUNREACH",
            _ => return None,
        })
    }
}

/// Whether the connection ended although no process closed it here: then it matters what it did.
fn broke(end: Option<LifeEnd>) -> bool {
    use LifeEnd::{
        Open, Reset, TimeoutData, TimeoutKeepalive, TimeoutUser, UnreachableHost, UnreachableNet,
    };
    matches!(
        end,
        Some(
            Reset
                | TimeoutData
                | TimeoutKeepalive
                | TimeoutUser
                | UnreachableHost
                | UnreachableNet
                | Open
        )
    )
}

/// What a table says beside the end; empty: nothing.
pub fn note(end: Option<LifeEnd>, event: &LifeEvent, time_wait: Option<bool>) -> Box<str> {
    let mut parts = Vec::new();
    let bytes = |what: &str, count: u32| {
        let mut text = format!("{what} ").into_bytes();
        human::bytes(count.into(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    };
    let flags = u32::from(event.ending.flags);
    if flags & ENDING_TW_FULL != 0 {
        parts.push("TIME_WAIT table full".to_owned());
    } else if time_wait == Some(true) {
        parts.push("TIME_WAIT".to_owned());
    }
    if event.ending.signal != 0 {
        parts.push(format!("signal {}", event.ending.signal));
    }
    if broke(end) && event.tx_bytes + event.rx_bytes > 0 {
        let waits = u32::from(event.flags) & LIFE_WAITING != 0;
        let mut text = if waits { "waiting " } else { "idle " }.to_owned().into_bytes();
        human::nanos(event.idle, &mut text);
        parts.push(String::from_utf8_lossy(&text).into_owned());
    }
    if event.unacked > 0 {
        parts.push(bytes("unacked", event.unacked));
    }
    if event.unread > 0 {
        parts.push(bytes("unread", event.unread));
    }
    let mut text = String::new();
    for (nr, part) in parts.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{part}", if nr > 0 { ", " } else { "" });
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ENDING_TIME_WAIT;

    #[test]
    fn a_full_table_of_timewait_sockets_is_said() {
        let of = |flags: u32, time_wait| {
            let ending = Ending { flags: u8::try_from(flags).unwrap(), ..Ending::default() };
            let event = LifeEvent { ending, ..LifeEvent::default() };
            note(Some(LifeEnd::ClosedUs), &event, time_wait)
        };
        assert_eq!(&*of(ENDING_TW_FULL, None), "TIME_WAIT table full");
        assert_eq!(&*of(ENDING_TIME_WAIT, Some(true)), "TIME_WAIT");
        assert_eq!(&*of(0, Some(false)), "");
    }
}
