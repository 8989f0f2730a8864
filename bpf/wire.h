/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Every record, key, option and limit that crosses to user space, declared here alone: build.rs
 * makes the Rust types from the BTF of wire.bpf.c, which names each of them. Padding must be a
 * field. An enum whose name ends in _flags or limits is a set of numbers and becomes constants,
 * any other is a choice and becomes a Rust enum.
 *
 * Addresses are 16 bytes in network order with IPv4 mapped (::ffff:a.b.c.d), ports are in
 * host order, times are CLOCK_MONOTONIC nanoseconds. 0 is an unknown pid, port,
 * cgroup or cookie: none of them is ever 0 for a socket that has one.
 */
#pragma once

#include "lib/vmlinux.h"

enum limits {
	COMM_LEN = 16,		/* bytes of a process name, NUL-terminated when shorter */
	ADDR_LEN = 16,		/* bytes of an address */
	MAX_FILTER_VALUES = 16, /* of one list: programs walk it for each event */
	MAX_CGROUP_DEPTH = 64,	/* deeper than any system has */
	CLOSER_SETS = 1 << 15,	/* of closed connections whose process is remembered */
};

enum pid_flags {
	PID_OUTSIDE =
		1 << 30, /* the number is of the initial PID namespace: in ours there is none */
};

/* Too wide for an enumerator in BTF before LLVM 15: tests/layout.rs compares it with Rust's. */
#define DURATION_UNKNOWN (~0ULL)

/* What the reader of a ring buffer does, see lib/wake.h. */
enum reader {
	READER_AWAKE,
	READER_POLLS,
	READER_SLEEPS,
};

/*
 * Log-linear histograms of ns: each octave [2^n, 2^(n+1)) has HIST_SUBS slots of equal width, the
 * first octave also holds what is shorter, the last one what is longer. The middle of a slot is
 * off by at most 1/32 of any value in it.
 */
enum hist_limits {
	HIST_SUB_BITS = 4,
	HIST_SUBS = 1 << HIST_SUB_BITS,
	HIST_SHORTEST = 9, /* log2: 512 ns */
	HIST_OCTAVES = 29, /* up to 275 s */
	HIST_SLOTS = HIST_OCTAVES * HIST_SUBS,
};

/*
 * One TCP socket as it is named on the wire, and its network namespace's inode. device: the index
 * of the one that it is bound to, which is also the zone of its link-local addresses; 0 = none.
 */
struct flow {
	__u8 laddr[ADDR_LEN];
	__u8 raddr[ADDR_LEN];
	__u16 lport;
	__u16 rport;
	__u32 netns;
	__u32 device;
	__u32 reserved;
} __attribute__((aligned(8))); /* compared by 8 bytes */

/* Kept in owner.flags */
#define OWNER_INHERITED 1 /* the listener's process: no use of the child was seen yet */
#define OWNER_MATCHES	2 /* passes the pid, comm and cgroup filters */
#define OWNER_CORRECTED 4 /* found among the holders by the last search */
#define OWNER_OF_MPTCP	8 /* of a subflow: copied from its MPTCP socket */

/* The process that uses a socket: last, as far as was seen. */
struct owner {
	__u64 cgroup; /* cgroup2 id */
	__u64 start;  /* CLOCK_MONOTONIC ns at which the process began; 0 = unknown */
	__u64 since;  /* the same clock: when it was learned */
	__u32 pid;    /* thread group, as it is shown */
	__u32 execs;  /* counts exec(): another program in the same process */
	__u16 flags;
	__u8 rank;	/* what the last search has seen of it, and ... */
	__u8 best_rank; /* ... of any holder: lib/owner.h */
	__u32 search;	/* number of the last search that met a holder */
	__u32 tgid;	/* pid in the initial PID namespace; 0 = none */
	__u32 reserved;
	__u8 comm[COMM_LEN]; /* of the thread group's leader */
};

/* The search among the open files; written by user space. */
struct owner_search {
	__u64 wrong;	/* sockets that a better holder than their owner was found for */
	__u32 number;	/* of the search; 0: there was none */
	__u32 replaces; /* second pass: the oldest of the best holders becomes the owner */
};

/* Kept in track.marks */
#define TRACK_TIMEWAIT 1   /* its connection lives on as a timewait socket */
#define TRACK_UNNAMED  2   /* a child whose LISTEN -> SYN_RECV is still to be reported */
#define TRACK_SENT     4   /* sent is known */
#define TRACK_CLIENT   8   /* connect() opened it */
#define TRACK_BOUND    16  /* it had its port before connect() */
#define TRACK_COUNTED  32  /* what its connection had done when it was last counted is known ... */
#define TRACK_READ     64  /* ... and in struct reading; otherwise it was nothing */
#define TRACK_UNREAD   128 /* it has ended, and its process may still receive */
#define TRACK_RESET    256 /* its connection has sent a reset before it closed */

