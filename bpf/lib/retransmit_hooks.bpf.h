/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "retransmit". */
#pragma once

#include "lib/mem_access.h"

/* Each object defines what it does there. */
static __always_inline void on_retransmit(struct sock *sk, const struct sk_buff *skb,
					  enum access how);

/*
 * Newer kernels also report attempts that sent nothing, mostly for the segment was still in a
 * queue of this host, and pass the error. Volatile: the argument is not there on older ones.
 */
static __always_inline bool not_sent(const unsigned long long *ctx)
{
	return bpf_core_field_exists(struct trace_event_raw_tcp_retransmit_skb, err) &&
	       (int)*(const volatile unsigned long long *)&ctx[2] < 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(segment_again_tracepoint, struct sock *sk, struct sk_buff *skb)
{
	if (!not_sent(ctx))
		on_retransmit(sk, skb, BTF_PTR);
	return 0;
}

SEC("raw_tp/tcp_retransmit_skb")
int BPF_PROG(segment_again_raw_tracepoint, struct sock *sk, struct sk_buff *skb)
{
	if (!not_sent(ctx))
		on_retransmit(sk, skb, PROBE_READ);
	return 0;
}
