/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Segments that are sent again: of which socket, why, and how often. */
#pragma once

#include "lib/buffer.h"
#include "lib/forget.h"
#include "retrans/attempt.bpf.h"
#include "retrans/event.bpf.h"
#include "retrans/needless.bpf.h"
#include "retrans/sent.bpf.h"

/* Of the first retransmit that is seen all else begins; this one is counted already. */
static __always_inline void retransmitted_begin(struct retransmitted *known, struct tcp_sock *tp,
						__u16 segs, enum access how)
{
	known->begun = 1;
	known->unsure = READ(how, tp, total_retrans) > segs ? READ(how, tp, snd_nxt)
							    : READ(how, tp, snd_una);
	known->dsack = dsack_of(tp, how);
	known->marker = READ(how, tp, undo_marker);
}

static __always_inline void retrans_on_segment(struct sock *sk, const struct sk_buff *skb,
					       enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	struct stats *st = stats_here();
	struct retrans_event ev = {};
	struct retransmitted *known;
	__u32 seq = 0, needless = 0;
	struct track *track;
	__u16 segs = 0;

	if (!tp || !st)
		return;
	st->attempted++;
	track = track_find(sk);
	socket_read(&ev, sk, tp, how);
	buffer_read(skb, &seq, &segs, how);
	ev.segs = segs;
	ev.why = retrans_type_of(tp, ev.state, how);
	forget(&ev, sizeof(ev));
	known = retransmitted_make(sk);
	if (known && !known->begun)
		retransmitted_begin(known, tp, segs, how);
	if (known) {
		ev.attempt = attempt_of(known, seq, READ(how, tp, snd_una));
		/* what belongs to a recovery before this one */
		needless = needless_of(known, tp, how);
		known->segs += segs;
		known->episode += segs;
	} else if (flow_matches(&ev.flow)) {
		st->untracked++;
	}
	retrans_emit(&ev, track, st);
	/* last: the verifier follows each branch to the end */
	if (needless)
		needless_emit(&ev, needless, track, st);
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

/*
 * The window that the peer offers leaves no room for the next segment, or that is sent instead
 * (tcp_write_wakeup).
 */
static __always_inline void retrans_on_probe(struct sock *sk, enum access how)
{
	struct tcp_sock *tp = how == BTF_PTR ? bpf_skc_to_tcp_sock(sk) : (struct tcp_sock *)sk;
	struct stats *st = stats_here();
	struct retrans_event ev = {};
	__u32 next;

	if (!tp || !st)
		return;
	next = READ(how, tp, snd_nxt);
	if (before(next, READ(how, tp, snd_una) + READ(how, tp, snd_wnd)))
		return;
	st->attempted++;
	socket_read(&ev, sk, tp, how);
	ev.why = RETRANS_PROBE;
	ev.segs = 1;
	ev.attempt = READ(how, tp, inet_conn.icsk_probes_out) + 1;
	retrans_emit(&ev, track_find(sk), st);
}

/* Whether the kernel has found out meanwhile that retransmits of a socket were needless. */
static __always_inline void retrans_check(struct sock *sk, struct tcp_sock *tp, struct stats *st,
					  enum access how)
{
	struct retransmitted *known = retransmitted_find(sk);
	struct retrans_event ev = {};
	__u32 needless;

	needless = known && known->begun ? needless_of(known, tp, how) : 0;
	if (!needless)
		return;
	socket_read(&ev, sk, tp, how);
	needless_emit(&ev, needless, track_find(sk), st);
}

static __always_inline void retrans_on_close(struct sock *sk, struct stats *st, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);

	if (tp)
		retrans_check(sk, tp, st, how);
}

static __always_inline void retrans_on_visit(struct sock *sk, struct tcp_sock *tp)
{
	struct stats *st = stats_here();

	if (!st)
		return;
	retrans_check(sk, tp, st, BTF_PTR);
	if (retrans_options.summary)
		sent_on_visit(sk, tp, st);
}

static __always_inline void retrans_on_destroy(struct sock *sk, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	struct stats *st = stats_here();

	if (tp && st && retrans_options.summary)
		sent_on_destroy(sk, tp, st, how);
}

/* connect(), listen() and close() show the owner. */
static __always_inline void retrans_on_transition(struct sock *sk, int old_state, int new_state,
						  enum access how)
{
	struct stats *st = stats_here();
	struct track *track;

	if (!st || !is_tcp(sk, how))
		return;
	if (old_state == TCP_CLOSE || (retrans_options.summary && old_state == TCP_SYN_RECV))
		track = track_make(sk);
	else
		track = track_find(sk);
	if (track)
		owner_on_transition(track, sk, old_state, new_state, how);
	/* before anything of the socket is cleared */
	if (new_state == TCP_CLOSE)
		retrans_on_close(sk, st, how);
	if (track && retrans_options.summary)
		sent_on_transition(track, sk, old_state, new_state, st, how);
}