/*
 * What we remember of a socket. since: when it entered its state; 0 = not seen. The owner
 * may be set on any CPU at any time; the rest changes only under the socket lock.
 */
struct track {
	struct owner owner;
	__u64 since;
	__u16 marks;
	__u16 state;	/* entered last; 0 = not seen */
	__u32 netns;	/* inode; 0 = not read yet */
	__u32 sent;	/* segments that it had sent when they were last counted */
	__u32 waits_at; /* write_seq as a thread began to wait in send(), at since (tcpstall) */
	__u64 diverted; /* in a sockmap: bytes received when last counted, + 1; 0 = in none */
	__u64 opened;	/* when it became ESTABLISHED; 0 = not seen */
};

/* How a connection ended, and by whom. */
enum life_end {
	LIFE_UNKNOWN,
	LIFE_CLOSED_US,	   /* our FIN came first */
	LIFE_CLOSED_PEER,  /* the peer's did */
	LIFE_CLOSED_BOTH,  /* they crossed */
	LIFE_LINGER_ZERO,  /* reset sent: close() with SO_LINGER 0 */
	LIFE_UNREAD,	   /* reset sent: close() with unread data */
	LIFE_KILLED,	   /* the same, as a signal ended the process */
	LIFE_AFTER_CLOSE,  /* reset sent: data came after close() */
	LIFE_ABORTED,	   /* reset sent: ss -K, tcp_abort() */
	LIFE_LISTENER,	   /* reset sent: the listener closed before accept() */
	LIFE_DISCONNECTED, /* reset sent: connect() to AF_UNSPEC */
	LIFE_LINGER2,	   /* reset sent: TCP_LINGER2 below 0 */
	LIFE_RESET,	   /* reset received */
	LIFE_REFUSED,
	LIFE_TIMEOUT_CONNECT,
	LIFE_TIMEOUT_DATA,
	LIFE_TIMEOUT_KEEPALIVE,
	LIFE_TIMEOUT_USER, /* TCP_USER_TIMEOUT */
	LIFE_UNREACHABLE_NET,
	LIFE_UNREACHABLE_HOST,
	LIFE_NO_PORT,	   /* connect() found no local port */
	LIFE_ADDRESS_USED, /* connect() from a port that has this connection already */
	LIFE_GIVEN_UP,	   /* close() before connect() was done */
	LIFE_ORPHAN_LIMIT,
	LIFE_NO_MEMORY, /* or the orphan limit */
	LIFE_OPEN,	/* not ended */
};

enum ending_flags {
	ENDING_TIME_WAIT = 1, /* a timewait socket took over */
	ENDING_TW_FULL = 2,   /* or not: no more timewait sockets may be made */
	ENDING_ACTIVE = 4,    /* a reset that answers no segment */
};

/* How a connection ended, from its socket as the state becomes TCP_CLOSE. */
struct ending {
	__u64 sk;
	__u16 error;   /* errno of the process; 0 = none */
	__u8 end;      /* enum life_end ... */
	__u8 if_reply; /* ... and what it is if a reset follows that answers a segment ... */
	__u8 if_abort; /* ... or one that does not; LIFE_UNKNOWN: none can follow */
	__u8 flags;    /* enum ending_flags */
	__u8 signal;   /* that ended the process; 0 */
	__u8 reserved;
};

enum state_flags {
	/*
	 * The full socket closes, yet the connection may live on as a timewait socket, which
	 * these hooks do not see: the socket summary shows it.
	 */
	STATE_MAY_TIMEWAIT = 1,
	STATE_MPTCP = 2, /* a subflow of an MPTCP socket */
	STATE_RESET =
		4, /* no transition: a closed socket has sent a reset, which explains its end */
};

/* How a timewait socket ended. */
enum end_cause {
	END_UNKNOWN,
	END_EXPIRED,	    /* its time was over */
	END_REUSED_CONNECT, /* our connect() took its ports (tcp_tw_reuse) */
	END_REUSED_SYN,	    /* the peer's SYN took them */
	END_RESET,	    /* by an RST, or by data that we answered with one */
};

/* One state transition. */
struct state_event {
	__u64 ts;
	__u64 duration; /* in the old state; DURATION_UNKNOWN. With STATE_RESET: ts of the end */
	__u64 cookie;
	__u64 cgroup;
	struct flow flow;
	struct ending ending; /* of a transition to CLOSE or TIME_WAIT */
	__u32 pid;
	__u8 comm[COMM_LEN];
	__u8 old_state;
	__u8 new_state;
	__u8 flags;	/* enum state_flags */
	__u8 end_cause; /* enum end_cause */
};

/* One socket of the socket summary (iter/tcp). */
struct sock_entry {
	__u64 age;	/* ns in its state; DURATION_UNKNOWN */
	__u64 at_least; /* ns since the last segment that the state cannot be younger than */
	__u64 ktime;	/* poll time of a timewait socket */
	struct flow flow;
	__u32 pid;
	__u8 comm[COMM_LEN];
	__u8 state;
	__u8 timewait;	/* 1: a timewait socket, whatever its state */
	__u8 unchanged; /* 1: no transition of it was seen, though its owner was found */
	__u8 orphan;	/* 1: no process has it, though it is no timewait socket */
	__u32 unacked;	/* bytes sent and not acknowledged, or ... */
	__u32 unsent;	/* ... not sent; both of closing sockets alone */
};

