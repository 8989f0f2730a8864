/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "segment": a segment has reached its socket. */
#pragma once

#include "lib/mem_access.h"

/* Each object defines what it does in tcp_v4_do_rcv() and tcp_v6_do_rcv(), in any state ... */
static __always_inline void on_segment(struct sock *sk, const struct sk_buff *skb, enum access how);

/* ... and at tcp_probe, which the kernel reaches only in ESTABLISHED. */
static __always_inline void on_tcp_probe(struct sock *sk, const struct sk_buff *skb);

SEC("fentry/tcp_v4_do_rcv")
int BPF_PROG(segment_v4_fentry, struct sock *sk, struct sk_buff *skb)
{
	on_segment(sk, skb, BTF_PTR);
	return 0;
}

SEC("fentry/tcp_v6_do_rcv")
int BPF_PROG(segment_v6_fentry, struct sock *sk, struct sk_buff *skb)
{
	on_segment(sk, skb, BTF_PTR);
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(segment_tracepoint, struct sock *sk, struct sk_buff *skb)
{
	on_tcp_probe(sk, skb);
	return 0;
}

SEC("kprobe/tcp_v4_do_rcv")
int BPF_KPROBE(segment_v4_kprobe, struct sock *sk, struct sk_buff *skb)
{
	on_segment(sk, skb, PROBE_READ);
	return 0;
}

SEC("kprobe/tcp_v6_do_rcv")
int BPF_KPROBE(segment_v6_kprobe, struct sock *sk, struct sk_buff *skb)
{
	on_segment(sk, skb, PROBE_READ);
	return 0;
}
