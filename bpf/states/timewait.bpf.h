/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * TIME_WAIT as it begins and ends. The full socket hands its connection to a timewait
 * socket, a smaller one, and closes: for the state tracepoint FIN_WAIT2 -> CLOSE, for the
 * connection FIN_WAIT2 -> TIME_WAIT. An orphan, a socket without a process, is replaced while it
 * is still in FIN_WAIT2; its tw_substate changes later.
 */
#pragma once

#include "states/options.h"
#include "lib/stats.h"
#include "lib/track.h"
#include "states/transition_event.bpf.h"

struct timewait {
	struct owner owner;
	__u64 since; /* in its substate; 0 = not seen */
	__u64 cookie;
	__u32 substate;
	__u32 flags; /* STATE_MPTCP */
};

/*
 * By address of the timewait socket; removed with it by timewait_on_end(). If there are more
 * than entries, the oldest lose owner and duration, but no transition is lost.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct timewait);
} timewaits SEC(".maps");

/* What this CPU does to a timewait socket: it may be about to end it. */
struct timewait_ctx {
	__u64 seen;	  /* the socket that met a segment, or a connect() that wants its ports */
	__u64 ending;	  /* the socket that is taken down before its time */
	__u32 seen_cause; /* enum end_cause */
	__u32 ending_cause;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct timewait_ctx);
} timewait_ctxs SEC(".maps");

static __always_inline struct timewait_ctx *timewait_ctx_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&timewait_ctxs, &zero);
}

/* How a connection ended whose socket tcp_time_wait() replaces in this state. */
static __always_inline __u8 ended_with(__u8 state)
{
	return state == TCP_CLOSING ? LIFE_CLOSED_BOTH : LIFE_CLOSED_US;
}

/* inet_twsk_hashdance: tw takes the place of sk, which is about to close. */
static __always_inline void timewait_on_begin(struct inet_timewait_sock *tw, struct sock *sk,
					      enum access how)
{
	__u64 now = bpf_ktime_get_ns(), address = (__u64)tw;
	struct track *track = track_find(sk);
	struct stats *st = stats_here();
	struct timewait begun = {};
	struct flow flow;
	struct transition tr = {
		.flow = &flow,
		.ts = now,
		.duration = DURATION_UNKNOWN,
		.cookie = cookie_of(sk, how),
		.old_state = READ(how, sk, __sk_common.skc_state),
		.new_state = READ(how, tw, tw_substate),
		.flags = is_subflow(sk, how) ? STATE_MPTCP : 0,
	};

	if (!st)
		return;
	flow_read_closing(&flow, sk, how);
	if (track) {
		if (track->since)
			tr.duration = now - track->since;
		tr.owner = &track->owner;
		begun.owner = track->owner;
		begun.since = track->since;
		track->marks |= TRACK_TIMEWAIT;
	}
	tr.ending.end = ended_with(tr.old_state);
	begun.cookie = tr.cookie;
	begun.substate = tr.new_state;
	begun.flags = tr.flags;
	if (tr.new_state == TCP_TIME_WAIT)
		begun.since = now;
	bpf_map_update_elem(&timewaits, &address, &begun, BPF_ANY);
	if (tr.new_state != tr.old_state)
		transition_emit(&tr, st);
}

/* __inet_twsk_schedule: an orphan has got the peer's FIN, or the timer is only restarted. */
static __always_inline void timewait_on_reschedule(struct inet_timewait_sock *tw, enum access how)
{
	__u64 now = bpf_ktime_get_ns(), address = (__u64)tw;
	struct timewait *known = bpf_map_lookup_elem(&timewaits, &address);
	struct stats *st = stats_here();
	struct flow flow;
	struct transition tr = {
		.flow = &flow,
		.ts = now,
		.duration = DURATION_UNKNOWN,
		.old_state = TCP_FIN_WAIT2,
		.new_state = TCP_TIME_WAIT,
		.ending.end = LIFE_CLOSED_US,
	};

	if (!st || !known || known->substate != TCP_FIN_WAIT2 ||
	    READ(how, tw, tw_substate) != TCP_TIME_WAIT)
		return;
	flow_read(&flow, &tw->__tw_common, how);
	if (known->since)
		tr.duration = now - known->since;
	tr.owner = &known->owner;
	tr.cookie = known->cookie;
	tr.flags = known->flags;
	known->substate = TCP_TIME_WAIT;
	known->since = now;
	transition_emit(&tr, st);
}

static __always_inline __u8 timewait_end_cause(__u64 address)
{
	struct timewait_ctx *ctx = timewait_ctx_here();
	__u8 cause = END_EXPIRED;

	if (!states_options.know_end_cause || !ctx)
		return END_UNKNOWN;
	if (ctx->ending == address)
		cause = ctx->ending_cause;
	ctx->ending = 0;
	return cause;
}

/* inet_twsk_kill: tw is gone. */
static __always_inline void timewait_on_end(struct inet_timewait_sock *tw, enum access how)
{
	__u64 now = bpf_ktime_get_ns(), address = (__u64)tw;
	struct timewait *known = bpf_map_lookup_elem(&timewaits, &address);
	struct stats *st = stats_here();
	struct flow flow;
	struct transition tr = {
		.flow = &flow,
		.ts = now,
		.duration = DURATION_UNKNOWN,
		.old_state = READ(how, tw, tw_substate),
		.new_state = TCP_CLOSE,
		.end_cause = timewait_end_cause(address),
	};

	if (!st)
		return;
	if (tr.old_state == TCP_FIN_WAIT2)
		tr.ending.end = LIFE_CLOSED_US;
	flow_read(&flow, &tw->__tw_common, how);
	if (known) {
		if (known->since)
			tr.duration = now - known->since;
		tr.owner = &known->owner;
		tr.cookie = known->cookie;
		tr.flags = known->flags;
	}
	transition_emit(&tr, st);
	bpf_map_delete_elem(&timewaits, &address);
}

static __always_inline void timewait_note(const void *tw, enum end_cause cause)
{
	struct timewait_ctx *ctx = timewait_ctx_here();

	if (!ctx)
		return;
	ctx->seen = (__u64)tw;
	ctx->seen_cause = cause;
}

/* tcp_timewait_state_process: a segment that may end it, if it is acceptable. */
static __always_inline void timewait_on_segment(const struct inet_timewait_sock *tw,
						const struct tcphdr *th, enum access how)
{
	bool rst = how == PROBE_READ ? BPF_CORE_READ_BITFIELD_PROBED(th, rst)
				     : BPF_CORE_READ_BITFIELD(th, rst);
	bool syn = how == PROBE_READ ? BPF_CORE_READ_BITFIELD_PROBED(th, syn)
				     : BPF_CORE_READ_BITFIELD(th, syn);

	if (rst)
		timewait_note(tw, END_RESET);
	else if (syn)
		timewait_note(tw, END_REUSED_SYN);
	else if (READ(how, tw, tw_substate) == TCP_FIN_WAIT2)
		timewait_note(tw, END_RESET); /* data for a closed socket */
	else
		timewait_note(NULL, END_UNKNOWN);
}

/* inet_twsk_deschedule_put: the end before its time. */
static __always_inline void timewait_on_deschedule(const struct inet_timewait_sock *tw)
{
	struct timewait_ctx *ctx = timewait_ctx_here();

	if (!ctx)
		return;
	ctx->ending = (__u64)tw;
	ctx->ending_cause = ctx->seen == (__u64)tw ? ctx->seen_cause : END_UNKNOWN;
	ctx->seen = 0;
}