/* attempted = delivered + lost + filtered; delivered is counted by the reader. */
struct stats {
	__u64 attempted;
	__u64 lost; /* no room in the ring buffer */
	__u64 filtered;
	__u64 untracked;  /* of a socket or key for which there was no memory or map entry */
	__u64 unreturned; /* calls whose return was not seen (lib/calls.h) */
	__u64 unseen;	  /* gaps in the transitions of a socket: no program ran */
	__u64 hidden;	  /* runs that are no events: of other protocols, or nothing was lost */
};

/* Where a socket's cookie comes from. */
enum cookie_source {
	COOKIE_NONE,
	COOKIE_HELPER, /* gives the socket one if it has none */
	COOKIE_FIELD,  /* for programs that may not call the helper; often there is none yet */
};

/* Which hierarchy cgroups are of: the unified one, or where it is not mounted that of a controller.
 */
enum cgroup_source {
	CGROUP_UNIFIED,
	CGROUP_MEMORY,
	CGROUP_CPU,
	CGROUP_PIDS,
};

/* How tools group that sum up. */
enum group_by {
	BY_PROCESS,
	BY_CONNECTION,
	BY_REMOTE,
	BY_PORT,
	BY_CGROUP,
	BY_NETNS,
	BY_TOTAL,
	BY_PEER, /* the process and the remote address */
};

/* Fields that the grouping leaves out are 0. */
struct group_key {
	__u64 cgroup;
	struct flow flow;
	__u32 pid;
	__u32 life; /* distinguishes processes and programs with the same pid */
};

enum count_flags {
	COUNT_GONE = 1,	 /* the connection's socket is destroyed: nothing follows */
	COUNT_ENDED = 2, /* the connection has ended, its process may still call */
};

/* What TCP had counted of a socket when it was last read. */
struct reading {
	__u64 tx_bytes;
	__u64 rx_bytes;
	__u64 segs_in;
	__u64 retrans_segs;
};

struct count_value {
	__u64 tx_calls;	    /* sends that succeeded ... */
	__u64 tx_bytes;	    /* ... and bytes that TCP took */
	__u64 rx_calls;	    /* receives that returned data ... */
	__u64 rx_bytes;	    /* ... and how much */
	__u64 segs_in;	    /* segments that reached an established socket */
	__u64 errors;	    /* sends and receives that failed, but for EAGAIN ... */
	__u64 eagain;	    /* ... of which there were so many */
	__u64 retrans_segs; /* segments sent again, SYNs and SYN-ACKs too ... */
	__u64 out_segs;	    /* ... and those sent for the first time */
	__u64 owner_since;  /* when the last owner this CPU saw was learned */
	__u32 pid;
	__u32 flags; /* enum count_flags */
	__u8 comm[COMM_LEN];
};

/* What tcplatency measures. */
enum latency_kind {
	LATENCY_RESPONSE, /* our last send of a request -> first data back */
	LATENCY_SERVICE,  /* first data of a request in -> our first send of the answer */
	LATENCY_RTT,	  /* the kernel's own samples */
	LATENCY_CONNECT,  /* SYN_SENT -> ESTABLISHED */
	LATENCY_ACCEPT,	  /* a child's ESTABLISHED -> accept() returned it */
};

#define LATENCY_KINDS (LATENCY_ACCEPT + 1)

/* Which end of its connection a socket is. */
enum socket_role {
	ROLE_UNKNOWN, /* opened before the tool started */
	ROLE_CLIENT,
	ROLE_SERVER,
};

#define SOCKET_ROLES (ROLE_SERVER + 1)

/* How what was measured ended. */
enum latency_outcome {
	OUTCOME_DONE,
	OUTCOME_REFUSED,     /* connect: ECONNREFUSED */
	OUTCOME_TIMED_OUT,   /* ETIMEDOUT */
	OUTCOME_UNREACHABLE, /* ENETUNREACH, EHOSTUNREACH */
	OUTCOME_NO_PORT,     /* connect: no local port, EADDRNOTAVAIL */
	OUTCOME_GIVEN_UP,    /* the process closed first */
	OUTCOME_CLOSED,	     /* response: the peer closed first */
	OUTCOME_RESET,	     /* response: the connection was reset, by the peer */
	OUTCOME_FAILED,	     /* any other end */
};

#define LATENCY_FAILURES OUTCOME_FAILED /* all outcomes but OUTCOME_DONE */

enum latency_limits {
	LATENCY_HEAD = HIST_OCTAVES, /* in place of an octave */
};

