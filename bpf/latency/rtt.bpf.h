/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The kernel's samples of the round trip, calculated back from its estimator. */
#pragma once

#include "latency/exchange.bpf.h"

/*
 * The estimator moves srtt (in 1/8 us) by the sample less the old mean, so the sample follows
 * from two successive values. A sample that equals the mean moves nothing, but an ACK of data
 * that were not retransmitted always gives one. There is at most one per segment.
 * A peer may delay an ACK until it has data to send with it (40 ms at most on Linux): samples whose
 * ACK came with data have rx_bytes, and are counted. net/ipv4/tcp_input.c: tcp_rtt_estimator(),
 * tcp_clean_rtx_queue()
 */
static __always_inline void rtt_sample(struct batch *batch, struct exchange *ex,
				       struct tcp_sock *tp, enum access how)
{
	__u32 srtt, mdev, una, before = ex->srtt, sample;
	/* of the segment that brought the sample: the one before this */
	bool moved, equal, data = ex->flags & EXCHANGE_DATA;

	if (!measures(LATENCY_RTT))
		return;
	srtt = READ(how, tp, srtt_us);
	mdev = READ(how, tp, mdev_us);
	una = READ(how, tp, snd_una);
	moved = srtt != before || mdev != ex->mdev;
	equal = una != ex->una && ex->flags & EXCHANGE_CLEAN;
	ex->srtt = srtt;
	ex->mdev = mdev;
	ex->una = una;
	ex->flags &= ~EXCHANGE_CLEAN;
	if (!READ(how, tp, retrans_out) && !READ(how, tp, lost_out))
		ex->flags |= EXCHANGE_CLEAN;
	if (!srtt || (!moved && !equal))
		return;
	sample = before ? srtt - before + (before >> 3) : srtt >> 3;
	exchange_measured(batch, ex, LATENCY_RTT, (__u64)sample * 1000, 0, data, 0);
}
