/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What TCP notes of a buffer in the queue of a socket. */
#pragma once

#include "lib/mem_access.h"

/* Its sequence number, and of how many segments it is. */
static __always_inline void buffer_read(const struct sk_buff *skb, __u32 *seq, __u16 *segs,
					enum access how)
{
	const struct tcp_skb_cb *cb = (const void *)__builtin_preserve_access_index(&skb->cb);
	const __u16 *count = (const void *)cb + bpf_core_field_offset(cb->tcp_gso_segs);

	if (how == PROBE_READ) {
		bpf_probe_read_kernel(seq, sizeof(*seq), cb);
		bpf_probe_read_kernel(segs, sizeof(*segs), count);
	} else {
		*seq = *(const __u32 *)cb;
		*segs = *count;
	}
}
