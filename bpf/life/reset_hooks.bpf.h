/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Attach points of the hook "reset": a reset is about to be sent. Newer kernels also report those
 * without a socket.
 */
#pragma once

#include "lib/mem_access.h"

/* Each object defines what it does there; active: for no segment. */
static __always_inline void on_reset(struct sock *sk, bool active, enum access how);

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(reset_tracepoint, struct sock *sk, struct sk_buff *skb)
{
	if (sk)
		on_reset(sk, !skb, BTF_PTR);
	return 0;
}

SEC("raw_tp/tcp_send_reset")
int BPF_PROG(reset_raw_tracepoint, struct sock *sk, struct sk_buff *skb)
{
	if (sk)
		on_reset(sk, !skb, PROBE_READ);
	return 0;
}
