/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Resets that a socket sends, as far as they explain its end: before it closes, or next on the same
 * CPU. What follows the end is sent to user space, which joins both.
 */
#pragma once

#include "life/ending.bpf.h"

/* The last end that a reset may explain. */
struct awaited {
	__u64 sk;
	__u64 ts;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct awaited);
} awaited SEC(".maps");

static __always_inline struct awaited *awaited_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&awaited, &zero);
}

/* A connection ends whose socket may have the address of one that still awaits its reset. */
static __always_inline void reset_skip(struct sock *sk)
{
	struct awaited *last = awaited_here();

	if (last && last->sk == (__u64)sk)
		last->sk = 0;
}

/* Its end has been sent to user space, at ts. */
static __always_inline void reset_await(const struct ending *end, __u64 ts)
{
	struct awaited *last = awaited_here();

	/* no other end: the peer may close before our reset is seen */
	if (!last || !(end->if_reply || end->if_abort))
		return;
	last->sk = end->sk;
	last->ts = ts;
}

/* The socket's next connection begins. */
static __always_inline void reset_forget(struct track *track)
{
	if (track)
		track->marks &= ~TRACK_RESET;
}

/*
 * A reset is sent, for a segment or (active) without. Returns the time of the end that it explains,
 * and how; or 0.
 */
static __always_inline __u64 reset_sent(struct ending *end, struct sock *sk, bool active,
					enum access how)
{
	__u8 state = READ(how, sk, __sk_common.skc_state);
	struct awaited *last;
	struct track *track;

	/* sockets of other kinds, and those that have no connection of their own */
	if (state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV || state == TCP_LISTEN ||
	    !is_tcp(sk, how))
		return 0;
	if (state != TCP_CLOSE) {
		track = track_make(sk);
		if (track)
			track->marks |= TRACK_RESET;
		return 0;
	}
	last = awaited_here();
	if (!last || last->sk != (__u64)sk)
		return 0;
	last->sk = 0;
	end->sk = (__u64)sk;
	end->flags = active ? ENDING_ACTIVE : 0;
	return last->ts;
}
