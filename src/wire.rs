//! The records of `bpf/wire.h`, decoded. tests/layout.rs holds every field against the
//! BTF of the compiled programs.
//!
//! Beside `kernel::probe` the only hand-written unsafe code of the kit is here: the promise to
//! `plain` that these records may be made of any bytes.
#![allow(unsafe_code)]

use std::mem::{offset_of, size_of};

use plain::Plain;

use crate::hist::SUBS;

/// `COMM_LEN`: bytes of a process name, NUL-terminated when shorter.
pub const COMM_LEN: usize = 16;
/// `ADDR_LEN`: bytes of an address.
pub const ADDR_LEN: usize = 16;
/// `MAX_PIDS`, the kernel's side of a filter.
pub const MAX_PIDS: usize = 16;
/// `MAX_PORT_RANGES`, the kernel's side of a filter.
pub const MAX_PORT_RANGES: usize = 16;
/// `MAX_CIDRS`, the kernel's side of a filter.
pub const MAX_CIDRS: usize = 16;
/// In [`StateEvent`]'s flags: the full socket closes, yet the connection may live on as a timewait
/// socket, which only the inventory shows.
pub const STATE_MAY_TIMEWAIT: u8 = 1;
/// Of `enum cookie_source`: cookies are not asked for.
pub const COOKIE_NONE: u32 = 0;
/// Of `enum cookie_source`: the helper gives a socket one if it has none.
pub const COOKIE_HELPER: u32 = 1;
/// Of `enum cookie_source`: as it lies in the socket, which often has none yet.
pub const COOKIE_FIELD: u32 = 2;
/// `END_EXPIRED` of `enum end_cause`; 0 is unknown.
pub const END_EXPIRED: u8 = 1;
/// `END_REUSED_CONNECT`.
pub const END_REUSED_CONNECT: u8 = 2;
/// `END_REUSED_SYN`.
pub const END_REUSED_SYN: u8 = 3;
/// `END_RESET`.
pub const END_RESET: u8 = 4;
/// `LATENCY_HEAD`: stands in place of an octave.
pub const LATENCY_HEAD: u8 = 29;
/// Of `enum listen_cause`: dropped for none of the reasons below.
pub const CAUSE_OTHER: usize = 0;
/// The accept queue was full when a SYN came.
pub const CAUSE_ACCEPT_SYN: usize = 1;
/// The accept queue was full when the last ACK of a handshake came.
pub const CAUSE_ACCEPT_ACK: usize = 2;
/// The SYN queue was full.
pub const CAUSE_SYN: usize = 3;
/// The SYN queue was full, and a cookie was sent.
pub const CAUSE_COOKIE: usize = 4;
/// A SYN-ACK was sent again.
pub const CAUSE_RETRANS: usize = 5;
/// How many causes there are.
pub const NR_CAUSES: usize = 6;
/// In [`Listener`]'s flags: an IPv6 listener takes no IPv4 connections.
pub const LISTENER_V6ONLY: u32 = 1;
/// It passes the filters.
pub const LISTENER_MATCHES: u32 = 2;
/// It listens no more.
pub const LISTENER_GONE: u32 = 4;
/// The kernel gives ACKs that an accept queue had no room for a drop reason of their own.
pub const LISTENER_KNOWS_ACK: u32 = 8;
/// `DURATION_UNKNOWN`.
pub const DURATION_UNKNOWN: u64 = u64::MAX;

/// How one record lies in memory, for the layout test.
#[derive(Debug)]
pub struct Layout {
    /// Name of the struct in wire.h.
    pub name: &'static str,
    /// Bytes.
    pub size: usize,
    /// Name, byte offset, bytes of every field.
    pub fields: &'static [(&'static str, usize, usize)],
}

