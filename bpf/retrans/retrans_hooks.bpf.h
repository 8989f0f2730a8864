/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "retransmit". */
#pragma once

#include "retrans/retrans.bpf.h"

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(segment_again_tracepoint, struct sock *sk, struct sk_buff *skb)
{
	retrans_on_segment(sk, skb, BTF_PTR);
	return 0;
}

SEC("raw_tp/tcp_retransmit_skb")
int BPF_PROG(segment_again_raw_tracepoint, struct sock *sk, struct sk_buff *skb)
{
	retrans_on_segment(sk, skb, PROBE_READ);
	return 0;
}
