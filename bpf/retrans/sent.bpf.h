/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Segments that sockets send, for the summary: read from the kernel's own count as a socket closes,
 * and by an iterator of the others, so that no program runs when one is sent. As TcpOutSegs, that
 * is without those sent again; but SYN-ACKs count once their connection is established, and what
 * belongs to no socket (resets of closed ports, acknowledgements in TIME_WAIT) does not.
 */
#pragma once

#include "count/count.bpf.h"
#include "retrans/options.h"

static __always_inline void sent_begin(struct track *track, __u32 sent)
{
	track->sent = sent;
	track->marks |= TRACK_SENT;
}

static __always_inline void sent_take(struct track *track, struct sock *sk, struct tcp_sock *tp,
				      struct stats *st, enum access how)
{
	__u32 sent = READ(how, tp, segs_out) - READ(how, tp, total_retrans), grown;
	struct count_value *value;
	struct flow flow = {};

	/* older than the tool */
	if (!(track->marks & TRACK_SENT)) {
		sent_begin(track, sent);
		return;
	}
	grown = sent - track->sent;
	/* disconnect() sets the kernel's count to 0 */
	if ((__s32)grown <= 0)
		return;
	track->sent = sent;
	flow_read_closing(&flow, sk, how);
	if ((owner_filtered() && !(track->owner.flags & OWNER_MATCHES)) || !flow_matches(&flow))
		return;
	value = value_for(&flow, &track->owner, st);
	/* an interrupt may come to the same counter */
	if (value)
		__sync_fetch_and_add(&value->out_segs, grown);
}

/* The listener sent the SYN-ACK of a child; its retransmits are in total_retrans alone. */
static __always_inline void sent_on_transition(struct track *track, struct sock *sk, int old_state,
					       int new_state, struct stats *st, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);

	if (!tp)
		return;
	if (new_state == TCP_LISTEN)
		track->marks &= ~TRACK_SENT; /* its children begin with a copy */
	else if (new_state == TCP_SYN_SENT)
		sent_begin(track, READ(how, tp, segs_out) - READ(how, tp, total_retrans));
	else if (old_state == TCP_SYN_RECV && !(track->marks & TRACK_SENT))
		sent_begin(track, -1 - READ(how, tp, total_retrans));
	if (new_state == TCP_CLOSE && track->marks & TRACK_SENT)
		sent_take(track, sk, tp, st, how);
}

static __always_inline void sent_on_destroy(struct sock *sk, struct tcp_sock *tp, struct stats *st,
					    enum access how)
{
	struct track *track = track_find(sk);

	if (track && track->marks & TRACK_SENT)
		sent_take(track, sk, tp, st, how);
}

/* Children of listeners count from the end of their handshake. */
static __always_inline void sent_on_visit(struct sock *sk, struct tcp_sock *tp, struct stats *st)
{
	__u8 state = sk->__sk_common.skc_state;
	struct track *track;

	if (state == TCP_LISTEN)
		return;
	track = track_make(sk);
	if (!track)
		st->untracked++;
	else if (state != TCP_SYN_RECV || track->marks & TRACK_SENT)
		sent_take(track, sk, tp, st, BTF_PTR);
}