/// Field types that a record may have; every bit pattern is a value, and none is signed.
pub trait Field: Copy {}
impl Field for u8 {}
impl Field for u16 {}
impl Field for u32 {}
impl Field for u64 {}
impl<T: Field, const N: usize> Field for [T; N] {}

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident = $c_name:literal {
        $($(#[$field_doc:meta])* $field:ident: $ty:ty,)*
    })*) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Debug, Clone, Copy)]
            pub struct $name { $($(#[$field_doc])* pub $field: $ty,)* }

            impl Field for $name {}

            // SAFETY: repr(C), Copy, without padding (the sizes of the fields add up, see
            // below), and every field is itself a `Field`, valid for any bytes.
            unsafe impl Plain for $name {}

            const _: () = {
                const fn is_field<T: Field>() -> usize { size_of::<T>() }
                assert!(size_of::<$name>() == 0 $(+ is_field::<$ty>())*, "padding");
            };

            impl $name {
                /// All bytes 0.
                pub fn zeroed() -> Self {
                    let bytes = [0u64; size_of::<$name>().div_ceil(8)];
                    // SAFETY: as for `Plain`: no padding, any bytes are a value.
                    unsafe { std::ptr::read(bytes.as_ptr().cast()) }
                }

                /// A copy of the record at the start of `bytes`; `None` if they are too few.
                pub fn read(bytes: &[u8]) -> Option<Self> {
                    if bytes.len() < size_of::<Self>() {
                        return None;
                    }
                    // SAFETY: long enough, any bytes are a value, and unaligned is allowed here.
                    Some(unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) })
                }

                /// The record as bytes.
                pub fn as_bytes(&self) -> &[u8] {
                    // SAFETY: `Plain`: no padding, so every byte is initialised.
                    unsafe { plain::as_bytes(self) }
                }
            }
        )*

        /// Every record, for the layout test.
        pub const LAYOUTS: &[Layout] = &[$(Layout {
            name: $c_name,
            size: size_of::<$name>(),
            fields: &[$((stringify!($field), offset_of!($name, $field), size_of::<$ty>()),)*],
        },)*];
    };
}