/* An entry of a row's histogram: one octave of it, or its head, which every row has. */
struct latency_key {
	struct group_key group;
	__u8 kind;   /* enum latency_kind */
	__u8 role;   /* enum socket_role */
	__u8 octave; /* or LATENCY_HEAD */
	__u8 epoch;  /* of the two maps, the one it is in */
	__u32 reserved;
};

/* One octave, on one CPU; max is 0 where this CPU has seen none. */
struct latency_value {
	__u64 min; /* ns */
	__u64 max;
	__u32 slots[HIST_SUBS];
};

/* The head of a row, on one CPU: what no histogram can hold. */
struct latency_head {
	__u32 failures[LATENCY_FAILURES]; /* by enum latency_outcome, less 1 */
	__u64 retrans; /* segments of the requests measured sent again, or SYNs of the connects */
	__u64 untimed; /* exchanges whose beginning or end was not seen */
	__u32 pid;     /* an owner this CPU saw */
	__u32 partial; /* not all octaves found room: the rest is in (other) */
	__u8 comm[COMM_LEN];
	__u64 acks_with_data; /* round trips whose end the peer may have delayed until it had data
			       */
};

/* Which of the two maps is filled, and how many rows each has; written by user space. */
struct latency_turn {
	__u32 epoch;
	__u32 rows[2];
	__u32 ready; /* listeners are known: so are the roles of older sockets */
	__u32 zero;  /* always, but the verifier does not know */
	__u32 reserved;
};

/* One latency, measured or failed. */
struct latency_event {
	__u64 ts;	/* of its end */
	__u64 duration; /* ns; DURATION_UNKNOWN */
	__u64 cgroup;
	struct flow flow;
	__u32 pid;
	__u32 tx_bytes;
	__u32 rx_bytes;
	__u32 retrans; /* segments sent again meanwhile, SYNs included */
	__u8 comm[COMM_LEN];
	__u8 kind;
	__u8 role;
	__u8 outcome; /* enum latency_outcome */
	__u8 reserved;
	__u16 error; /* errno of the process; 0 = none */
	__u8 reserved2[2];
};

/* Why a listener loses a connection, by where the kernel decides it. */
enum listen_cause {
	CAUSE_OTHER,	  /* tcp_listendrop() for none of the reasons below */
	CAUSE_ACCEPT_SYN, /* accept queue full when a SYN came */
	CAUSE_ACCEPT_ACK, /* accept queue full when the handshake's final ACK came */
	CAUSE_SYN,	  /* SYN queue full, SYN dropped */
	CAUSE_COOKIE,	  /* SYN queue full, cookie sent: nothing is lost yet */
	CAUSE_RETRANS,	  /* a SYN-ACK was retransmitted: used only for its client */
	CAUSE_CLOSED,	  /* the listener closed before accept() */
};

#define NR_CAUSES (CAUSE_CLOSED + 1)

enum listener_flags {
	LISTENER_V6ONLY = 1,	/* an IPv6 listener that takes no IPv4 connections */
	LISTENER_MATCHES = 2,	/* passes the filters; set when read */
	LISTENER_GONE = 4,	/* it listens no more */
	LISTENER_KNOWS_ACK = 8, /* this kernel gives lost ACKs a drop reason of their own */
	LISTENER_MPTCP = 16,	/* its children may be subflows */
	LISTENER_UNLINKED = 32, /* its children are not counted: they do not know it yet */
};

/* One listening socket; of the peaks there are two, by the lowest bit of the epoch. */
struct listener {
	__u64 born; /* CLOCK_MONOTONIC ns when found; distinguishes reuse of the address */
	struct flow flow;
	struct owner owner;
	__u64 dropped[NR_CAUSES]; /* by enum listen_cause, as programs saw the kernel decide */
	__u64 discarded;	  /* segments that sk_drops counts, and nothing else */
	__u64 established;	  /* children whose handshake was done */
	__u64 ended;		  /* CLOCK_MONOTONIC ns when it closed; 0 */
	__u64 accepted;		  /* children that accept() returned */
	__u64 waiting_ns;	  /* time in which connections waited for accept() all along ... */
	__u64 waiting_accepts;	  /* ... and those that accept() took in it */
	__u64 emptied_ns;	  /* time in which accept() emptied the queue, and maybe more ... */
	__u64 emptied_accepts;	  /* ... and those that it took in it */
	__u64 looked;		  /* when the accept queue was last looked at ... */
	__u64 taken;		  /* ... and the connections taken from it until then */
	__u32 drops_before;	  /* sk_drops when it was found ... */
	__u32 drops;		  /* ... and when last read */
	__u32 accept_before;
	__u32 accept_now;   /* sk_ack_backlog */
	__u32 accept_limit; /* sk_max_ack_backlog */
	__u32 syn_now;	    /* icsk_accept_queue.qlen */
	__u32 peak_epoch[2];
	__u32 accept_peak[2];
	__u32 syn_peak[2];
	__u32 flags;   /* enum listener_flags */
	__u32 waiting; /* connections in the accept queue when it was last looked at */
};

