/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "final-ack": a child is made, or not, by prototype and family. */
#pragma once

#include "listen/drop_cause.bpf.h"

/* up to 6.1, before the seventh parameter */
SEC("fexit/tcp_v4_syn_recv_sock")
int BPF_PROG(ack_v4_fexit_6, struct sock *sk, struct sk_buff *skb, struct request_sock *req,
	     void *dst, void *req_unhash, void *own_req, struct sock *child)
{
	if (child_create_returns() && !child)
		listen_on_no_child(sk, req, BTF_PTR);
	return 0;
}

SEC("fexit/tcp_v4_syn_recv_sock")
int BPF_PROG(ack_v4_fexit_7, struct sock *sk, struct sk_buff *skb, struct request_sock *req,
	     void *dst, void *req_unhash, void *own_req, void *opt_child_init, struct sock *child)
{
	if (child_create_returns() && !child)
		listen_on_no_child(sk, req, BTF_PTR);
	return 0;
}

/* IPv4 clients of an IPv6 listener are served by tcp_v4_syn_recv_sock. */
SEC("fexit/tcp_v6_syn_recv_sock")
int BPF_PROG(ack_v6_fexit_6, struct sock *sk, struct sk_buff *skb, struct request_sock *req,
	     void *dst, void *req_unhash, void *own_req, struct sock *child)
{
	if (skb->protocol != bpf_htons(ETH_P_IP) && child_create_returns() && !child)
		listen_on_no_child(sk, req, BTF_PTR);
	return 0;
}

SEC("fexit/tcp_v6_syn_recv_sock")
int BPF_PROG(ack_v6_fexit_7, struct sock *sk, struct sk_buff *skb, struct request_sock *req,
	     void *dst, void *req_unhash, void *own_req, void *opt_child_init, struct sock *child)
{
	if (skb->protocol != bpf_htons(ETH_P_IP) && child_create_returns() && !child)
		listen_on_no_child(sk, req, BTF_PTR);
	return 0;
}

SEC("fentry/tcp_v4_syn_recv_sock")
int BPF_PROG(ack_v4_fentry, struct sock *sk, void *skb, struct request_sock *req)
{
	child_create_enter(sk, req);
	return 0;
}

SEC("fentry/tcp_v6_syn_recv_sock")
int BPF_PROG(ack_v6_fentry, struct sock *sk, void *skb, struct request_sock *req)
{
	child_create_enter(sk, req);
	return 0;
}

SEC("kprobe/tcp_v4_syn_recv_sock")
int BPF_KPROBE(ack_v4_kprobe, struct sock *sk, void *skb, struct request_sock *req)
{
	child_create_enter(sk, req);
	return 0;
}

SEC("kprobe/tcp_v6_syn_recv_sock")
int BPF_KPROBE(ack_v6_kprobe, struct sock *sk, void *skb, struct request_sock *req)
{
	child_create_enter(sk, req);
	return 0;
}

SEC("kretprobe/tcp_v4_syn_recv_sock")
int BPF_KRETPROBE(ack_v4_kretprobe, struct sock *child)
{
	child_create_exit(child);
	return 0;
}

SEC("kretprobe/tcp_v6_syn_recv_sock")
int BPF_KRETPROBE(ack_v6_kretprobe, struct sock *child)
{
	child_create_exit(child);
	return 0;
}