records! {
    /// A socket's two ends and its network namespace. IPv4 is mapped; ports in host order.
    Flow = "flow" {
        /// Local address.
        laddr: [u8; ADDR_LEN],
        /// Remote address.
        raddr: [u8; ADDR_LEN],
        /// Local port; 0 = not known.
        lport: u16,
        /// Remote port; 0 = not known.
        rport: u16,
        /// Inode of the network namespace.
        netns: u32,
    }
    /// The process that opened, accepted or listens on a socket.
    Owner = "owner" {
        /// cgroup2 id.
        cgroup: u64,
        /// Thread group; 0 = not known.
        pid: u32,
        /// `OWNER_*`.
        flags: u32,
        /// Name of the thread group's leader.
        comm: [u8; COMM_LEN],
    }
    /// What the programs remember of a socket.
    Track = "track" {
        /// Its owner.
        owner: Owner,
        /// `CLOCK_MONOTONIC` ns at which its state began; 0 = not seen.
        since: u64,
        /// `TRACK_…`.
        marks: u32,
        /// State entered last; 0 = not seen.
        state: u32,
    }
    /// One state transition.
    StateEvent = "state_event" {
        /// `CLOCK_MONOTONIC` ns.
        ts: u64,
        /// ns in the old state, or [`DURATION_UNKNOWN`].
        duration: u64,
        /// Socket cookie, as `ss -e` shows it; 0 = not known.
        cookie: u64,
        /// cgroup2 id of the owner; 0 = not known.
        cgroup: u64,
        /// The socket.
        flow: Flow,
        /// Owner; 0 = not known.
        pid: u32,
        /// Owner's name.
        comm: [u8; COMM_LEN],
        /// Kernel number of the state left.
        old_state: u8,
        /// Kernel number of the state entered.
        new_state: u8,
        /// [`STATE_MAY_TIMEWAIT`] or 0.
        flags: u8,
        /// `enum end_cause`: how a timewait socket ended.
        end_cause: u8,
    }
    /// One socket of the inventory; state 0 is a record of the clocks, first and last.
    SockEntry = "sock_entry" {
        /// ns in its state, or [`DURATION_UNKNOWN`].
        age: u64,
        /// Jiffies since an acknowledgement that cannot be older than the state; 0 = not known.
        idle_jiffies: u64,
        /// Clocks, and timewait sockets: `CLOCK_MONOTONIC` ns of the look.
        ktime: u64,
        /// Clocks: jiffies at the same moment.
        jiffies: u64,
        /// The socket.
        flow: Flow,
        /// Owner; 0 = not known.
        pid: u32,
        /// Owner's name.
        comm: [u8; COMM_LEN],
        /// Kernel number of the state.
        state: u8,
        /// 1: a timewait socket, whatever its state.
        timewait: u8,
        /// 0.
        reserved: [u8; 2],
    }
    /// What happened to events, per CPU.
    Stats = "stats" {
        /// Seen.
        attempted: u64,
        /// Found no room in the ring buffer.
        lost: u64,
        /// Kept back by a filter.
        filtered: u64,
        /// Of sockets or keys for which there was no memory or map entry.
        untracked: u64,
        /// Sockets that began with their listener's owner.
        children: u64,
        /// Of these, those whose own owner is known, or which ended.
        settled: u64,
        /// Calls whose return was not seen (kretprobe).
        unreturned: u64,
        /// Gaps in the transitions of a socket: no program ran.
        unseen: u64,
    }
    /// What tools sum up under; fields that the grouping leaves out are 0.
    GroupKey = "group_key" {
        /// cgroup2 id.
        cgroup: u64,
        /// Connection, or the parts of it that matter.
        flow: Flow,
        /// Process.
        pid: u32,
        /// 0.
        reserved: u32,
    }
    /// tcpcount's sums, per CPU.
    CountValue = "count_value" {
        /// Sends that succeeded.
        tx_calls: u64,
        /// Bytes that TCP accepted.
        tx_bytes: u64,
        /// Receives that returned data.
        rx_calls: u64,
        /// Bytes delivered.
        rx_bytes: u64,
        /// Segments that reached an established socket.
        segs_in: u64,
        /// Failed sends and receives, EAGAIN included.
        errors: u64,
        /// Of these, EAGAIN.
        eagain: u64,
        /// The last owner seen on this CPU; 0 = none.
        pid: u32,
        /// 1: the connection has ended.
        closed: u32,
        /// Owner's name.
        comm: [u8; COMM_LEN],
    }
    /// One octave of a histogram, or with octave [`LATENCY_HEAD`] the head of its row.
    LatencyKey = "latency_key" {
        /// What it is summed up under.
        group: GroupKey,
        /// `enum latency_kind`.
        kind: u8,
        /// `enum socket_role`.
        role: u8,
        /// Of the histogram.
        octave: u8,
        /// 0 or 1: the map it is in.
        epoch: u8,
        /// 0.
        reserved: u32,
    }
    /// One octave on one CPU.
    LatencyValue = "latency_value" {
        /// Shortest, in ns.
        min: u64,
        /// Longest, in ns; 0: this CPU has none.
        max: u64,
        /// How many there are of each slot.
        slots: [u32; SUBS],
    }
    /// The head of a row on one CPU.
    LatencyHead = "latency_head" {
        /// Connects that ended with ECONNREFUSED.
        refused: u64,
        /// With ETIMEDOUT.
        timed_out: u64,
        /// In any other way but a connection.
        failed: u64,
        /// SYNs sent again.
        syn_retries: u64,
        /// Segments of requests sent again.
        retrans: u64,
        /// Exchanges whose beginning was not seen.
        untimed: u64,
        /// An owner this CPU saw; 0 = none.
        pid: u32,
        /// 1: not all octaves found room.
        partial: u32,
        /// Owner's name.
        comm: [u8; COMM_LEN],
        /// 0.
        reserved: u64,
    }
    /// Which of the two maps is being filled.
    LatencyTurn = "latency_turn" {
        /// 0 or 1.
        epoch: u32,
        /// Rows that each map has.
        rows: [u32; 2],
        /// 1: listeners are known.
        ready: u32,
    }
    /// One latency, measured or failed.
    LatencyEvent = "latency_event" {
        /// `CLOCK_MONOTONIC` ns of its end.
        ts: u64,
        /// ns, or [`DURATION_UNKNOWN`].
        duration: u64,
        /// cgroup2 id of the owner; 0 = not known.
        cgroup: u64,
        /// The socket.
        flow: Flow,
        /// Owner; 0 = not known.
        pid: u32,
        /// Bytes sent.
        tx_bytes: u32,
        /// Bytes received.
        rx_bytes: u32,
        /// Segments sent again meanwhile.
        retrans: u32,
        /// Owner's name.
        comm: [u8; COMM_LEN],
        /// `enum latency_kind`.
        kind: u8,
        /// `enum socket_role`.
        role: u8,
        /// `enum latency_outcome`.
        outcome: u8,
        /// 0.
        reserved: [u8; 5],
    }
    /// One listening socket.
    Listener = "listener" {
        /// `CLOCK_MONOTONIC` ns at which it was found; 0 = it is being found right now.
        born: u64,
        /// Where it listens; it has no remote end.
        flow: Flow,
        /// The process that called `listen()`, or has it open.
        owner: Owner,
        /// By `CAUSE_…`, as programs saw the kernel decide.
        dropped: [u64; NR_CAUSES],
        /// Segments that `sk_drops` counts, and `ListenDrops` does not.
        discarded: u64,
        /// Children whose handshake was done.
        established: u64,
        /// Children that `accept()` returned.
        accepted: u64,
        /// `sk_drops` when it was found.
        drops_before: u32,
        /// `sk_drops` at the last look.
        drops: u32,
        /// `sk_ack_backlog` when it was found.
        accept_before: u32,
        /// `sk_ack_backlog` at the last look.
        accept_now: u32,
        /// `sk_max_ack_backlog`.
        accept_limit: u32,
        /// Requests whose handshake was under way at the last look.
        syn_now: u32,
        /// The intervals that the peaks belong to, by their lowest bit.
        peak_epoch: [u32; 2],
        /// Most of `sk_ack_backlog`.
        accept_peak: [u32; 2],
        /// Most of the requests.
        syn_peak: [u32; 2],
        /// `LISTENER_…`.
        flags: u32,
        /// 0.
        reserved: u32,
    }
    /// A listening socket as it is read.
    ListenerEntry = "listener_entry" {
        /// Address of the socket.
        sk: u64,
        /// What is known of it.
        listener: Listener,
    }
    /// A listener has lost a connection, or nearly.
    ListenEvent = "listen_event" {
        /// `CLOCK_MONOTONIC` ns.
        ts: u64,
        /// Address of the listener.
        sk: u64,
        /// Its [`Listener::born`].
        born: u64,
        /// The listener, and the client as its remote end; remote port 0 = not known.
        flow: Flow,
        /// `CAUSE_…`.
        cause: u32,
        /// Length of the queue that decided.
        queue: u32,
        /// Its limit.
        limit: u32,
        /// 0.
        reserved: u32,
    }
    /// Which waits for `accept()` a [`WaitSlots`] counts.
    WaitKey = "wait_key" {
        /// Address of the listener.
        sk: u64,
        /// Its [`Listener::born`].
        born: u64,
        /// Octave of the histogram.
        octave: u32,
        /// 0.
        reserved: u32,
    }
    /// The slots of one octave.
    WaitSlots = "wait_slots" {
        /// How many.
        counts: [u64; SUBS],
    }
    /// First and last port of a range.
    PortRange = "port_range" {
        /// First.
        first: u16,
        /// Last, included.
        last: u16,
    }
    /// A network.
    Cidr = "cidr" {
        /// Halves of the address as they lie in memory, the host bits cleared.
        addr: [u64; 2],
        /// Likewise the network mask.
        mask: [u64; 2],
    }
    /// A list of port ranges.
    PortsFilter = "ports_filter" {
        /// How many count; 0 = all ports pass.
        nr: u32,
        /// The ranges.
        ranges: [PortRange; MAX_PORT_RANGES],
    }
    /// A list of networks.
    AddrsFilter = "addrs_filter" {
        /// How many count; 0 = all addresses pass.
        nr: u32,
        /// Alignment of C.
        reserved: u32,
        /// The networks.
        nets: [Cidr; MAX_CIDRS],
    }
    /// The shared filter flags.
    Filter = "filter" {
        /// How many of pids count.
        nr_pids: u32,
        /// Processes.
        pids: [u32; MAX_PIDS],
        /// 1: the name automaton is on.
        comm_on: u32,
        /// See `CommGlob`.
        comm_stay: u32,
        /// See `CommGlob`.
        comm_accept: u32,
        /// See `CommGlob`.
        comm_step: [u32; 256],
        /// Inode of the network namespace; 0 = all.
        netns: u32,
        /// 4, 6, or 0 = both.
        family: u32,
        /// Depth of the cgroup.
        cgroup_level: u32,
        /// Alignment of C.
        reserved0: u32,
        /// cgroup2 id; 0 = all.
        cgroup: u64,
        /// Local port.
        lport: PortsFilter,
        /// Remote port.
        rport: PortsFilter,
        /// Port of either end.
        port: PortsFilter,
        /// Alignment of C.
        reserved1: u32,
        /// Local address.
        laddr: AddrsFilter,
        /// Remote address.
        raddr: AddrsFilter,
        /// Address of either end.
        addr: AddrsFilter,
    }
    /// What the tool asked for.
    Options = "options" {
        /// ns a transition's socket must have been in its old state; 0 = any.
        slower: u64,
        /// Bytes waiting in the ring buffer that wake the reader.
        wake_bytes: u64,
        /// Bit n: state n, on either side; 0 = all.
        state_mask: u32,
        /// 1: sockets are remembered in a hash map.
        use_hash: u32,
        /// 1: remember, but send no records.
        quiet: u32,
        /// `enum group_by`.
        by: u32,
        /// Bits of an IPv4 remote that `BY_REMOTE` keeps.
        remote_prefix4: u32,
        /// Bits of an IPv6 remote that `BY_REMOTE` keeps.
        remote_prefix6: u32,
        /// Possible CPUs: values that an entry of a per-CPU map has.
        nr_cpus: u32,
        /// 1: read the network namespace.
        want_netns: u32,
        /// 1: read the owner's cgroup.
        want_cgroup: u32,
        /// `enum cookie_source`.
        cookie: u32,
        /// 1: the inventory shows timewait sockets alone.
        timewait_only: u32,
        /// 1: set [`STATE_MAY_TIMEWAIT`].
        mark_closing: u32,
        /// 1: programs watch what may end a timewait socket early.
        know_end_cause: u32,
        /// 1: the current task is known through helpers alone.
        task_by_helpers: u32,
        /// 1: programs may copy kernel memory.
        may_copy: u32,
        /// Bit n: `enum latency_kind` n is measured.
        kinds: u32,
        /// 1: latencies are sent one by one.
        events: u32,
        /// Rows of latencies kept apart.
        max_keys: u32,
        /// 1: sends are seen as they return.
        send_returns: u32,
        /// 1: socket storage tells whose child a socket is.
        heirs: u32,
        /// 1: `accept()` is watched.
        waits: u32,
        /// `enum group_by` of latencies.
        latency_by: u32,
    }
}

impl Options {
    /// Whether somebody polls for `TIME_WAIT`: then closings that may lead there are marked, the
    /// inventory shows nothing else, and sockets of different namespaces must not be mixed up.
    pub fn poll_time_wait(&mut self, polls: bool) {
        self.mark_closing = u32::from(polls);
        self.timewait_only = u32::from(polls);
        self.want_netns |= u32::from(polls);
    }
}

impl Stats {
    /// Adds up the values of all CPUs.
    pub fn sum<'a>(cpus: impl IntoIterator<Item = &'a [u8]>) -> Self {
        cpus.into_iter().filter_map(Self::read).fold(Self::zeroed(), |a, b| Self {
            attempted: a.attempted + b.attempted,
            lost: a.lost + b.lost,
            filtered: a.filtered + b.filtered,
            untracked: a.untracked + b.untracked,
            children: a.children + b.children,
            settled: a.settled + b.settled,
            unreturned: a.unreturned + b.unreturned,
            unseen: a.unseen + b.unseen,
        })
    }
}
