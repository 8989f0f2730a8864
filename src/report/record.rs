//! Records: what a line of JSON carries, declared once for whoever writes and reads it.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Visitor};

use super::values::pid_inside;
use super::{Comm, Ts};
use crate::wire::COMM_LEN;

/// One kind of JSON line. Its fields are its keys, in the order of the line.
pub trait Record: serde::Serialize + schemars::JsonSchema + Sized + 'static {
    /// The `kind` of its lines.
    const KIND: &'static str;
    /// Keys that a tool always knows, though a recording may lack them: never `null`.
    const KNOWN: &'static [&'static str];
    /// When it was.
    fn ts(&self) -> Ts;
}

/// Declares the record of a kind: its title, `kind`, type and fields, and which of them a tool
/// always knows. Every key may be missing from a line that is read, and is unknown then.
///
/// A field without a type is one of [`shared!`]; a comment on it says what it is in this kind.
macro_rules! record {
    (
        $(#[$head:meta])*
        $kind:literal $name:ident known($($known:ident)*) { $($fields:tt)* }
    ) => {
        $crate::report::fields!([$(#[$head])* $kind $name [$($known)*]] {} {} $($fields)*);
    };
    (@ [$(#[$head:meta])* $kind:literal $name:ident [$($known:ident)*]] {$($fields:tt)*} {$($key:ident)*}) => {
        $(#[$head])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default)]
        pub struct $name {
            /// Wall-clock time.
            pub ts: $crate::report::Ts,
            $($fields)*
        }

        impl $crate::report::Record for $name {
            const KIND: &'static str = $kind;
            const KNOWN: &'static [&'static str] = &[$($crate::report::key!($name::$known)),*];

            fn ts(&self) -> $crate::report::Ts {
                self.ts
            }
        }

        impl $name {
            /// One about this; the rest of it is unknown.
            #[allow(unused, clippy::needless_update, reason = "not every kind needs it")]
            pub(crate) fn about(about: $crate::report::Key) -> Self {
                Self { $($key: about.$key,)* ..Default::default() }
            }

            /// Whom it is about.
            #[allow(unused, clippy::needless_update, reason = "not every kind needs it")]
            pub fn key(&self) -> $crate::report::Key {
                $crate::report::Key { $($key: self.$key.clone(),)* ..Default::default() }
            }
        }
    };
}
pub(crate) use record;

/// Declares the keys of several kinds, each once, and makes the macro that puts them into records.
/// `key`: whom the record is about. `$` stands for itself.
macro_rules! shared {
    ($d:tt key { $($(#[$key_meta:meta])* $key:ident: $key_type:ty,)* }
        $($(#[$meta:meta])* $field:ident: $type:ty,)*) => {
        /// Whom a record is about; what is no part of it, or not known, is `None`.
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the keys that mean the same in every kind")]
        pub struct Key { $(pub $key: $key_type,)* }

        macro_rules! fields {
            ($d state:tt $d fields:tt $d keys:tt) => {
                $d crate::report::record!(@ $d state $d fields $d keys);
            };
            $(($d state:tt {$d($d fields:tt)*} {$d($d keys:tt)*}
                $d(#[$d meta:meta])* $key, $d($d rest:tt)*) => {
                $d crate::report::fields!($d state {
                    $d($d fields)* $(#[$key_meta])* $d(#[$d meta])* pub $key: $key_type,
                } {$d($d keys)* $key} $d($d rest)*);
            };)*
            $(($d state:tt {$d($d fields:tt)*} $d keys:tt
                $d(#[$d meta:meta])* $field, $d($d rest:tt)*) => {
                $d crate::report::fields!($d state {
                    $d($d fields)* $(#[$meta])* $d(#[$d meta])* pub $field: $type,
                } $d keys $d($d rest)*);
            };)*
            ($d state:tt {$d($d fields:tt)*} $d keys:tt
                $d(#[$d meta:meta])* $d field:ident: $d type:ty, $d($d rest:tt)*) => {
                $d crate::report::fields!($d state {
                    $d($d fields)* $d(#[$d meta])* pub $d field: $d type,
                } $d keys $d($d rest)*);
            };
        }
        pub(crate) use fields;
    };
}

shared! { $
    key {
        /// process that owns the socket; null: unknown, or it has no number in the PID namespace that `status` names
        #[schemars(range(min = 1, max = 2_147_483_647))]
        pid: Option<u32>,
        /// name of its main thread, at most 15 bytes, `""` if empty; null: owner unknown
        comm: Option<crate::report::Comm>,
        /// local address; IPv4 on an IPv6 socket is shown as IPv4
        laddr: Option<std::net::IpAddr>,
        /// local port, 1 to 65535
        #[schemars(range(min = 1, max = 65_535))]
        lport: Option<u16>,
        /// remote address; IPv4 on an IPv6 socket is shown as IPv4
        raddr: Option<std::net::IpAddr>,
        /// remote port, 1 to 65535
        #[schemars(range(min = 1, max = 65_535))]
        rport: Option<u16>,
        /// network device that the socket is bound to, and the zone of its link-local addresses: its name, or `ifINDEX` if that is unknown; null: none
        device: Option<crate::report::Device>,
        /// inode of the network namespace, as in `lsns -t net`
        #[schemars(range(min = 1, max = 4_294_967_295_u32))]
        netns: Option<u32>,
        /// path below the cgroup2 mount, or without one in a hierarchy of cgroup v1, `/` for the root; null if it does not exist (any more)
        #[schemars(regex(pattern = "^/"))]
        cgroup: Option<std::sync::Arc<str>>,
    }
    /// of the addresses as shown
    #[schemars(extend("enum" = [4, 6, null]))]
    family: Option<u8>,
    /// name of the network namespace: of `ip netns`, else `pod/NAME` or `container/ID`, else its oldest process
    netns_name: Option<std::sync::Arc<str>>,
    /// how many network namespaces were read
    namespaces: Option<u64>,
    /// others, which could not be read
    not_entered: Option<u64>,
    /// length of the interval as measured
    interval_ns: Option<u64>,
    /// the grouping
    by: Option<crate::group::Grouping>,
    /// the row `(other)`: keys that did not fit, or are hidden by `--top`
    other: bool,
    /// everything of the interval
    total: bool,
    /// remote network, with `--by remote:PREFIX`; not in JSON
    #[serde(skip)]
    remote_net: Option<ipnet::IpNet>,
    /// how many
    count: Option<u64>,
    /// first port of the range that the kernel chooses from; null: settings unknown
    range_first: Option<u16>,
    /// last port of the range
    range_last: Option<u16>,
    /// ports of the range without the reserved ones
    ports: Option<u64>,
    /// ports of the range that are used
    used: Option<u64>,
    /// error number:
    errno: Option<u32>,
    /// calls that found no port:
    no_port: Option<u64>,
    /// duration; null if its start was not seen
    duration_ns: Option<u64>,
    /// the socket's cookie: the number after `sk:` of `ss -e`, which prints it in hexadecimal. It identifies one socket for its whole life, including `TIME_WAIT`
    #[schemars(range(min = 1))]
    cookie: Option<u64>,
    /// bytes sent
    tx_bytes: Option<u64>,
    /// bytes received
    rx_bytes: Option<u64>,
    /// one of the twelve states
    state: Option<crate::tcp_state::TcpState>,
    /// time in the state, exact
    age_ns: Option<u64>,
    /// a lower bound: the age of its last acknowledgement, or how long the tool has watched
    age_at_least_ns: Option<u64>,
    /// `response`, `service`, `rtt`, `connect` or `accept`: [the kinds](tcplatency.md#kinds)
    #[serde(deserialize_with = "crate::report::word")]
    latency_kind: Option<crate::wire::LatencyKind>,
    /// `client` or `server`: who opened the connection; null: unknown, for sockets older than the tool
    #[serde(deserialize_with = "crate::report::word")]
    role: Option<crate::wire::SocketRole>,
    /// segments of the buffer
    segs: Option<u32>,
    /// the kernel's name of the reason, without `SKB_DROP_REASON_`
    drop_reason: Option<std::sync::Arc<str>>,
    /// a function of the kernel
    function: Option<std::sync::Arc<str>>,
    /// buffers freed in the kernel that are no dropped segments: of other protocols, for another host, copies for packet captures
    hidden: Option<u64>,
    /// retransmitted segments
    retrans: Option<u64>,
    /// retransmitted segments, SYNs and SYN-ACKs included
    retrans_segs: Option<u64>,
    /// segments sent, without retransmits, with acknowledgements
    out_segs: Option<u64>,
    /// retransmitted segments that the peer had already, as the kernel has found out (D-SACK, undo)
    spurious: Option<u64>,
    /// smoothed round-trip time; null before the first sample
    srtt_ns: Option<u64>,
    /// shortest round trip; null if none was measured
    rtt_min_ns: Option<u64>,
    /// mean deviation of the round-trip time; null before the first sample
    rttvar_ns: Option<u64>,
    /// bytes that the peer has not acknowledged, or that were not sent
    unacked_bytes: u32,
    /// of `unacked_bytes`: those that were not sent
    unsent_bytes: u32,
    /// bytes that the process has not read
    unread_bytes: u32,
    /// bytes of a full segment
    mss: u32,
    /// retransmission timeout
    rto_ns: Option<u64>,
    /// congestion window in segments
    cwnd: Option<u32>,
    /// slow start threshold in segments; null until there was a loss
    ssthresh: Option<u32>,
    /// segments in flight
    in_flight: Option<u32>,
    /// bytes that the peer's receive window allows to be in flight
    rwnd_bytes: u32,
    /// since the peer's last acknowledgement, to a timer tick
    heard_ns: u64,
    /// how often it was tried
    attempt: Option<u32>,
    /// why it does not move
    #[serde(deserialize_with = "crate::report::word")]
    why: Option<crate::stall::Why>,
    /// a thread waits in `send()` for room in the send buffer; null: unknown (MPTCP)
    blocked: Option<bool>,
    /// since when; null: none waits, or no program saw it begin
    blocked_ns: Option<u64>,
    /// time in which something was queued, of the connection's whole life
    busy_ns: u64,
    /// of `busy_ns`: limited by the peer's receive window
    rwnd_limited_ns: u64,
    /// of `busy_ns`: limited by our send buffer
    sndbuf_limited_ns: u64,
    /// limit of the accept queue; the kernel accepts one more
    accept_limit: Option<u64>,
    /// SYNs dropped because the accept queue was full
    drops_accept_syn: Option<u64>,
    /// final ACKs of handshakes dropped because the accept queue was full
    drops_accept_ack: Option<u64>,
    /// SYNs dropped because the SYN queue was full
    drops_syn: Option<u64>,
    /// SYNs answered with a cookie; not a drop
    cookies: Option<u64>,
    /// dropped for any other reason
    drops_other: Option<u64>,
    /// waited for `accept()` and were reset, because the listener closed
    drops_closed: Option<u64>,
    /// all drops but `drops_closed`: the part of `ListenDrops`
    drops_total: Option<u64>,
    /// retransmitted SYN-ACKs
    synack_retrans: Option<u64>,
    /// `net.core.somaxconn`
    somaxconn: Option<u32>,
    /// `net.ipv4.tcp_max_syn_backlog`
    max_syn_backlog: Option<u32>,
    /// `net.ipv4.tcp_syncookies`
    syncookies: Option<u32>,
    /// `net.ipv4.tcp_abort_on_overflow`: a client whose final ACK is dropped gets an RST
    abort_on_overflow: Option<bool>,
    /// the text
    text: Box<str>,
    /// name of the tool
    tool: std::borrow::Cow<'static, str>,
    /// the flag of this mode, e.g. `--summary`
    mode: Option<std::borrow::Cow<'static, str>>,
    /// its version
    #[schemars(regex(pattern = r"^[0-9]+\.[0-9]+\.[0-9]+"))]
    version: std::borrow::Cow<'static, str>,
    /// `uname -r`
    kernel: std::borrow::Cow<'static, str>,
}

impl Key {
    /// With its owner; pid 0 is unknown. One outside of the PID namespace has a name only.
    #[must_use]
    pub fn owned(self, pid: u32, comm: [u8; COMM_LEN]) -> Self {
        Self { pid: pid_inside(pid), comm: Comm::of(pid, comm), ..self }
    }
}

/// The JSON key that is this field of a record.
macro_rules! key {
    ($record:ident::$field:ident) => {{
        let _ = |record: &$record| {
            let _ = &record.$field;
        };
        stringify!($field)
    }};
}
pub(crate) use key;

/// A value that is one of a few words.
pub trait Word: Copy + 'static {
    /// All values, each with its word.
    const WORDS: &'static [(Self, &'static str)];
}

/// Declares an enum whose values JSON writes as words.
macro_rules! words {
    ($(#[$head:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$head])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        $crate::report::spell! { "" $name { $($variant = $word,)* } }

        impl $name {
            /// The word.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}
pub(crate) use words;

/// Makes JSON write the values of an enum as words; a value without a word is `null`. In a schema
/// it stands in place, or is called by its name.
macro_rules! spell {
    ($schema:literal $name:ty { $($variant:ident = $word:literal,)* }) => {
        impl $crate::report::Word for $name {
            const WORDS: &'static [(Self, &'static str)] = &[$((Self::$variant, $word),)*];
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use $crate::report::Word;
                let spelled = Self::WORDS.iter().find(|(value, _)| value == self);
                spelled.map(|(_, word)| word).serialize(to)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                $schema.is_empty()
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "enum": [$($word),*] })
            }
        }
    };
}
pub(crate) use spell;

/// Reads a word; one that this version does not know is unknown.
pub fn word<'de, T: Word, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    struct Words<T>(std::marker::PhantomData<T>);

    impl<'de, T: Word> Visitor<'de> for Words<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a word or null")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(T::WORDS.iter().find(|(_, word)| *word == text).map(|(value, _)| *value))
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
            from.deserialize_str(self)
        }
    }

    from.deserialize_option(Words(std::marker::PhantomData))
}

/// Reads a value; one of a shape that this version does not know is unknown.
pub fn lenient<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(T::deserialize(value).ok())
}
