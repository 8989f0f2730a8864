/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of SYN handling and of discarded segments. */
#pragma once

#include "listen/drop_cause.bpf.h"

SEC("fentry/tcp_conn_request")
int BPF_PROG(syn_fentry, void *rsk_ops, void *af_ops, struct sock *sk, struct sk_buff *skb)
{
	listen_on_syn(sk, skb, BTF_PTR);
	return 0;
}

SEC("fexit/tcp_conn_request")
int BPF_PROG(syn_fexit, void *rsk_ops, void *af_ops, struct sock *sk)
{
	struct syn_ctx *d = syn_ctx_here();

	if (d && d->sk == (__u64)sk)
		listen_on_syn_end(sk, d, BTF_PTR);
	return 0;
}

SEC("kprobe/tcp_conn_request")
int BPF_KPROBE(syn_kprobe, void *rsk_ops, void *af_ops, struct sock *sk, struct sk_buff *skb)
{
	listen_on_syn(sk, skb, PROBE_READ);
	return 0;
}

SEC("kretprobe/tcp_conn_request")
int BPF_KRETPROBE(syn_kretprobe)
{
	struct syn_ctx *d = syn_ctx_here();

	if (d && d->sk)
		listen_on_syn_end((struct sock *)d->sk, d, PROBE_READ);
	return 0;
}

SEC("fentry/inet_csk_reqsk_queue_hash_add")
int BPF_PROG(syn_queued_fentry)
{
	listen_on_syn_outcome(OUTCOME_QUEUED);
	return 0;
}

SEC("kprobe/inet_csk_reqsk_queue_hash_add")
int BPF_KPROBE(syn_queued_kprobe)
{
	listen_on_syn_outcome(OUTCOME_QUEUED);
	return 0;
}

SEC("fentry/cookie_v4_init_sequence")
int BPF_PROG(cookie_v4_fentry)
{
	listen_on_syn_outcome(OUTCOME_COOKIE);
	return 0;
}

SEC("fentry/cookie_v6_init_sequence")
int BPF_PROG(cookie_v6_fentry)
{
	listen_on_syn_outcome(OUTCOME_COOKIE);
	return 0;
}

SEC("kprobe/cookie_v4_init_sequence")
int BPF_KPROBE(cookie_v4_kprobe)
{
	listen_on_syn_outcome(OUTCOME_COOKIE);
	return 0;
}

SEC("kprobe/cookie_v6_init_sequence")
int BPF_KPROBE(cookie_v6_kprobe)
{
	listen_on_syn_outcome(OUTCOME_COOKIE);
	return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(discard_tracepoint, struct sk_buff *skb, void *location, __u32 reason,
	     struct sock *rx_sk)
{
	if (rx_sk)
		listen_on_discard(skb, rx_sk, reason);
	return 0;
}
