/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Why the kernel drops a SYN, from the entry and the exit of tcp_conn_request, or the final ACK
 * of a handshake.
 */
#pragma once

#include "listen/options.h"
#include "listen/listen.bpf.h"

/* State of tcp_conn_request() and tcp_v*_syn_recv_sock() on this CPU, between entry and exit. */
struct syn_ctx {
	__u64 sk; /* the listener; 0: not inside */
	__u64 skb;
	__u32 accept_full; /* when it began */
	__u32 syn_full;
	__u32 outcome; /* enum outcome */
	__u32 reserved;
	__u64 child_sk; /* the listener whose child is being created; 0 */
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

/* Entry of tcp_conn_request. */
static __always_inline void listen_on_syn(struct sock *sk, struct sk_buff *skb, enum access how)
{
	struct syn_ctx *d = syn_ctx_here();
	struct stats *st = stats_here();
	struct queues q;

	if (!d || !st)
		return;
	if (d->sk)
		st->unreturned++;
	d->sk = 0;
	if (!listener_get(sk, st, how) || !queues_read(&q, sk, how))
		return;
	d->sk = (__u64)sk;
	d->skb = (__u64)skb;
	d->accept_full = q.accept > q.limit;
	/* some kernels admit one more: then outcome decides */
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
 * Whether SYNs are dropped because cookies are off: the SYN queue is full, or the last quarter of
 * tcp_max_syn_backlog is reached, which is reserved for known clients.
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

/* The kernel checks the SYN queue first. Queues may change between its reads and ours. */
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

static __always_inline void syn_judge(struct sock *sk, const struct syn_ctx *d, enum access how)
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
	if (!listen_options.events)
		return;
	flow = l->flow;
	client_of_skb(&flow, (const struct sk_buff *)d->skb);
	event_send(l, key, &flow, cause, &q, st);
}

/* Exit of tcp_conn_request. */
static __always_inline void listen_on_syn_end(struct sock *sk, struct syn_ctx *d, enum access how)
{
	syn_judge(sk, d, how);
	d->sk = 0;
}

/*
 * tcp_v4_syn_recv_sock or tcp_v6_syn_recv_sock created no child. Between the kernel's read of the
 * accept queue and ours, a process may have accepted one.
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
	if (!listen_options.events)
		return;
	flow = l->flow;
	client_of_request(&flow, req, how);
	event_send(l, (__u64)sk, &flow, cause, &q, st);
}

/*
 * For kretprobes, which see no arguments, and for fexit programs that the kernel may skip
 * (calls.h). The call for IPv4 may be nested in IPv6's, with the same request.
 */
static __always_inline void child_create_enter(struct sock *sk, struct request_sock *req)
{
	struct syn_ctx *d = syn_ctx_here();
	struct stats *st = stats_here();

	if (!d || !st)
		return;
	if (d->child_sk && d->child_req != (__u64)req)
		st->unreturned++;
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

/* For fexit programs: whether this return is to be counted. */
static __always_inline bool child_create_returns(void)
{
	struct syn_ctx *d;

	if (!options.pair_fexit)
		return true;
	d = syn_ctx_here();
	if (!d || !d->child_sk)
		return false;
	d->child_sk = 0;
	return true;
}
