/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Response and service times: the handlers of sends and segments.
 *
 * Whether TCP accepted a send shows in write_seq at the next event of the socket, at the latest
 * when a segment acknowledges it. So a failed send begins nothing, and no program has to watch
 * sends return.
 */
#pragma once

#include "latency/options.h"
#include "latency/exchange.bpf.h"
#include "latency/payload.bpf.h"
#include "latency/rtt.bpf.h"

#define SEGMENT_STATES                                                                             \
	(1 << TCP_ESTABLISHED | 1 << TCP_FIN_WAIT1 | 1 << TCP_FIN_WAIT2 | 1 << TCP_CLOSE_WAIT |    \
	 1 << TCP_CLOSING | 1 << TCP_LAST_ACK)

/* If write_seq has moved, TCP has accepted the pending send. */
static __always_inline void send_accepted(struct batch *batch, struct exchange *ex, __u32 seq)
{
	if (!ex->begun || seq == ex->begun_seq)
		return;
	if (ex->asked && ex->role != ROLE_CLIENT)
		exchange_measured(batch, ex, LATENCY_SERVICE, ex->begun - ex->asked,
				  seq - ex->begun_seq, ex->rx_bytes, 0);
	ex->asked = 0;
	ex->flags &= ~EXCHANGE_OLD;
	ex->flags |= EXCHANGE_ASKING;
	ex->sent = ex->begun;
	ex->begun = 0;
}

/* The current process sends. */
static __always_inline void owner_sends(struct exchange *ex, struct sock *sk, enum access how)
{
	struct user user;
	struct track *track;

	if (!wants_owner())
		return;
	user = current_user();
	if (ex->user.pid == user.pid && ex->user.execs == user.execs)
		return;
	track = track_make(sk);
	if (!track)
		return;
	owner_on_use(track, sk, how);
	ex->user = user;
}

/*
 * No program sees data in the final ACK of the handshake; they came when the child was
 * established.
 */
static __always_inline void asked_by_handshake(struct exchange *ex, struct tcp_sock *tp,
					       enum access how)
{
	if (!(ex->flags & EXCHANGE_UNREAD))
		return;
	ex->flags &= ~EXCHANGE_UNREAD;
	if (!ex->asked && READ(how, tp, bytes_received)) {
		ex->asked = ex->entered;
		ex->rx_bytes = READ(how, tp, bytes_received);
	}
}

static __always_inline struct exchange *exchange_of_sender(struct sock *sk, struct tcp_sock *tp,
							   enum access how)
{
	struct stats *st = stats_here();
	struct exchange *ex;

	if (!st)
		return NULL;
	ex = exchange_make(sk);
	if (!ex) {
		__sync_fetch_and_add(&st->untracked, 1);
		return NULL;
	}
	owner_sends(ex, sk, how);
	if (!role_known(ex, sk, how))
		return NULL;
	exchange_init(ex, tp, how);
	asked_by_handshake(ex, tp, how);
	return ex;
}

/*
 * A send takes its bytes, under the socket's lock. left: bytes it has yet to take, 0 if not
 * known; one that takes them in several goes is seen each time.
 */
static __always_inline void latency_on_send_begin(struct sock *sk, __u64 left, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	struct batch batch = {};
	struct exchange *ex;
	__u32 seq;

	if (!tp)
		return;
	ex = exchange_of_sender(sk, tp, how);
	if (!ex)
		return;
	seq = written(ex, tp, how);
	send_accepted(&batch, ex, seq);
	record(sk, &batch, how);
	if (left && left < ex->begun_left && ex->begun_left - left == seq - ex->begun_seq)
		return;
	if (!(ex->flags & EXCHANGE_ASKING))
		ex->retrans = READ(how, tp, total_retrans);
	ex->begun = bpf_ktime_get_ns();
	ex->begun_seq = seq;
	ex->begun_left = left;
}

