/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Why a connection ends, from what its socket knows as its state becomes TCP_CLOSE: the error,
 * the state that it leaves, and what its process asked for. Some causes differ only in a
 * reset that the closed socket sends next: user space joins that one (life/reset.bpf.h).
 */
#pragma once

#include "lib/errno.h"
#include "lib/mptcp.h"
#include "lib/sock.h"
#include "lib/track.h"

/* include/net/sock.h */
#define RCV_SHUTDOWN	1
/* twice TCP_SKB_MIN_TRUESIZE, about: below it a socket is never short of memory */
#define SOCK_MIN_SNDBUF 4096
#define PF_EXITING	0x4

/* What decides. */
struct closing_sock {
	__u32 unacked;
	__u32 unread;
	__u32 error; /* sk_err */
	__u32 flags; /* SOCK_DEAD ... */
	__u8 state;  /* that it leaves */
	__u8 shutdown;
	__u8 signal; /* that ended the process which closes; 0 */
	__u8 linger; /* SO_LINGER 0 */
	__u8 reset;  /* it has sent one already */
};

/* The signal that ends the current process; 0: none. */
static __always_inline __u8 ending_signal(void)
{
	struct task_struct *task;

	if (!options.task_by_helpers) {
		task = bpf_get_current_task_btf();
		return task->flags & PF_EXITING ? task->exit_code & 0x7f : 0;
	}
	if (!options.may_copy)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	if (!(BPF_CORE_READ(task, flags) & PF_EXITING))
		return 0;
	return BPF_CORE_READ(task, exit_code) & 0x7f;
}

/* connect() has failed, or was given up. */
static __always_inline __u8 end_of_connect(const struct closing_sock *c, struct sock *sk,
					   struct tcp_sock *tp, enum access how)
{
	if (c->error == ECONNREFUSED)
		return LIFE_REFUSED;
	if (c->error == ETIMEDOUT)
		return LIFE_TIMEOUT_CONNECT;
	if (c->error == ECONNABORTED)
		return LIFE_ABORTED;
	if (c->error || c->shutdown == SHUTDOWN_MASK)
		return c->error ? LIFE_UNKNOWN : LIFE_GIVEN_UP;
	/* fails in the call itself, which leaves no error in the socket */
	if (!READ(how, sk, __sk_common.skc_num) && !sport_of(tp, how))
		return LIFE_NO_PORT;
	if (READ(how, tp, segs_out))
		return LIFE_GIVEN_UP;
	/* a port that connect() chose is given back */
	return READ(how, sk, __sk_common.skc_num) ? LIFE_ADDRESS_USED : LIFE_UNKNOWN;
}

static __always_inline __u8 end_by_error(const struct closing_sock *c, struct tcp_sock *tp,
					 enum access how)
{
	switch (c->error) {
	case ECONNABORTED:
		return LIFE_ABORTED;
	case ECONNRESET:
	case EPIPE:
		return LIFE_RESET;
	case ENETUNREACH:
		return LIFE_UNREACHABLE_NET;
	case EHOSTUNREACH:
		return LIFE_UNREACHABLE_HOST;
	case ETIMEDOUT:
		/* keep-alive probes are sent only if nothing else waits for an acknowledgement */
		if (READ(how, tp, write_seq) == READ(how, tp, snd_una))
			return LIFE_TIMEOUT_KEEPALIVE;
		return READ(how, tp, inet_conn.icsk_user_timeout) ? LIFE_TIMEOUT_USER
								  : LIFE_TIMEOUT_DATA;
	}
	return LIFE_UNKNOWN;
}

/* tcp_check_oom(): too many orphans, or no memory, which a small socket never lacks. */
static __always_inline __u8 end_of_orphan(struct sock *sk, enum access how)
{
	return READ(how, sk, sk_wmem_queued) < SOCK_MIN_SNDBUF ? LIFE_ORPHAN_LIMIT : LIFE_NO_MEMORY;
}

/*
 * __tcp_close() drops what the process has not read before it sends the reset. In the states
 * after our FIN the network may close the socket too, but leaves the queue alone.
 */
static __always_inline bool closed_unread(const struct closing_sock *c, struct sock *sk,
					  enum access how)
{
	return c->unread && c->shutdown == SHUTDOWN_MASK && !(c->flags & SOCK_DEAD) &&
	       !READ(how, sk, sk_receive_queue.qlen);
}

/* Without an error and before any FIN of ours: close() that resets, or tcp_disconnect(). */
static __always_inline __u8 end_by_process(const struct closing_sock *c, struct sock *sk,
					   enum access how)
{
	if (c->shutdown == SHUTDOWN_MASK)
		return c->linger ? LIFE_LINGER_ZERO : LIFE_UNKNOWN;
	if (is_subflow(sk, how))
		return LIFE_UNKNOWN;
	return READ(how, sk, sk_socket) ? LIFE_DISCONNECTED : LIFE_LISTENER;
}

/* tcp_time_wait(); that it made a socket is not known where the table is full now. */
static __always_inline void timewait_begins(struct ending *end, struct sock *sk, enum access how)
{
	struct net *net = READ(how, sk, __sk_common.skc_net.net);

	end->flags = timewait_full(net, how) ? ENDING_TW_FULL : ENDING_TIME_WAIT;
}