/* As it is read. */
struct listener_entry {
	__u64 sk;
	struct listener listener;
};

/* A process that has a listener open. */
struct holder {
	__u64 sk; /* the listener, and ... */
	__u64 born;
	__u32 pid;
	__u32 reserved;
	__u8 comm[COMM_LEN];
};

/* A connection was lost, or nearly. */
struct listen_event {
	__u64 ts;
	__u64 sk; /* the listener, and ... */
	__u64 born;
	struct flow flow; /* remote: the client; port 0 = not known */
	__u32 cause;	  /* enum listen_cause */
	__u32 queue;	  /* the queue's length that decided, and its limit */
	__u32 limit;
	__u32 reserved;
};

/* Waits for accept() of one octave. */
struct wait_key {
	__u64 sk;
	__u64 born;
	__u32 octave;
	__u32 reserved;
};

struct wait_slots {
	__u64 counts[HIST_SUBS];
};

/* Why a segment is sent again. */
enum retrans_type {
	RETRANS_UNKNOWN,
	RETRANS_RTO,	    /* its timer expired */
	RETRANS_FAST,	    /* acknowledgements showed a loss */
	RETRANS_TLP,	    /* tail loss probe */
	RETRANS_SYN,	    /* connect() waits */
	RETRANS_SYNACK,	    /* a listener waits for the final ACK */
	RETRANS_SLOW_START, /* after a timeout, as acknowledgements come */
	RETRANS_PROBE,	    /* nothing is sent again: of a zero window */
	RETRANS_SPURIOUS,   /* nothing is sent again: earlier retransmits were needless */
};

/* One buffer of a socket was sent again; or one of the two that are no retransmits. */
struct retrans_event {
	__u64 ts;
	__u64 cookie;
	__u64 cgroup;
	__u64 rto;  /* ns; 0: a SYN-ACK has none of its own */
	__u64 srtt; /* ns; 0 = no sample yet */
	struct flow flow;
	__u32 pid;
	__u32 segs;	 /* of the buffer, or that were needless */
	__u32 attempt;	 /* how often this segment has been sent again; 0 = not known */
	__u32 cwnd;	 /* segments */
	__u32 ssthresh;	 /* segments */
	__u32 in_flight; /* segments, this one included */
	__u8 comm[COMM_LEN];
	__u8 why;   /* enum retrans_type */
	__u8 state; /* of the socket */
	__u8 reserved[6];
};

/* What is kept of a socket that has retransmitted. */
enum retrans_limits {
	RETRANS_SEGMENTS = 8, /* segments whose attempts are counted at a time */
};

struct retrans_segment {
	__u32 seq;
	__u32 times;
};

struct retransmitted {
	struct retrans_segment segments[RETRANS_SEGMENTS];
	__u32 unsure; /* of segments below this sequence number earlier attempts may be unknown */
	__u32 begun;
	__u32 segs;	/* sent again, as seen */
	__u32 dsack;	/* dsack_dups of the socket before */
	__u32 marker;	/* its undo_marker when last seen: which recovery it is in ... */
	__u32 episode;	/* ... and the segments sent again in it */
	__u32 undone;	/* those of recoveries that the kernel has undone */
	__u32 spurious; /* reported as needless */
};

enum life_kind {
	LIFE_ENDED,
	LIFE_OPENED, /* the handshake is done */
	LIFE_RST,    /* a closed socket has sent a reset, which explains its end */
};

enum life_flags {
	LIFE_OPENED_KNOWN = 1, /* how long it took to open */
	LIFE_ACCEPTED = 2,     /* accept() returned it before its handshake was seen to end */
	LIFE_CALLED = 4,       /* connect() has changed its state, and not returned yet */
	LIFE_WAITING = 16,     /* nothing has come since data was sent */
};

/* What is kept of a connection. */
struct life {
	__u64 began;  /* connect(), or the end of a child's handshake; 0: not seen */
	__u64 opened; /* ns of connect(), or of the wait for accept() */
	__u32 role;   /* enum socket_role */
	__u32 flags;  /* enum life_flags */
};

/* A connection opened or ended. Counts are the kernel's own, of its whole life. */
struct life_event {
	__u64 ts;
	__u64 cookie;
	__u64 cgroup;
	__u64 life;   /* ns; DURATION_UNKNOWN. Of LIFE_RST: ts of the end that it follows */
	__u64 opened; /* ns; DURATION_UNKNOWN */
	__u64 tx_bytes;
	__u64 rx_bytes;
	__u64 idle; /* ns since data was sent or received */
	struct flow flow;
	struct ending ending; /* of LIFE_RST: sk and flags */
	__u32 pid;
	__u32 unacked; /* bytes that the peer has not acknowledged, or that were not sent */
	__u32 unread;  /* bytes that the process has not read */
	__u32 segs_out;
	__u32 segs_in;
	__u32 retrans; /* segments */
	__u32 rtt_min; /* us; ~0 = none */
	__u32 srtt;    /* us; 0 = none */
	__u8 comm[COMM_LEN];
	__u8 kind;  /* enum life_kind */
	__u8 role;  /* enum socket_role */
	__u8 state; /* before it closed, or now */
	__u8 flags; /* enum life_flags */
	__u32 reserved;
};

