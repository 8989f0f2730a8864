/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the kernel decides about a SYN, between the beginning and the end of tcp_conn_request,
 * and about the last ACK of a handshake.
 */
#pragma once

#include "listen/listen.bpf.h"

/* What tcp_conn_request() or a making of a child on this CPU, softirqs off, has come to. */
struct syn_ctx {
	__u64 sk; /* the listener; 0: nothing is under way */
	__u64 skb;
	__u32 accept_full; /* when it began */
	__u32 syn_full;
	__u32 outcome; /* enum outcome */
	__u32 reserved;
	__u64 child_sk; /* likewise of a child to be made */
	__u64 child_req;
};

enum outcome {
	OUTCOME_DROPPED,
	OUTCOME_QUEUED,
	OUTCOME_COOKIE,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct syn_ctx);
} syn_ctxs SEC(".maps");

static __always_inline struct syn_ctx *syn_ctx_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&syn_ctxs, &zero);
}

/* tcp_conn_request begins. */
static __always_inline void listen_on_syn(struct sock *sk, struct sk_buff *skb, enum access how)
{
	struct syn_ctx *d = syn_ctx_here();
	struct stats *st = stats_here();
	struct queues q;

	if (!d || !st)
		return;
	d->sk = 0;
	if (!listener_get(sk, st, how) || !queues_read(&q, sk, how))
		return;
	d->sk = (__u64)sk;
	d->skb = (__u64)skb;
	d->accept_full = q.accept > q.limit;
	/* some kernels let one more in, and then the outcome tells */
	d->syn_full = q.syn >= q.limit;
	d->outcome = OUTCOME_DROPPED;
}

static __always_inline void listen_on_syn_outcome(enum outcome outcome)
{
	struct syn_ctx *d = syn_ctx_here();

	if (d)
		d->outcome = outcome;
}

/*
 * Whether SYNs are dropped rather than answered with a cookie. Then the last quarter of
 * tcp_max_syn_backlog is for proven clients alone, be the SYN queue full or not.
 */
static __always_inline bool syn_unwanted(const struct sock *sk, const struct syn_ctx *d,
					 const struct queues *q, enum access how)
{
	__u32 cookies, max;

	if (options.may_copy) {
		cookies = BPF_CORE_READ(sk, __sk_common.skc_net.net, ipv4.sysctl_tcp_syncookies);
		max = BPF_CORE_READ(sk, __sk_common.skc_net.net, ipv4.sysctl_max_syn_backlog);
	} else {
		cookies = READ(how, sk, __sk_common.skc_net.net, ipv4.sysctl_tcp_syncookies);
		max = READ(how, sk, __sk_common.skc_net.net, ipv4.sysctl_max_syn_backlog);
	}
	if (cookies)
		return false;
	return d->syn_full || (__s32)(max - q->syn) < (__s32)(max >> 2);
}

/* The kernel looks at the SYN queue first. Between our looks at a queue and its own others act. */
static __always_inline enum listen_cause syn_cause(const struct sock *sk, const struct syn_ctx *d,
						   const struct queues *q, enum access how)
{
	bool accept_full = d->accept_full || q->accept > q->limit;

	if (d->outcome == OUTCOME_COOKIE)
		return CAUSE_COOKIE;
	if ((!accept_full || q->syn > q->limit) && syn_unwanted(sk, d, q, how))
		return CAUSE_SYN;
	return accept_full ? CAUSE_ACCEPT_SYN : CAUSE_OTHER;
}

/* tcp_conn_request ends. */
static __always_inline void listen_on_syn_end(struct sock *sk, struct syn_ctx *d, enum access how)
{
	__u64 key = (__u64)sk;
	struct listener *l = bpf_map_lookup_elem(&listeners, &key);
	struct stats *st = stats_here();
	enum listen_cause cause;
	struct queues q;
	struct flow flow;

	if (!l || !st || !queues_read(&q, sk, how))
		return;
	listener_sample(l, &q);
	if (d->outcome == OUTCOME_QUEUED)
		return;
	cause = syn_cause(sk, d, &q, how);
	count_cause(l, cause);
	if (options.quiet)
		return;
	flow = l->flow;
	client_of_skb(&flow, (const struct sk_buff *)d->skb);
	event_send(l, key, &flow, cause, &q, st);
}

/*
 * tcp_v4_syn_recv_sock or tcp_v6_syn_recv_sock made no child. Between the kernel's look at the
 * accept queue and ours, a process may have taken one connection out.
 */
static __always_inline void listen_on_no_child(struct sock *sk, const struct request_sock *req,
					       enum access how)
{
	struct stats *st = stats_here();
	enum listen_cause cause;
	struct listener *l;
	struct queues q;
	struct flow flow;

	if (!st)
		return;
	l = listener_get(sk, st, how);
	if (!l || !queues_read(&q, sk, how))
		return;
	listener_sample(l, &q);
	cause = q.accept >= q.limit ? CAUSE_ACCEPT_ACK : CAUSE_OTHER;
	count_cause(l, cause);
	if (options.quiet)
		return;
	flow = l->flow;
	client_of_request(&flow, req, how);
	event_send(l, (__u64)sk, &flow, cause, &q, st);
}

/* For kretprobes, which see none of the arguments. The making for IPv4 may be within IPv6's. */
static __always_inline void child_create_enter(struct sock *sk, struct request_sock *req)
{
	struct syn_ctx *d = syn_ctx_here();

	if (!d)
		return;
	d->child_sk = (__u64)sk;
	d->child_req = (__u64)req;
}

static __always_inline void child_create_exit(const struct sock *child)
{
	struct syn_ctx *d = syn_ctx_here();

	if (!d || !d->child_sk)
		return;
	if (!child)
		listen_on_no_child((struct sock *)d->child_sk,
				   (const struct request_sock *)d->child_req, PROBE_READ);
	d->child_sk = 0;
}
