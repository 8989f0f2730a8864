/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Why a connection ends, from what its socket knows as its state becomes TCP_CLOSE: the error,
 * the state that it leaves, and what its process asked for. Some causes differ only in a
 * reset that the closed socket sends next: user space joins that one (LIFE_RST).
 */
#pragma once

#include "lib/errno.h"
#include "lib/mptcp.h"
#include "lib/sock.h"

/* include/net/sock.h */
#define RCV_SHUTDOWN	1
/* twice TCP_SKB_MIN_TRUESIZE, about: below it a socket is never short of memory */
#define SOCK_MIN_SNDBUF 4096
#define PF_EXITING	0x4

/* What decides. */
struct ending {
	__u32 unacked;
	__u32 unread;
	__u32 error; /* sk_err */
	__u32 flags; /* SOCK_DEAD ... */
	__u8 state;  /* that it leaves */
	__u8 shutdown;
	__u8 signal; /* that ended the process which closes; 0 */
	__u8 linger; /* SO_LINGER 0 */
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
static __always_inline __u8 end_of_connect(const struct ending *e, struct sock *sk,
					   struct tcp_sock *tp, __u16 lport, enum access how)
{
	if (e->error == ECONNREFUSED)
		return LIFE_REFUSED;
	if (e->error == ETIMEDOUT)
		return LIFE_TIMEOUT_CONNECT;
	if (e->error == ECONNABORTED)
		return LIFE_ABORTED;
	if (e->error || e->shutdown == SHUTDOWN_MASK)
		return e->error ? LIFE_UNKNOWN : LIFE_GIVEN_UP;
	/* fails in the call itself, which leaves no error in the socket */
	if (!lport)
		return LIFE_NO_PORT;
	if (READ(how, tp, segs_out))
		return LIFE_GIVEN_UP;
	/* a port that connect() chose is given back */
	return READ(how, sk, __sk_common.skc_num) ? LIFE_ADDRESS_USED : LIFE_UNKNOWN;
}

static __always_inline __u8 end_by_error(const struct ending *e, struct tcp_sock *tp,
					 enum access how)
{
	switch (e->error) {
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
static __always_inline bool closed_unread(const struct ending *e, struct sock *sk, enum access how)
{
	return e->unread && e->shutdown == SHUTDOWN_MASK && !(e->flags & SOCK_DEAD) &&
	       !READ(how, sk, sk_receive_queue.qlen);
}

/* Without an error and before any FIN of ours: close() that resets, or tcp_disconnect(). */
static __always_inline __u8 end_by_process(const struct ending *e, struct sock *sk, enum access how)
{
	if (e->shutdown == SHUTDOWN_MASK)
		return e->linger ? LIFE_LINGER_ZERO : LIFE_UNKNOWN;
	if (is_subflow(sk, how))
		return LIFE_UNKNOWN;
	return READ(how, sk, sk_socket) ? LIFE_DISCONNECTED : LIFE_LISTENER;
}

/* tcp_time_wait(); that it made a socket is not known where the table is full now. */
static __always_inline void timewait_begins(struct life_event *ev, struct sock *sk, enum access how)
{
	struct net *net = READ(how, sk, __sk_common.skc_net.net);

	ev->flags |= timewait_full(net, how) ? LIFE_TW_FULL : LIFE_TIME_WAIT;
}

/* Without an error, after our FIN was queued. */
static __always_inline __u8 end_after_fin(struct life_event *ev, const struct ending *e,
					  struct sock *sk, struct tcp_sock *tp, enum access how)
{
	bool held = !(e->flags & SOCK_DEAD) && e->shutdown == SHUTDOWN_MASK;

	if (e->shutdown != SHUTDOWN_MASK && !(e->flags & SOCK_DONE))
		ev->if_abort = LIFE_DISCONNECTED;
	else
		ev->if_abort = held && e->linger ? LIFE_LINGER_ZERO : end_of_orphan(sk, how);
	switch (e->state) {
	case TCP_FIN_WAIT2:
		ev->if_reply = LIFE_AFTER_CLOSE;
		if (READ(how, tp, linger2) < 0)
			ev->if_reply = ev->if_abort = LIFE_LINGER2;
		timewait_begins(ev, sk, how);
		return LIFE_CLOSED_US;
	case TCP_CLOSING:
		timewait_begins(ev, sk, how);
		return LIFE_CLOSED_BOTH;
	case TCP_LAST_ACK:
		if (e->unacked)
			return LIFE_UNKNOWN;
		/* acknowledged: nothing is given up */
		ev->if_abort = LIFE_UNKNOWN;
		return LIFE_CLOSED_PEER;
	}
	return LIFE_UNKNOWN;
}

/* Fills in how it ended. */
static __always_inline void ending_decide(struct life_event *ev, const struct ending *e,
					  struct sock *sk, struct tcp_sock *tp, enum access how)
{
	bool synchronized = e->state == TCP_ESTABLISHED || e->state == TCP_CLOSE_WAIT;

	if (!(e->flags & SOCK_DEAD))
		ev->error = e->error;
	if (e->state == TCP_SYN_SENT) {
		ev->end = end_of_connect(e, sk, tp, ev->flow.lport, how);
		if (e->error == ENETUNREACH || e->error == EHOSTUNREACH)
			ev->end = end_by_error(e, tp, how);
		if (ev->end == LIFE_NO_PORT || ev->end == LIFE_ADDRESS_USED)
			ev->error = EADDRNOTAVAIL;
		return;
	}
	if (closed_unread(e, sk, how)) {
		ev->error = 0;
		ev->end = e->signal ? LIFE_KILLED : LIFE_UNREAD;
		ev->signal = e->signal;
	} else if (synchronized && (!e->error || e->shutdown == SHUTDOWN_MASK)) {
		ev->error = 0;
		ev->end = end_by_process(e, sk, how);
	} else if (e->error) {
		ev->end = end_by_error(e, tp, how);
		/* tcp_reset() also ends a closed connection that gets data, and is answered */
		if (ev->end == LIFE_RESET && e->shutdown & RCV_SHUTDOWN &&
		    (e->state == TCP_FIN_WAIT1 || e->state == TCP_FIN_WAIT2))
			ev->if_reply = LIFE_AFTER_CLOSE;
	} else {
		ev->end = end_after_fin(ev, e, sk, tp, how);
		if (ev->if_abort && ev->flags & LIFE_RST_SENT)
			ev->end = ev->if_abort;
	}
}