/* Connections of a process that ended in one way; LIFE_OPEN: that opened. */
struct end_key {
	__u32 pid;
	__u32 end; /* enum life_end */
};

/* Counts are the kernel's own, of the whole life of each. */
struct end_counts {
	__u64 connections;
	__u64 failed; /* of these never opened */
	__u64 tx_bytes;
	__u64 rx_bytes;
	__u64 retrans; /* segments */
	__u8 comm[COMM_LEN];
};

enum port_flags {
	PORT_TIMEWAIT = 1,    /* a timewait socket, whatever its state */
	PORT_HELD = 2,	      /* bind() took the port: connect() does not share it */
	PORT_MATCHES = 4,     /* passes the filters */
	PORT_V6ONLY = 8,      /* takes no IPv4 connections */
	PORT_TIMESTAMPS = 16, /* a timewait socket whose connection had TCP timestamps */
};

/* One socket with a local port. */
struct port_entry {
	__u64 sk;
	__u64 left; /* ns until a timewait socket ends */
	struct flow flow;
	__u32 range; /* its IP_LOCAL_PORT_RANGE, the last port in the upper half; 0: none */
	__u32 pid;
	__u8 comm[COMM_LEN];
	__u8 state;
	__u8 flags; /* enum port_flags */
	__u8 reserved[6];
};

/* What connections of a process to a destination have in common: all but the local port. */
struct port_key {
	struct flow flow; /* the local port is 0 */
	__u32 range;	  /* as in port_entry */
	__u32 pid;
};

struct port_counts {
	__u64 opens;	   /* connects that had to choose a port ... */
	__u64 bound;	   /* ... and those that had one; failures included */
	__u64 failed;	   /* EADDRNOTAVAIL */
	__u64 closed_us;   /* connections that this side closed first ... */
	__u64 closed_peer; /* ... and the peer */
	__u64 reused;	   /* timewait sockets whose port connect() took */
	__u32 matches;	   /* its process passes the filters */
	__u32 reserved;
	__u8 comm[COMM_LEN];
};

/* Times that connect() searched for a port, of one octave. */
struct port_search_key {
	struct port_key key;
	__u32 octave;
	__u32 reserved;
};

/* What failed because no port was left. */
enum port_call {
	PORT_CONNECT,
	PORT_BIND,
};

struct port_event {
	__u64 ts;
	__u64 cgroup;
	struct flow flow;
	__u32 range; /* as in port_entry */
	__u32 pid;
	__u8 comm[COMM_LEN];
	__u16 error; /* errno */
	__u8 call;   /* enum port_call */
	__u8 reserved[5];
};

/* Which way a dropped segment went, as seen from this host. */
enum drop_direction {
	DROP_IN,
	DROP_OUT,
};

enum drop_flags {
	DROP_HAS_FLAGS = 1, /* tcp_flags is known ... */
	DROP_HAS_LEN = 2,   /* ... and len */
	DROP_FORWARDED = 4, /* on its way through this host; set with drop_options.find_later */
};

enum drop_limits {
	DROP_REASONS = 256,  /* numbers of reasons that a filter can name one by one */
	DROP_PLACES = 1024,  /* functions that drop segments; kernels have some hundred */
	PLACE_NAME_LEN = 64, /* bytes of their names */
};

/* The kernel dropped a buffer with one or more segments. */
struct drop_event {
	__u64 ts;
	__u64 place; /* address where it was dropped; its name is in the map of places */
	__u64 cgroup;
	__u64 cookie;
	struct flow flow; /* ports are 0 where their header is not in the buffer */
	__u32 pid;
	__u32 reason; /* enum skb_drop_reason of this kernel; 0: it gives none */
	__u32 len;    /* bytes of data */
	__u16 segs;
	__u8 state; /* of the socket, or a listener's; 0: there is none, or it is unknown */
	__u8 tcp_flags;
	__u8 comm[COMM_LEN];
	__u8 direction; /* enum drop_direction */
	__u8 flags;	/* enum drop_flags */
	__u8 reserved[6];
};

/* The function at a place. */
struct place_name {
	__u8 name[PLACE_NAME_LEN];
};

/* What keeps the kernel from sending, as it counts time (enum tcp_chrono of include/linux/tcp.h).
 */
enum send_limit {
	LIMIT_NONE, /* nothing is queued */
	LIMIT_BUSY,
	LIMIT_RWND,
	LIMIT_SNDBUF,
};

/*
 * The timer of a socket that runs (ICSK_TIME_ of include/net/inet_connection_sock.h), as
 * idiag_timer of inet_diag.
 */
