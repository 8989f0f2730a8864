/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* One state transition of one socket, filtered and sent to user space. */
#pragma once

#include "states/options.h"
#include "lib/filter.h"
#include "lib/options.h"
#include "lib/ring.h"
#include "wire.h"

struct transition {
	const struct flow *flow;
	const struct owner *owner; /* NULL: not known */
	__u64 ts;
	__u64 duration; /* in the old state; DURATION_UNKNOWN */
	__u64 cookie;
	struct ending ending;
	__u32 wildcard; /* of a listener: wildcard_families() */
	__u8 old_state;
	__u8 new_state;
	__u8 flags;
	__u8 end_cause;
};

static __always_inline bool mask_has(__u32 mask, __u32 states)
{
	return !mask || mask & states;
}

/*
 * Of a marked transition user space finds out the new state and the duration, and filters it; it
 * also needs it for the end of TIME_WAIT.
 */
static __always_inline bool transition_wanted(const struct transition *tr)
{
	__u32 from = 1 << tr->old_state, to = 1 << tr->new_state;
	bool marked = tr->flags & STATE_MAY_TIMEWAIT;

	if (owner_filtered() && !(tr->owner && tr->owner->flags & OWNER_MATCHES))
		return false;
	if (marked) {
		from |= 1 << TCP_TIME_WAIT;
		to |= 1 << TCP_TIME_WAIT;
	}
	if (!mask_has(states_options.state_mask, from | to) ||
	    !mask_has(states_options.from_mask, from) || !mask_has(states_options.to_mask, to))
		return false;
	/* an unknown duration is not known to be slower */
	if (states_options.slower && !marked &&
	    (tr->duration == DURATION_UNKNOWN || tr->duration < states_options.slower))
		return false;
	return true;
}

/* False: lost. */
static __always_inline bool transition_send(const struct transition *tr, struct stats *st)
{
	struct state_event *ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);

	if (!ev) {
		st->lost++;
		return false;
	}
	ev->ts = tr->ts;
	ev->duration = tr->duration;
	ev->cookie = tr->cookie;
	ev->flow = *tr->flow;
	ev->ending = tr->ending;
	ev->old_state = tr->old_state;
	ev->new_state = tr->new_state;
	ev->flags = tr->flags;
	ev->end_cause = tr->end_cause;
	if (tr->owner) {
		ev->cgroup = tr->owner->cgroup;
		ev->pid = tr->owner->pid;
		__builtin_memcpy(ev->comm, tr->owner->comm, COMM_LEN);
	} else {
		ev->cgroup = 0;
		ev->pid = 0;
		__builtin_memset(ev->comm, 0, COMM_LEN);
	}
	bpf_ringbuf_submit(ev, wake_flags_of_many(&events, st->attempted - st->filtered));
	return true;
}

/* Counts it; false: a filter keeps it out. */
static __always_inline bool transition_passes(const struct transition *tr, struct stats *st)
{
	bool passes = ends_match(tr->flow, tr->wildcard) && transition_wanted(tr);

	st->attempted++;
	if (!passes)
		st->filtered++;
	return passes;
}

static __always_inline void transition_emit(const struct transition *tr, struct stats *st)
{
	if (transition_passes(tr, st))
		transition_send(tr, st);
}
