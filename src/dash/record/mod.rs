//! The lines of the kit's JSON as typed values: what the dashboard shows, whether it comes from a
//! recording or from the models' rows.

#[macro_use]
mod declare;
mod kinds;
mod listen;
mod rows;
mod values;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

pub use kinds::{
    CloseWait, Count, Exchange, Latency, Mib, Note, Socket, Sockets, StateChange, ToolStatus,
};
pub use listen::{ListenClient, ListenEvent, Listener};
pub use rows::record;
pub use values::{By, Key, Ts};

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// What one key sent and received in an interval.
    Count(Box<Count>),
    /// So many sockets in one state.
    Sockets(Sockets),
    /// One socket as it is.
    Socket(Box<Socket>),
    /// One of the oldest sockets in `CLOSE_WAIT`.
    CloseWait(CloseWait),
    /// A socket changed its state.
    State(Box<StateChange>),
    /// Quantiles of one key in an interval.
    Latency(Box<Latency>),
    /// One exchange.
    Exchange(Box<Exchange>),
    /// Queues and drops of a listener in an interval.
    Listener(Box<Listener>),
    /// Losses of a listener, one after the other.
    ListenEvent(Box<ListenEvent>),
    /// What a client has lost in an interval.
    ListenClient(ListenClient),
    /// A namespace's own TCP counters over an interval.
    Mib(Mib),
    /// How a tool is doing.
    Status(Box<ToolStatus>),
    /// A remark.
    Note(Note),
    /// A line of tcpscope-check, which a dashboard has no place for.
    Check(Ts),
}

/// Why a line is none of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not JSON, or not the shape of its kind.
    #[error("{0}")]
    Malformed(String),
    /// An object without `kind`.
    #[error("no \"kind\": not a line of this kit")]
    Foreign,
    /// A kind that this version does not know.
    #[error("kind \"{0}\" is not known to this version")]
    Unknown(String),
    /// No time to show it at.
    #[error("no \"ts\": nobody knows when it was")]
    Timeless,
    /// A time that no recording of this kit can have.
    #[error("\"ts\" {0} is not between the years 1970 and 2200")]
    Implausible(String),
}

/// Times that a line may have, in ns since the epoch: 1970 to the end of 2199. Differences and sums of two
/// such times fit an `i64`.
const PLAUSIBLE: RangeInclusive<i64> = 0..=7_258_118_399_999_999_999;

/// The one key that tells how to read the others.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    kind: Option<std::borrow::Cow<'a, str>>,
}

impl Record {
    /// Reads one line without its newline. Missing keys are unknown, keys that this version does
    /// not know are left alone.
    ///
    /// # Errors
    /// [`Damage`] says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, Damage> {
        let record = if let Some(kind) = kind(line) {
            Self::of(kind, line)?
        } else {
            let head: Head<'_> = serde_json::from_slice(line).map_err(|e| malformed(&e))?;
            Self::of(&head.kind.ok_or(Damage::Foreign)?, line)?
        };
        match record.ts() {
            0 => Err(Damage::Timeless),
            ts if PLAUSIBLE.contains(&ts) => Ok(record),
            ts => Err(Damage::Implausible(Ts(ts).to_string())),
        }
    }

    fn of(kind: &str, line: &[u8]) -> Result<Self, Damage> {
        fn read<'de, T: Deserialize<'de>>(line: &'de [u8]) -> Result<T, Damage> {
            serde_json::from_slice(line).map_err(|error| malformed(&error))
        }
        Ok(match kind {
            "count" => Self::Count(read(line)?),
            "sockets" => Self::Sockets(read(line)?),
            "socket" => Self::Socket(read(line)?),
            "close_wait" => Self::CloseWait(read(line)?),
            "state" => Self::State(read(line)?),
            "latency" => Self::Latency(read(line)?),
            "exchange" => Self::Exchange(read(line)?),
            "listener" => Self::Listener(read(line)?),
            "mib" => Self::Mib(read(line)?),
            "status" => Self::Status(read(line)?),
            // advice has a text, too
            "note" | "advice" => Self::Note(read(line)?),
            "listen_event" => Self::ListenEvent(read(line)?),
            "listen_client" => Self::ListenClient(read(line)?),
            "facts" | "hook" | "tool" => Self::Check(read::<Note>(line)?.ts),
            other => return Err(Damage::Unknown(other.chars().take(32).collect())),
        })
    }

    /// When it was: wall-clock ns.
    pub fn ts(&self) -> i64 {
        let Ts(ts) = match self {
            Self::Count(count) => count.ts,
            Self::Sockets(sockets) => sockets.ts,
            Self::Socket(socket) => socket.ts,
            Self::CloseWait(socket) => socket.ts,
            Self::State(change) => change.ts,
            Self::Latency(latency) => latency.ts,
            Self::Exchange(exchange) => exchange.ts,
            Self::Listener(listener) => listener.ts,
            Self::ListenEvent(event) => event.ts,
            Self::ListenClient(client) => client.ts,
            Self::Mib(mib) => mib.ts,
            Self::Status(status) => status.ts,
            Self::Note(note) => note.ts,
            Self::Check(ts) => *ts,
        };
        ts
    }

    /// Appends it as a line that [`Record::parse`] reads back.
    pub fn line(&self, out: &mut Vec<u8>) {
        match self {
            Self::Count(count) => put("count", count, out),
            Self::Sockets(sockets) => put("sockets", sockets, out),
            Self::Socket(socket) => put("socket", socket, out),
            Self::CloseWait(socket) => put("close_wait", socket, out),
            Self::State(change) => put("state", change, out),
            Self::Latency(latency) => put("latency", latency, out),
            Self::Exchange(exchange) => put("exchange", exchange, out),
            Self::Listener(listener) => put("listener", listener, out),
            Self::ListenEvent(event) => put("listen_event", event, out),
            Self::ListenClient(client) => put("listen_client", client, out),
            Self::Mib(mib) => put("mib", mib, out),
            Self::Status(status) => put("status", status, out),
            Self::Note(note) => put("note", note, out),
            Self::Check(_) => {}
        }
    }
}

/// The kind of a line as this kit writes it, where `kind` comes first.
fn kind(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(b"{\"kind\":\"")?;
    let end = rest.iter().take(32).position(|&byte| byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok().filter(|kind| !kind.contains('\\'))
}

/// serde's words without the line number, which is always 1.
fn malformed(error: &serde_json::Error) -> Damage {
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default();
    Damage::Malformed(format!("{} (column {})", words, error.column()))
}

fn put<T: Serialize>(kind: &str, value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(b"{\"kind\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",");
    let object = out.len();
    match serde_json::to_value(value) {
        // Through the report's own writer, whose strings are safe to print.
        Ok(value) => crate::report::json_value(&value, out),
        Err(_) => return out.truncate(start),
    }
    out.remove(object);
    out.push(b'\n');
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
