/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Connects that failed, and connections that the other side, the path or the kernel has ended while
 * they waited for an answer or were idle. A sample: as many as find room until user space looks
 * again; all are counted elsewhere.
 */
#pragma once

#include "lib/track.h"
#include "life/counts.bpf.h"
#include "life/ending.bpf.h"

#define CUTS_BYTES (1 << 17)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, CUTS_BYTES);
} cuts SEC(".maps");

/* Connections in use end for many reasons. */
#define CUT_IDLE 1000000000ULL

/* A client waits for answers; after the last one it closes, and its server was the last to send. */
static __always_inline bool is_client(const struct sock *sk, struct tcp_sock *tp, enum access how)
{
	return sport_of(tp, how) > bpf_ntohs(READ(how, sk, __sk_common.skc_dport));
}

static __always_inline bool is_cut(const struct ending *ending)
{
	return ending->end == LIFE_RESET || ending->end == LIFE_CLOSED_PEER ||
	       ending->end == LIFE_TIMEOUT_DATA || ending->end == LIFE_TIMEOUT_KEEPALIVE ||
	       ending->end == LIFE_TIMEOUT_USER;
}

static __always_inline bool is_failed_connect(const struct verdict *verdict)
{
	return verdict->sock.state == TCP_SYN_SENT && verdict->ending.error;
}

/* A client that tries again and again must not take the room of the others. */
static __always_inline bool has_room_for_failed(void)
{
	return bpf_ringbuf_query(&cuts, BPF_RB_AVAIL_DATA) < CUTS_BYTES / 2;
}

/* Not in use: it waits for an answer, or was idle. */
static __always_inline bool is_cut_off(struct sock *sk, struct tcp_sock *tp,
				       const struct verdict *verdict, enum access how)
{
	bool done = verdict->sock.flags & SOCK_DONE;
	__u8 state = verdict->sock.state;
	struct last_use last;

	if (!is_cut(&verdict->ending) || state == TCP_SYN_RECV)
		return false;
	last = last_use_of(tp, how);
	if (unused_for(&last) >= CUT_IDLE)
		return true;
	return is_client(sk, tp, how) &&
	       is_waiting(&last, bytes_handed(tp, state, how), bytes_taken(tp, done, how));
}

/* Its events are never part of the sums of attempted ones. */
static __always_inline void cut_send(struct sock *sk, struct tcp_sock *tp,
				     const struct verdict *verdict, const struct track *track,
				     enum access how)
{
	bool done = verdict->sock.flags & SOCK_DONE;
	struct life_event *ev;

	if (!(is_failed_connect(verdict) && has_room_for_failed()) &&
	    !is_cut_off(sk, tp, verdict, how))
		return;
	ev = bpf_ringbuf_reserve(&cuts, sizeof(*ev), 0);
	if (!ev)
		return;
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->ts = bpf_ktime_get_ns();
	ev->kind = LIFE_ENDED;
	ev->state = verdict->sock.state;
	ev->opened = DURATION_UNKNOWN;
	ev->life = track && track->opened ? ev->ts - track->opened : DURATION_UNKNOWN;
	flow_read_closing(&ev->flow, sk, how);
	life_count(ev, tp, done, how);
	ev->ending = verdict->ending;
	if (track) {
		ev->cgroup = track->owner.cgroup;
		ev->pid = track->owner.pid;
		__builtin_memcpy(ev->comm, track->owner.comm, COMM_LEN);
	}
	bpf_ringbuf_submit(ev, BPF_RB_NO_WAKEUP);
}
