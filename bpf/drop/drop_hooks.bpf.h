/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "drop": the kernel frees a buffer that was not delivered. */
#pragma once

#include "drop/drop.bpf.h"
#include "lib/compat.h"

/*
 * Newer kernels pass the reason (5.17) and the socket of a received segment (6.11). Volatile: the
 * arguments are not there on older ones, whose verifier must not see them read.
 */
static __always_inline __u32 reason_of(const unsigned long long *ctx)
{
	return passes_reason() ? *(const volatile unsigned long long *)&ctx[2] : 0;
}

static __always_inline const struct sock *rx_sk_of(const unsigned long long *ctx)
{
	if (!passes_socket())
		return NULL;
	return (const struct sock *)*(const volatile unsigned long long *)&ctx[3];
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(drop_tracepoint, struct sk_buff *skb, void *location)
{
	drop_on_free(skb, (__u64)location, reason_of(ctx), rx_sk_of(ctx), BTF_PTR);
	return 0;
}

SEC("raw_tp/kfree_skb")
int BPF_PROG(drop_raw_tracepoint, struct sk_buff *skb, void *location)
{
	drop_on_free(skb, (__u64)location, reason_of(ctx), rx_sk_of(ctx), PROBE_READ);
	return 0;
}
