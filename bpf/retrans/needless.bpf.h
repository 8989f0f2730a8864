/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Retransmits that turn out to be needless. The kernel finds out in two ways: the peer reports
 * data that came twice (D-SACK), or an acknowledgement shows that the original had arrived
 * (Eifel, F-RTO), and the kernel undoes what the recovery did to the congestion window.
 */
#pragma once

#include "lib/sock.h"

/* Segments that the peer has had twice. */
static __always_inline __u32 dsack_of(struct tcp_sock *tp, enum access how)
{
	return bpf_core_field_exists(tp->dsack_dups) ? READ(how, tp, dsack_dups) : 0;
}

/*
 * A recovery sets the marker; it stays after its end, until it is undone or the next one begins.
 * Two that end it for other reasons (a smaller MTU, ECN) also forget the threshold before.
 */
static __always_inline bool undone(const struct retransmitted *known, __u32 marker,
				   struct tcp_sock *tp, enum access how)
{
	return known->marker && !marker && READ(how, tp, prior_ssthresh);
}

/*
 * Segments that were needless and not reported as such. A segment may be in both counts, so the
 * greater one is right where the peer reports them all, or none.
 */
static __always_inline __u32 needless_of(struct retransmitted *known, struct tcp_sock *tp,
					 enum access how)
{
	__u32 marker = READ(how, tp, undo_marker), all, fresh;

	if (undone(known, marker, tp, how))
		known->undone += known->episode;
	if (known->marker != marker) {
		known->marker = marker;
		known->episode = 0;
	}
	all = dsack_of(tp, how) - known->dsack;
	/* disconnect() sets it to 0 */
	if ((__s32)all < 0)
		all = 0;
	if (all < known->undone)
		all = known->undone;
	/* the network may double segments, too */
	if (all > known->segs)
		all = known->segs;
	if (all <= known->spurious)
		return 0;
	fresh = all - known->spurious;
	known->spurious = all;
	return fresh;
}