enum sock_timer {
	TIMER_NONE = 0,
	TIMER_RETRANS = 1,
	TIMER_KEEPALIVE = 2, /* runs while none of the others does */
	TIMER_PROBE = 3,
	TIMER_LOSS_PROBE = 5,
	TIMER_REORDER = 6,
};

enum conn_flags {
	CONN_KEEPALIVE = 1, /* SO_KEEPALIVE */
	CONN_CORK = 2,
	CONN_NODELAY = 4,
	CONN_ORPHAN = 8,   /* no process has it open */
	CONN_BLOCKED = 16, /* a thread waits in send() for room */
	CONN_MPTCP = 32,   /* threads wait at the MPTCP socket, not here */
};

/* A connection that does not move, of which user space waits for the end. */
struct stall_mark {
	__u64 closed; /* when it closed; 0: it has not */
	__u32 error;  /* errno that its process gets; 0: none */
	__u32 reserved;
};

/* One connection as its socket is. Bytes are without a FIN; times are ns. */
struct conn_entry {
	__u64 sk;
	__u64 cookie;
	__u64 cgroup;
	__u64 ktime;
	__u64 delivered; /* since the peer last got something new, or since the first of what is in
			    flight was sent */
	__u64 limited;	 /* since the limit, or since data was queued */
	__u64 heard;	 /* since the last acknowledgement */
	__u64 received;	 /* since the last data */
	__u64 read;	 /* since the process last read; DURATION_UNKNOWN */
	__u64 resent;	 /* since the first retransmit of this loss; DURATION_UNKNOWN: none */
	__u64 blocked;	 /* since a thread waits in send(); DURATION_UNKNOWN */
	__u64 timer;	 /* until it expires; DURATION_UNKNOWN: none runs */
	__u64 rto;
	__u64 rto_max;
	__u64 keepalive_interval;
	__u64 busy; /* all the time that something was queued, and of this ... */
	__u64 rwnd_limited;
	__u64 sndbuf_limited;
	__u64 pacing_rate; /* bytes a second; ~0: no limit */
	__u64 delivery_rate;
	struct flow flow;
	__u8 comm[COMM_LEN];
	__u8 algorithm[COMM_LEN]; /* of congestion control */
	__u32 pid;
	__u32 unacked; /* bytes sent and not acknowledged, or ... */
	__u32 unsent;  /* ... queued and not sent */
	__u32 unread;
	__u32 copied;  /* first sequence number that the process has not read */
	__u32 written; /* first sequence number that it has not written */
	__u32 snd_wnd;
	__u32 rcv_wnd;
	__u32 mss;
	__u32 cwnd;
	__u32 ssthresh;
	__u32 packets_out;
	__u32 in_flight; /* of these, neither lost nor received out of order */
	__u32 srtt;	 /* us */
	__u32 rttvar;	 /* us */
	__u32 rtt_min;	 /* us; ~0 = none */
	__u32 total_retrans;
	__u32 user_timeout; /* ms; 0 = none */
	__u32 sndbuf;
	__u32 wmem;
	__u32 rcvbuf;
	__u8 state;
	__u8 ca_state;	  /* TCP_CA_ of include/uapi/linux/tcp.h */
	__u8 limit;	  /* enum send_limit */
	__u8 pending;	  /* enum sock_timer */
	__u8 flags;	  /* enum conn_flags */
	__u8 retransmits; /* timeouts since the last acknowledgement */
	__u8 backoff;
	__u8 probes;	       /* of a zero window or an idle connection, without an answer */
	__u8 retries;	       /* net.ipv4.tcp_retries2 */
	__u8 keepalive_probes; /* after which the connection is given up */
	__u8 reserved[2];
};

struct port_range {
	__u16 first;
	__u16 last;
};

/* The families whose connections a wildcard listener takes, and those a network has addresses of.
 */
enum family_flags {
	FAMILY_V4 = 1,
	FAMILY_V6 = 2,
};

/* Halves of the 16 bytes as they lie in memory; the host bits of addr are 0. */
struct cidr {
	__u64 addr[2];
	__u64 mask[2];
	__u32 families; /* of its addresses, enum family_flags; 0: the wildcard address alone */
	__u32 device;	/* that sockets have to be bound to, and ...; 0: any */
	__u32 netns;	/* ... the namespace that it is in */
	__u32 reserved;
};

struct ports_filter {
	__u32 nr;
	struct port_range ranges[MAX_FILTER_VALUES];
};

struct addrs_filter {
	__u32 nr;
	__u32 reserved;
	struct cidr nets[MAX_FILTER_VALUES];
};

/* The shared filter flags; a part that was not asked for has nr, family, … 0. */
struct filter {
	__u32 nr_pids;
	__u32 pids[MAX_FILTER_VALUES];
	__u32 comm_on;
	__u32 comm_stay; /* automaton of src/filter.rs: bit i = first i tokens matched */
	__u32 comm_accept;
	__u32 comm_step[256];
	__u32 comm_negated; /* names that do not match */
	__u32 by_flow;	    /* by any of these but the cgroup */
	__u32 by_netns;	    /* which one is in struct wanted */
	__u32 by_cgroup;
	__u32 family; /* 4 or 6 */
	struct ports_filter lport;
	struct ports_filter rport;
	struct ports_filter port; /* either end */
	struct addrs_filter laddr;
	struct addrs_filter raddr;
	struct addrs_filter addr; /* either end */
};

