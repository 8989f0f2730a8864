/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* State transitions of full sockets, and their owners. */
#pragma once

#include "life/reset.bpf.h"
#include "states/options.h"
#include "lib/stats.h"
#include "lib/track.h"
#include "states/socket_summary.bpf.h"
#include "states/transition_event.bpf.h"

/* Whether a timewait socket may take over. Only a reset sets sk_err. */
static __always_inline bool may_timewait(const struct sock *sk, int old_state, int new_state,
					 enum access how)
{
	return becomes_timewait(old_state, new_state) && !READ(how, sk, sk_err);
}

/* A timewait socket has the connection: the full socket's close is no transition of it. */
static __always_inline bool handed_over(struct track *track, int new_state)
{
	if (!track || new_state != TCP_CLOSE || !(track->marks & TRACK_TIMEWAIT))
		return false;
	track->marks &= ~TRACK_TIMEWAIT;
	return true;
}

/*
 * On 6.12 and older a child has no addresses yet, and with a hash map no owner. That of an MPTCP
 * listener is a subflow or an ordinary socket. All this is known at its next transition, which
 * emits this one first.
 */
static __always_inline bool defer_transition(struct track *track, struct sock *sk, int old_state,
					     int new_state, enum access how)
{
	if (!track || !is_child(old_state, new_state))
		return false;
	if (!options.use_hash && READ(how, sk, __sk_common.skc_dport) && !is_subflow(sk, how))
		return false;
	track->marks |= TRACK_UNNAMED;
	return true;
}

/* Emits LISTEN -> SYN_RECV, which happened at since. */
static __always_inline void emit_deferred_transition(struct track *track, struct transition *tr,
						     __u64 since, struct stats *st)
{
	struct transition child = *tr;

	if (!track || !(track->marks & TRACK_UNNAMED))
		return;
	track->marks &= ~TRACK_UNNAMED;
	child.ts = since;
	child.duration = DURATION_UNKNOWN;
	child.old_state = TCP_LISTEN;
	child.new_state = TCP_SYN_RECV;
	child.flags &= STATE_MPTCP;
	child.wildcard = 0;
	transition_emit(&child, st);
}

/*
 * The kernel may skip a run of this program without counting it. Then the time of entry into the
 * old state is unknown.
 */
static __always_inline void note_gap(struct track *track, int old_state, int new_state,
				     struct stats *st)
{
	if (track->state && track->state != old_state) {
		st->unseen++;
		track->since = 0;
	}
	track->state = new_state;
}

/* How a connection ended that closes; only for events that pass the filters. */
static __always_inline void transition_ending(struct transition *tr, struct sock *sk,
					      const struct track *track, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	const struct verdict *verdict;

	verdict = tp ? verdict_of(sk, tp, track, tr->old_state, how) : NULL;
	if (verdict)
		tr->ending = verdict->ending;
}

static __always_inline void transition_tell(struct transition *tr, struct sock *sk,
					    const struct track *track, struct stats *st,
					    enum access how)
{
	bool closes = tr->new_state == TCP_CLOSE && tr->old_state != TCP_LISTEN;

	if (!transition_passes(tr, st))
		return;
	if (closes)
		transition_ending(tr, sk, track, how);
	if (transition_send(tr, st) && closes)
		reset_await(&tr->ending, tr->ts);
}

static __always_inline void states_on_transition(struct sock *sk, int old_state, int new_state,
						 enum access how)
{
	__u64 now = bpf_ktime_get_ns(), duration = DURATION_UNKNOWN, since = 0;
	struct stats *st = stats_here();
	struct transition tr = {};
	struct track *track;
	struct flow flow;

	if (!st || !is_tcp(sk, how))
		return;
	if (new_state == TCP_CLOSE)
		reset_skip(sk);
	track = track_make(sk);
	if (track) {
		note_gap(track, old_state, new_state, st);
		/* a child is a copy of its listener: the time in LISTEN is the listener's */
		if (track->since && !is_child(old_state, new_state))
			duration = now - track->since;
		since = track->since;
		track->since = now;
		if (new_state == TCP_SYN_SENT)
			reset_forget(track);
		owner_on_transition(track, sk, old_state, new_state, how);
	}
	if (handed_over(track, new_state) || defer_transition(track, sk, old_state, new_state, how))
		return;

	if (!states_options.events && track && !becomes_timewait(old_state, new_state))
		return;
	flow_read_tracked(&flow, sk, track, how);
	if (!track && flow_matches(&flow))
		st->untracked++;
	if (!states_options.events) {
		if (track && becomes_timewait(old_state, new_state))
			remember_closer(&flow, &track->owner, now);
		return;
	}
	tr.flow = &flow;
	tr.owner = track ? &track->owner : NULL;
	tr.ts = now;
	tr.duration = duration;
	tr.cookie = cookie_of(sk, how);
	if (new_state == TCP_LISTEN || (old_state == TCP_LISTEN && new_state == TCP_CLOSE))
		tr.wildcard = wildcard_families(flow.laddr, is_v6only(&sk->__sk_common, how));
	tr.old_state = old_state;
	tr.new_state = new_state;
	if (states_options.mark_closing && may_timewait(sk, old_state, new_state, how))
		tr.flags = STATE_MAY_TIMEWAIT;
	if (is_subflow(sk, how))
		tr.flags |= STATE_MPTCP;
	emit_deferred_transition(track, &tr, since, st);
	transition_tell(&tr, sk, track, st, how);
}

/* A reset is sent, for a segment or (active) without. */
static __always_inline void states_on_reset(struct sock *sk, bool active, enum access how)
{
	struct stats *st = stats_here();
	struct state_event ev = {.flags = STATE_RESET};

	if (!st)
		return;
	ev.duration = reset_sent(&ev.ending, sk, active, how);
	if (!ev.duration)
		return;
	ev.ts = bpf_ktime_get_ns();
	/* part of an event that is counted already */
	if (bpf_ringbuf_output(&events, &ev, sizeof(ev), ring_wake_flags())) {
		st->attempted++;
		st->lost++;
	}
}

/* The current process sends or receives. */
static __always_inline void states_on_use(struct sock *sk, enum access how)
{
	struct track *track;

	if (is_mptcp(sk, how)) {
		mptcp_use(sk, how);
		return;
	}
	if (!is_tcp(sk, how))
		return;
	track = track_find(sk);
	if (track)
		owner_on_use(track, sk, how);
}
