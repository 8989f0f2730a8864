/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Segments that are sent again: of which socket, why, and how often. */
#pragma once

#include "lib/ring.h"
#include "lib/stats.h"
#include "lib/track.h"
#include "retrans/attempt.bpf.h"
#include "retrans/options.h"

/* include/uapi/linux/tcp.h: enum tcp_ca_state */
#define TCP_CA_RECOVERY	     3
#define TCP_CA_LOSS	     4
/* include/net/inet_connection_sock.h */
#define ICSK_TIME_LOSS_PROBE 5

static __always_inline __u8 ca_state(struct tcp_sock *tp, enum access how)
{
	if (how == PROBE_READ)
		return BPF_CORE_READ_BITFIELD_PROBED(&tp->inet_conn, icsk_ca_state);
	return BPF_CORE_READ_BITFIELD(&tp->inet_conn, icsk_ca_state);
}

/*
 * The timer of a retransmission clears icsk_pending before it enters TCP_CA_Loss and sends; while
 * acknowledgements are handled a timer is pending, for segments are in flight. That of a tail
 * loss probe stays pending, and is only set outside recovery.
 */
static __always_inline __u8 retrans_type_of(struct tcp_sock *tp, __u8 state, enum access how)
{
	__u8 pending = READ(how, tp, inet_conn.icsk_pending), ca = ca_state(tp, how);

	if (state == TCP_SYN_SENT)
		return RETRANS_SYN;
	if (state == TCP_SYN_RECV)
		return RETRANS_SYNACK;
	if (ca == TCP_CA_LOSS)
		return pending ? RETRANS_SLOW_START : RETRANS_RTO;
	if (ca == TCP_CA_RECOVERY)
		return RETRANS_FAST;
	return pending == ICSK_TIME_LOSS_PROBE ? RETRANS_TLP : RETRANS_UNKNOWN;
}

/* Sequence number and segments of a buffer in the queue of a socket. */
static __always_inline void buffer_read(const struct sk_buff *skb, __u32 *seq, __u16 *segs,
					enum access how)
{
	const struct tcp_skb_cb *cb = (const void *)__builtin_preserve_access_index(&skb->cb);
	const __u16 *count = (const void *)cb + bpf_core_field_offset(cb->tcp_gso_segs);

	if (how == PROBE_READ) {
		bpf_probe_read_kernel(seq, sizeof(*seq), cb);
		bpf_probe_read_kernel(segs, sizeof(*segs), count);
	} else {
		*seq = *(const __u32 *)cb;
		*segs = *count;
	}
}

static __always_inline bool retrans_wanted(const struct retrans_event *ev,
					   const struct owner *owner)
{
	if (owner_filtered() && !(owner && owner->flags & OWNER_MATCHES))
		return false;
	if (retrans_options.type_mask && !(retrans_options.type_mask & 1 << ev->why))
		return false;
	return ev->attempt >= retrans_options.min_attempt && flow_matches(&ev->flow);
}

static __always_inline void retrans_emit(struct retrans_event *ev, const struct track *track,
					 struct stats *st)
{
	const struct owner *owner = track ? &track->owner : NULL;

	if (!retrans_wanted(ev, owner)) {
		st->filtered++;
		return;
	}
	if (owner) {
		ev->cgroup = owner->cgroup;
		ev->pid = owner->pid;
		__builtin_memcpy(ev->comm, owner->comm, COMM_LEN);
	}
	if (bpf_ringbuf_output(&events, ev, sizeof(*ev), ring_wake_flags()))
		st->lost++;
}

static __always_inline void retrans_on_segment(struct sock *sk, const struct sk_buff *skb,
					       enum access how)
{
	struct retrans_event ev = {.ts = bpf_ktime_get_ns()};
	struct tcp_sock *tp = tcp_of(sk, how);
	struct stats *st = stats_here();
	struct retransmitted *known;
	__u32 seq = 0, una;
	__u16 segs = 0;

	if (!tp || !st)
		return;
	st->attempted++;
	flow_read_closing(&ev.flow, sk, how);
	buffer_read(skb, &seq, &segs, how);
	una = READ(how, tp, snd_una);
	known = retransmitted_make(sk);
	if (known && !known->begun) {
		known->begun = 1;
		/* this one is counted already */
		known->unsure = READ(how, tp, total_retrans) > segs ? READ(how, tp, snd_nxt) : una;
	}
	if (known)
		ev.attempt = attempt_of(known, seq, una);
	else if (flow_matches(&ev.flow))
		st->untracked++;
	ev.segs = segs;
	ev.state = READ(how, sk, __sk_common.skc_state);
	ev.why = retrans_type_of(tp, ev.state, how);
	ev.cookie = cookie_of(sk, how);
	ev.rto = (__u64)READ(how, tp, inet_conn.icsk_rto) * retrans_options.tick_ns;
	/* srtt_us is eight times as much */
	ev.srtt = (__u64)READ(how, tp, srtt_us) * 1000 / 8;
	ev.cwnd = READ(how, tp, snd_cwnd);
	ev.ssthresh = READ(how, tp, snd_ssthresh);
	ev.in_flight = READ(how, tp, packets_out) + READ(how, tp, retrans_out) -
		       READ(how, tp, sacked_out) - READ(how, tp, lost_out);
	retrans_emit(&ev, track_find(sk), st);
}

/* The half-open connection is a socket of another kind; its owner is the listener's. */
static __always_inline void retrans_on_synack(struct sock *listener, struct request_sock *req)
{
	struct retrans_event ev = {
		.ts = bpf_ktime_get_ns(),
		.why = RETRANS_SYNACK,
		.state = TCP_NEW_SYN_RECV,
		.segs = 1,
	};
	struct stats *st = stats_here();

	if (!st)
		return;
	st->attempted++;
	flow_read(&ev.flow, &req->__req_common, BTF_PTR);
	ev.attempt = req->num_retrans + 1;
	retrans_emit(&ev, track_find(listener), st);
}

/* connect(), listen() and close() show the owner. */
static __always_inline void retrans_on_transition(struct sock *sk, int old_state, int new_state,
						  enum access how)
{
	struct stats *st = stats_here();
	struct track *track;

	if (!st || !is_tcp(sk, how))
		return;
	track = old_state == TCP_CLOSE ? track_make(sk) : track_find(sk);
	if (track)
		owner_on_transition(track, sk, old_state, new_state, how);
}