/*
 * The namespace and cgroup that the filters name now: both may be made anew under their name, and a
 * namespace's inode is soon given to another one. All bits set: there is none.
 */
struct wanted {
	__u64 netns_cookie; /* 0: unknown; a program that user space runs inside learns it */
	__u64 cgroup;
	__u32 cgroup_level;
	__u32 netns; /* inode */
};

/* What a tool asks of all subjects. */
struct options {
	__u64 wake_bytes; /* wake the reader when the ring buffer holds so much */
	__u64 seed; /* of hashes, so that no peer can choose which places its connections take */
	__u32 use_hash;	  /* no socket storage on this kernel */
	__u32 nr_cpus;	  /* possible CPUs: values that a per-CPU entry has */
	__u32 want_netns; /* what is not printed is not read, which saves verifier time too */
	__u32 want_cgroup;
	__u32 cookie;	       /* enum cookie_source */
	__u32 task_by_helpers; /* no bpf_get_current_task_btf() on this kernel */
	__u32 may_copy;	       /* kernel memory may be copied: no confidentiality lockdown */
	__u32 remote_prefix4;  /* bits kept of a remote address that is a key */
	__u32 remote_prefix6;
	__u32 pair_fexit; /* fexit programs can be skipped: see lib/calls.h */
	/* inode of the PID namespace whose numbers are shown; 0: the initial one */
	__u32 pidns;
	__u32 cgroup_source; /* enum cgroup_source */
	__u32 mptcp;	     /* this kernel has it */
	__u32 reserved;
};

struct states_options {
	__u64 slower;	     /* ns in the old state */
	__u32 state_mask;    /* transitions from or to state n: bit n; 0 = all */
	__u32 from_mask;     /* from state n, as above */
	__u32 to_mask;	     /* to state n, as above */
	__u32 events;	     /* send each transition; otherwise only remember sockets */
	__u32 timewait_only; /* the summary is of timewait sockets alone */
	/*
	 * Set STATE_MAY_TIMEWAIT: user space reads the summary, and applies slower and the masks
	 * when it knows whether a timewait socket took over.
	 */
	__u32 mark_closing;
	__u32 know_end_cause; /* programs see what may end a timewait socket early */
	__u32 tick_ns;	      /* of a jiffy */
};

struct count_options {
	__u32 by;    /* enum group_by */
	__u32 light; /* read TCP's counters; otherwise calls and segments are counted */
};

struct latency_options {
	__u64 slower;	    /* ns, of events */
	__u32 kinds;	    /* bit n: enum latency_kind n is measured */
	__u32 events;	    /* send each latency; otherwise sum them up */
	__u32 max_keys;	    /* rows with a key of their own */
	__u32 by;	    /* enum group_by */
	__u32 send_returns; /* sends are seen as they return, not as they begin */
	__u32 reserved;
};

struct listen_options {
	__u32 events;	     /* send each dropped connection; otherwise only count them */
	__u32 child_storage; /* no function shows a child: its socket storage names its listener */
	__u32 waits;	     /* accept() is watched */
};

struct retrans_options {
	__u32 type_mask;   /* bit n: enum retrans_type n; 0 = all */
	__u32 min_attempt; /* 0 = all, the unknown too */
	__u32 tick_ns;	   /* of a jiffy */
	__u32 summary;	   /* count the segments that sockets send */
};

struct life_options {
	__u64 longer;  /* ns; 0 = all, also those of unknown age */
	__u64 shorter; /* ns; 0 = all, the same */
	__u64 bytes;   /* sent and received together, at least */
	__u32 ends;    /* bit n: enum life_end n */
	__u32 opens;   /* send LIFE_OPENED too */
	__u32 tick_ns; /* of a jiffy */
	__u32 reserved;
};

struct ports_options {
	__u32 events;	/* send each failure; otherwise count connects and failures */
	__u32 searches; /* time the search for a port */
	__u32 tick_ns;	/* of a jiffy */
};

struct stall_options {
	__u32 all;     /* idle connections too */
	__u32 tick_ns; /* of a jiffy */
	__u32 waits;   /* programs see when a thread begins to wait in send() */
	__u32 ends;    /* user space waits for the end of stalls */
};

struct drop_options {
	__u32 reasons[DROP_REASONS / 32]; /* bit n: reason n is wanted */
	__u32 by_reason;		  /* 0: all are wanted */
	__u32 other_reasons;		  /* those of subsystems, and beyond DROP_REASONS */
	__u32 find_later;		  /* user space finds sockets and owners, by flow */
};

_Static_assert(sizeof(struct latency_head) == sizeof(struct latency_value), "one map has both");
