/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a state transition means to latencies: connect(), the roles of both ends, their FINs. */
#pragma once

#include "latency/connect_accept.bpf.h"
#include "latency/latency.bpf.h"
#include "lib/accept_wait.h"

/* States that our FIN, or a reset, begins, and those that the peer's FIN does. */
#define OUR_END	  (1 << TCP_FIN_WAIT1 | 1 << TCP_LAST_ACK | 1 << TCP_CLOSE)
#define PEERS_END (1 << TCP_CLOSE_WAIT | 1 << TCP_CLOSING)

static __always_inline void exchange_transition(struct batch *batch, struct sock *sk,
						struct exchange *ex, struct tcp_sock *tp,
						int old_state, int new_state, enum access how)
{
	static const struct exchange fresh;
	__u64 now = 0;
	__u32 seq;

	if (old_state == TCP_CLOSE || old_state == TCP_SYN_SENT || old_state == TCP_SYN_RECV)
		now = bpf_ktime_get_ns();
	if (new_state == TCP_SYN_SENT) {
		*ex = fresh;
		ex->role = ROLE_CLIENT;
		ex->entered = now;
	} else if (old_state == TCP_SYN_RECV && new_state == TCP_ESTABLISHED && !ex->entered) {
		ex->role = ROLE_SERVER;
		ex->entered = now;
		ex->flags |= EXCHANGE_UNREAD;
		exchange_init(ex, tp, how);
	} else if (old_state == TCP_SYN_SENT) {
		connect_ended(batch, sk, ex, tp, new_state, now, how);
		ex->role = ROLE_CLIENT;
		exchange_init(ex, tp, how);
		rtt_sample(batch, ex, tp, how);
	} else if (old_state == TCP_ESTABLISHED) {
		/* the last sample before the states in which not every attach method sees segments
		 */
		rtt_sample(batch, ex, tp, how);
	}
	if (!(1 << new_state & (OUR_END | PEERS_END)))
		return;
	seq = written(ex, tp, how);
	send_accepted(batch, ex, seq);
	/* not in the place of a connect() in the batch */
	if (old_state != TCP_SYN_SENT)
		request_on_transition(batch, sk, ex, tp, old_state, new_state, seq, how);
	if (!(1 << new_state & OUR_END))
		return;
	ex->begun = 0;
	ex->flags |= EXCHANGE_FINISHED;
}

/* Waits for accept(). */
static __always_inline void latency_wait_on_transition(struct sock *sk, int old_state,
						       int new_state, struct stats *st,
						       enum access how)
{
	if (measures(LATENCY_ACCEPT))
		record_wait(
			sk,
			accept_wait_on_transition(sk, old_state, new_state, bpf_ktime_get_ns(), st),
			owner_of(sk), how);
}

/* A transition, none to or from LISTEN; the owner is already learned from it. */
static __always_inline void latency_on_transition(struct sock *sk, int old_state, int new_state,
						  struct stats *st, enum access how)
{
	struct exchange *ex = NULL;
	struct batch batch;
	struct tcp_sock *tp;

	/* of a connect alone, nothing is kept after it */
	if (!measures_exchanges() && new_state != TCP_SYN_SENT && old_state != TCP_SYN_SENT)
		return;
	/* our FIN was acknowledged, which says nothing new */
	if (new_state == TCP_FIN_WAIT2)
		return;
	batch_begin(&batch);
	tp = tcp_of(sk, how);
	if (new_state == TCP_SYN_SENT || new_state == TCP_ESTABLISHED) {
		ex = exchange_make(sk);
		if (!ex)
			__sync_fetch_and_add(&st->untracked, 1);
	} else {
		ex = exchange_find(sk);
	}
	if (ex && tp)
		exchange_transition(&batch, sk, ex, tp, old_state, new_state, how);
	record(sk, &batch, how);
}
