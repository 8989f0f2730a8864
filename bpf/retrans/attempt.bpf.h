/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How often a segment has been sent again. */
#pragma once

#include "lib/per_socket.h"
#include "lib/sock.h"

/* Only those that retransmit have one. */
PER_SOCKET(retransmitted, retransmitted, 0)

/* Sequence numbers wrap. */
static __always_inline bool before(__u32 seq, __u32 than)
{
	return (__s32)(seq - than) < 0;
}

/*
 * The kernel marks a segment that was ever sent again, without a count. 0: not known, for it was
 * sent again before the tool started, or there are too many such segments at a time.
 */
SUBPROG __u32 attempt_of(struct retransmitted *known, __u32 seq, __u32 una)
{
	struct retrans_segment *one;
	__u32 room = RETRANS_SEGMENTS;

	for (__u32 i = 0; i < RETRANS_SEGMENTS; i++) {
		one = &known->segments[i];
		if (one->times && one->seq == seq)
			return ++one->times;
		if (!one->times || before(one->seq, una))
			room = i;
	}
	if (before(known->unsure, una))
		known->unsure = una;
	if (before(seq, known->unsure))
		return 0;
	if (room >= RETRANS_SEGMENTS) {
		known->unsure = seq + 1;
		return 0;
	}
	one = &known->segments[room];
	one->seq = seq;
	one->times = 1;
	return 1;
}
