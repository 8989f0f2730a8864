//! Every kind of JSON line: what the tools write, the dashboard reads, and the schema and
//! docs/json.md describe.

use std::ops::RangeInclusive;

use schemars::{Schema, SchemaGenerator};
use serde::Deserialize;

use crate::report::{Note, Record, Status, Ts, json_line};
use crate::{
    check, count, drop, findings, interfaces, latency, life, listen, nstat, ports, retrans,
    settings, stall, states,
};

/// Makes the type of any kind out of the list of kinds.
macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident: $type:ty,)*) => {
        /// A line of any kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum AnyRecord { $($(#[$doc])* $variant(Box<$type>),)* }

        impl AnyRecord {
            fn of(kind: &str, line: &[u8]) -> Result<Self, Damage> {
                match kind {
                    $(<$type>::KIND => read(line).map(|record| Self::$variant(Box::new(record))),)*
                    other => Err(Damage::Unknown(other.chars().take(32).collect())),
                }
            }

            /// Every kind, its keys that are never `null`, and the schema of its type.
            pub fn schemas(
                generator: &mut SchemaGenerator,
            ) -> Vec<(&'static str, &'static [&'static str], Schema)> {
                vec![$((<$type>::KIND, <$type>::KNOWN, <$type as schemars::JsonSchema>::json_schema(generator)),)*]
            }

            /// When it was: wall-clock ns.
            pub fn ts(&self) -> i64 {
                let Ts(ts) = match self { $(Self::$variant(record) => record.ts,)* };
                ts
            }

            /// Appends it as a line that [`AnyRecord::parse`] reads back.
            pub fn line(&self, out: &mut Vec<u8>) {
                match self { $(Self::$variant(record) => json_line(&**record, out),)* }
            }
        }

        $(impl From<$type> for AnyRecord {
            fn from(record: $type) -> Self {
                Self::$variant(Box::new(record))
            }
        })*
    };
}

kinds! {
    /// A socket changed its state.
    State: states::StateChange,
    /// Number of sockets in one state.
    Sockets: states::socket_summary::Sockets,
    /// One socket as it is.
    Socket: states::socket_summary::Socket,
    /// One of the oldest sockets in `CLOSE_WAIT`.
    CloseWait: states::socket_summary::CloseWait,
    /// One of the oldest sockets that close.
    ClosingSocket: states::socket_summary::ClosingSocket,
    /// Local ports in use towards one destination.
    Destination: states::socket_summary::Destination,
    /// Traffic of one key in an interval.
    Count: count::Count,
    /// A namespace's own TCP counters over an interval.
    Mib: nstat::Mib,
    /// Errors and drops of an interface in an interval.
    Interface: interfaces::Interface,
    /// Settings of a namespace.
    Settings: settings::Settings,
    /// Quantiles of one key in an interval.
    Latency: latency::Latency,
    /// One exchange.
    Exchange: latency::Exchange,
    /// Queues and drops of a listener in an interval.
    Listener: listen::ListenerRecord,
    /// File descriptors of a process with a queue.
    Files: listen::Files,
    /// Drops of a listener, one after the other.
    ListenEvent: listen::DropEvent,
    /// What was dropped of a client in an interval.
    ListenClient: listen::DropClient,
    /// What to do about a listener's drops.
    Advice: listen::Advice,
    /// A buffer was sent again.
    Retransmit: retrans::Retransmit,
    /// What one key sent again in an interval.
    RetransSum: retrans::RetransSum,
    /// A connection ended.
    Life: life::Life,
    /// Connections of one key that ended in an interval.
    LifeSum: life::LifeSum,
    /// Ports that connections to a destination use.
    Ports: ports::Ports,
    /// Ports of a local address that `bind()` hands out.
    PortPool: ports::PortPool,
    /// A socket that is bound, and neither listens nor is connected.
    Bound: ports::Bound,
    /// A `connect()` or `bind()` found no port.
    PortFail: ports::PortFail,
    /// What to do about the ports of a destination.
    PortAdvice: ports::PortAdvice,
    /// The kernel dropped a segment.
    SegmentDrop: drop::SegmentDrop,
    /// What was dropped of one key in an interval.
    DropSum: drop::DropSum,
    /// A connection does not move.
    Stall: stall::Stall,
    /// A connection with what its socket knows.
    Conn: stall::Conn,
    /// A stall has ended.
    StallEnd: stall::StallEnd,
    /// Connections of a process, or to a remote address.
    StallShare: stall::StallShare,
    /// A problem.
    Finding: findings::Finding,
    /// Status of a tool.
    Status: Status,
    /// A note.
    Note: Note,
    /// What the machine offers.
    Facts: check::FactsRecord,
    /// How a hook of a tool is served.
    Hook: check::HookRecord,
    /// Whether a tool can start.
    Tool: check::ToolRecord,
}

/// Why a line is rejected.
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
    #[error("no \"ts\": time unknown")]
    Timeless,
    /// A time that no recording of this kit can have.
    #[error("\"ts\" {0} is not between the years 1970 and 2200")]
    Implausible(String),
}

/// Times that a line may have, in ns since the epoch: 1970 to the end of 2199. Differences and sums of two
/// such times fit an `i64`.
const PLAUSIBLE: RangeInclusive<i64> = 0..=7_258_118_399_999_999_999;

/// The key that determines how to read the others.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    kind: Option<std::borrow::Cow<'a, str>>,
}

impl AnyRecord {
    /// Reads one line without its newline. Missing keys are unknown, keys that this version does
    /// not know are ignored.
    ///
    /// # Errors
    /// [`Damage`] says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, Damage> {
        let record = if let Some(kind) = kind(line) {
            Self::of(kind, line)?
        } else {
            let head: Head<'_> = read(line)?;
            Self::of(&head.kind.ok_or(Damage::Foreign)?, line)?
        };
        match record.ts() {
            0 => Err(Damage::Timeless),
            ts if PLAUSIBLE.contains(&ts) => Ok(record),
            ts => Err(Damage::Implausible(Ts(ts).to_string())),
        }
    }
}

/// The kind of a line as this kit writes it, where `kind` comes first.
fn kind(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(b"{\"kind\":\"")?;
    let end = rest.iter().take(32).position(|&byte| byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok().filter(|kind| !kind.contains('\\'))
}

fn read<'de, T: Deserialize<'de>>(line: &'de [u8]) -> Result<T, Damage> {
    serde_json::from_slice(line).map_err(|error| {
        // serde's words without the line number, which is always 1.
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        Damage::Malformed(format!("{} (column {})", words, error.column()))
    })
}

#[cfg(test)]
mod tests;