/* Without an error, after our FIN was queued. */
static __always_inline __u8 end_after_fin(struct ending *end, const struct closing_sock *c,
					  struct sock *sk, struct tcp_sock *tp, enum access how)
{
	bool held = !(c->flags & SOCK_DEAD) && c->shutdown == SHUTDOWN_MASK;

	if (c->shutdown != SHUTDOWN_MASK && !(c->flags & SOCK_DONE))
		end->if_abort = LIFE_DISCONNECTED;
	else
		end->if_abort = held && c->linger ? LIFE_LINGER_ZERO : end_of_orphan(sk, how);
	switch (c->state) {
	case TCP_FIN_WAIT2:
		end->if_reply = LIFE_AFTER_CLOSE;
		if (READ(how, tp, linger2) < 0)
			end->if_reply = end->if_abort = LIFE_LINGER2;
		timewait_begins(end, sk, how);
		return LIFE_CLOSED_US;
	case TCP_CLOSING:
		timewait_begins(end, sk, how);
		return LIFE_CLOSED_BOTH;
	case TCP_LAST_ACK:
		if (c->unacked)
			return LIFE_UNKNOWN;
		/* acknowledged: nothing is given up */
		end->if_abort = LIFE_UNKNOWN;
		return LIFE_CLOSED_PEER;
	}
	return LIFE_UNKNOWN;
}

static __always_inline void end_connect(struct ending *end, const struct closing_sock *c,
					struct sock *sk, struct tcp_sock *tp, enum access how)
{
	end->end = end_of_connect(c, sk, tp, how);
	if (c->error == ENETUNREACH || c->error == EHOSTUNREACH)
		end->end = end_by_error(c, tp, how);
	if (end->end == LIFE_NO_PORT || end->end == LIFE_ADDRESS_USED)
		end->error = EADDRNOTAVAIL;
}

/* Fills in how it ended. */
static __always_inline void ending_decide(struct ending *end, const struct closing_sock *c,
					  struct sock *sk, struct tcp_sock *tp, enum access how)
{
	bool synchronized = c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT;

	end->sk = (__u64)sk;
	if (!(c->flags & SOCK_DEAD))
		end->error = c->error;
	if (c->state == TCP_SYN_SENT) {
		end_connect(end, c, sk, tp, how);
	} else if (closed_unread(c, sk, how)) {
		end->error = 0;
		end->end = c->signal ? LIFE_KILLED : LIFE_UNREAD;
		end->signal = c->signal;
	} else if (synchronized && (!c->error || c->shutdown == SHUTDOWN_MASK)) {
		end->error = 0;
		end->end = end_by_process(c, sk, how);
	} else if (c->error) {
		end->end = end_by_error(c, tp, how);
		/* tcp_reset() also ends a closed connection that gets data, and is answered */
		if (end->end == LIFE_RESET && c->shutdown & RCV_SHUTDOWN &&
		    (c->state == TCP_FIN_WAIT1 || c->state == TCP_FIN_WAIT2))
			end->if_reply = LIFE_AFTER_CLOSE;
	} else {
		end->end = end_after_fin(end, c, sk, tp, how);
		if (end->if_abort && c->reset)
			end->end = end->if_abort;
	}
}

/* A child whose handshake fails: no connection has begun. */
static __always_inline bool never_was(const struct closing_sock *c)
{
	return c->state == TCP_SYN_RECV && !c->error;
}

/* State of the socket as it leaves old_state for TCP_CLOSE; track may be NULL. */
static __always_inline void closing_read(struct closing_sock *c, struct sock *sk,
					 struct tcp_sock *tp, const struct track *track,
					 int old_state, enum access how)
{
	c->state = old_state;
	c->error = READ(how, sk, sk_err);
	c->flags = READ(how, sk, __sk_common.skc_flags);
	c->shutdown = READ(how, sk, sk_shutdown);
	c->linger = c->flags & SOCK_LINGER && !READ(how, sk, sk_lingertime);
	c->unacked = bytes_unacked(tp, old_state, how);
	c->unread = bytes_to_read(tp, c->flags & SOCK_DONE, how);
	c->signal = ending_signal();
	c->reset = track && track->marks & TRACK_RESET;
}

/* What decides, and how it is decided. */
struct verdict {
	struct closing_sock sock;
	struct ending ending;
};

/*
 * Of the close that this CPU is at. Memory of a map, whose contents the verifier forgets: on the
 * stack it would walk the rest of a program once for each end. After a barrier what follows reads
 * them from there, and not from registers in which they are known.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct verdict);
} verdicts SEC(".maps");

/* How the connection ended whose socket leaves old_state for TCP_CLOSE; NULL: none had begun. */
static __always_inline const struct verdict *verdict_of(struct sock *sk, struct tcp_sock *tp,
							const struct track *track, int old_state,
							enum access how)
{
	static const struct ending fresh;
	__u32 zero = 0;
	struct verdict *verdict = bpf_map_lookup_elem(&verdicts, &zero);

	if (!verdict)
		return NULL;
	closing_read(&verdict->sock, sk, tp, track, old_state, how);
	barrier();
	if (never_was(&verdict->sock))
		return NULL;
	verdict->ending = fresh;
	ending_decide(&verdict->ending, &verdict->sock, sk, tp, how);
	barrier();
	return verdict;
}
