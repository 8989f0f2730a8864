//! The maps of the objects that user space opens or sizes.

use crate::kernel::map::MapDef;

macro_rules! maps {
    ($($(#[$doc:meta])* $map:ident = $name:literal;)*) => {
        $($(#[$doc])* pub const $map: MapDef = MapDef::new($name);)*
        /// All of them; `tests/layers.rs` finds each in the compiled objects.
        pub const ALL: &[MapDef] = &[$($map),*];
    };
}

maps! {
    /// The namespace and cgroup that the filters name now.
    WANTED = ".data.wanted";
    /// Ring buffer of events.
    EVENTS = "events";
    /// Whether the reader of the ring buffer waits, see `bpf/lib/wake.h`.
    READER = ".data.reader";
    /// Counters of attempted, lost and filtered events, per CPU.
    STATS = "stats";
    /// Calls in progress, by thread: where kretprobes see their return, or fexit programs may miss it.
    CALLS = "calls";
    /// The state of the search for owners.
    OWNER_SEARCH = ".data.search";
    /// Owners of sockets, where they are not kept in socket storage.
    TRACKED_HASH = "tracked_hash";
    /// Attempts of retransmitted segments, where they are not kept in socket storage.
    RETRANSMITTED_HASH = "retransmitted_hash";
    /// What was read of sockets, where that is not kept in socket storage.
    READINGS_HASH = "readings_hash";
    /// When connections began, where that is not kept in socket storage.
    LIVES_HASH = "lives_hash";
    /// Sockets by their flow.
    SOCKETS_BY_FLOW = "sockets_by_flow";
    /// Ring buffer of dropped segments.
    DROPS = "drops";
    /// Ring buffer of connections that others have ended.
    CUTS = "cuts";
    /// Names of functions that drop segments, by address.
    PLACES = "places";
    /// Owners of MPTCP sockets.
    MPTCP_OWNERS = "mptcp_owners";
    /// Exchanges in progress, where they are not kept in socket storage.
    EXCHANGES_HASH = "exchanges_hash";
    /// When sockets that wait for `accept()` were queued.
    UNACCEPTED = "unaccepted";
    /// Timewait sockets seen by programs.
    TIMEWAITS = "timewaits";
    /// Processes that have closed sockets, which live on without them.
    CLOSERS = "closers";
    /// Counters by key, per CPU.
    COUNTS = "counts";
    /// Counters of keys that the map of counters is full for.
    OTHER = "other";
    /// Latencies by key, octave and CPU, of one of two epochs.
    LATENCIES_EVEN = "latencies_even";
    /// Those of the other epoch.
    LATENCIES_ODD = "latencies_odd";
    /// Latencies whose map is full.
    LATENCIES_OTHER = "latencies_other";
    /// Which of the two maps of latencies is filled now.
    LATENCY_TURN = ".data.turn";
    /// Listeners with their queues and drops.
    LISTENERS = "listeners";
    /// Histograms of waits for `accept()`, by listener and octave.
    WAITS = "waits";
    /// Connections by owner and how they ended.
    ENDINGS = "endings";
    /// Connects and failures by destination.
    PORT_COUNTS = "port_counts";
    /// Times of searches for a port, by destination and octave.
    PORT_SEARCHES = "port_searches";
    /// Stalls of which the end is awaited, by address of the socket.
    STALL_MARKS = "stall_marks";
    /// Number of the interval in progress.
    EPOCH = "epoch";
}
