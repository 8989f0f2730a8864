/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* New payload of a segment. */
#pragma once

#include "lib/mem_access.h"

/*
 * Bytes of payload, 0 if none of it is new: a keep-alive, a probe, a needless retransmit. skb->len
 * includes the header here, a multiple of 4: the rest modulo 4 shows whether the last sequence
 * number is a FIN's.
 */
static __always_inline __u32 new_payload(struct tcp_sock *tp, const struct sk_buff *skb,
					 enum access how)
{
	__u32 seqs[2], span, rcv_nxt, end;

	if (how == PROBE_READ) {
		BPF_CORE_READ_INTO(&seqs, skb, cb);
	} else {
		const __u32 *cb = (const __u32 *)__builtin_preserve_access_index(&skb->cb);

		/* struct tcp_skb_cb begins with seq and end_seq */
		seqs[0] = cb[0];
		seqs[1] = cb[1];
	}
	span = seqs[1] - seqs[0];
	if ((span ^ READ(how, skb, len)) & 3)
		span--;
	if (!span)
		return 0;
	rcv_nxt = READ(how, tp, rcv_nxt);
	end = READ(how, tp, rcv_wup) + READ(how, tp, rcv_wnd);
	if ((__s32)(seqs[0] + span - rcv_nxt) <= 0 || (__s32)(seqs[0] - end) >= 0)
		return 0;
	return span;
}