/* A send has returned, the lock is free again. */
static __always_inline void latency_on_send_return(struct sock *sk, int ret)
{
	struct batch batch = {};
	struct tcp_sock *tp;
	struct exchange *ex;
	__u64 now;
	__u32 seq;

	if (ret <= 0 || !is_tcp(sk, BTF_PTR))
		return;
	tp = tcp_of(sk, BTF_PTR);
	if (!tp)
		return;
	ex = exchange_of_sender(sk, tp, BTF_PTR);
	if (!ex)
		return;
	now = bpf_ktime_get_ns();
	seq = written(ex, tp, BTF_PTR);
	if (!(ex->flags & EXCHANGE_ASKING))
		ex->retrans = tp->total_retrans;
	ex->flags &= ~EXCHANGE_OLD;
	ex->flags |= EXCHANGE_ASKING;
	ex->sent = now;
	ex->sent_seq = seq;
	if (!ex->asked || ex->asked_seq == seq)
		return;
	if (ex->role != ROLE_CLIENT)
		exchange_measured(&batch, ex, LATENCY_SERVICE, now - ex->asked, ret, ex->rx_bytes,
				  0);
	ex->asked = ex->again;
	ex->asked_seq = seq;
	ex->again = 0;
	record(sk, &batch, BTF_PTR);
}

/* Data from the peer: the answer, if something was sent since the last one. */
static __always_inline void answer_received(struct batch *batch, struct exchange *ex,
					    struct tcp_sock *tp, __u32 seq, __u32 payload,
					    __u64 now, enum access how)
{
	__u64 ns = DURATION_UNKNOWN;

	if (ex->role == ROLE_SERVER || seq == ex->base_seq)
		return;
	if (ex->sent && (!latency_options.send_returns || ex->sent_seq == seq))
		ns = now - ex->sent;
	exchange_measured(batch, ex, LATENCY_RESPONSE, ns, seq - ex->base_seq, payload,
			  READ(how, tp, total_retrans) - ex->retrans);
}

static __always_inline void request_received(struct exchange *ex, __u32 seq, __u32 payload,
					     __u64 now)
{
	/* the request may have begun before the tool did */
	if (ex->role == ROLE_CLIENT || ex->flags & EXCHANGE_OLD)
		return;
	if (!ex->asked) {
		ex->asked = now;
		ex->asked_seq = seq;
		ex->rx_bytes = 0;
	} else if (latency_options.send_returns && seq != ex->asked_seq && !ex->again) {
		ex->again = now;
	}
	ex->rx_bytes += payload;
}

static __always_inline void data_received(struct batch *batch, struct exchange *ex,
					  struct tcp_sock *tp, __u32 seq, __u32 payload,
					  enum access how)
{
	__u64 now = bpf_ktime_get_ns();

	answer_received(batch, ex, tp, seq, payload, now, how);
	ex->flags &= ~(EXCHANGE_UNREAD | EXCHANGE_ASKING);
	ex->base_seq = seq;
	ex->sent = 0;
	request_received(ex, seq, payload, now);
}

/* A segment reaches its socket; TCP has not processed it yet. */
static __always_inline void latency_on_segment(struct sock *sk, const struct sk_buff *skb,
					       enum access how)
{
	struct batch batch;
	struct tcp_sock *tp;
	struct exchange *ex;
	__u32 payload, seq;
	struct stats *st;

	if (!(1 << READ(how, sk, __sk_common.skc_state) & SEGMENT_STATES))
		return;
	tp = tcp_of(sk, how);
	ex = exchange_make(sk);
	if (!tp || !ex) {
		st = stats_here();
		if (tp && st)
			__sync_fetch_and_add(&st->untracked, 1);
		return;
	}
	if (!role_known(ex, sk, how))
		return;
	exchange_init(ex, tp, how);
	batch_begin(&batch);
	rtt_sample(&batch, ex, tp, how);
	seq = written(ex, tp, how);
	send_accepted(&batch, ex, seq);
	payload = new_payload(tp, skb, how);
	ex->flags &= ~EXCHANGE_DATA;
	if (payload) {
		ex->flags |= EXCHANGE_DATA;
		data_received(&batch, ex, tp, seq, payload, how);
	}
	record(sk, &batch, how);
}
