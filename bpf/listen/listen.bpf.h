/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Dropped connections, queue lengths and waits of listeners. */
#pragma once

#include "listen/options.h"
#include "lib/ring.h"
#include "listen/closed.bpf.h"
#include "listen/listener_map.bpf.h"

#define ETH_P_IP 0x0800

/* Offsets of the client's address and port in the headers. */
#define IP4_SADDR  12
#define IP6_SADDR  8
#define TCP_SOURCE 0

/* The client of a SYN, from its headers. */
static __always_inline void client_of_skb(struct flow *flow, const struct sk_buff *skb)
{
	unsigned char *head, *ip;

	if (!options.may_copy)
		return;
	head = BPF_CORE_READ(skb, head);
	ip = head + BPF_CORE_READ(skb, network_header);
	if (BPF_CORE_READ(skb, protocol) == bpf_htons(ETH_P_IP)) {
		__be32 saddr = 0;

		bpf_probe_read_kernel(&saddr, sizeof(saddr), ip + IP4_SADDR);
		map_v4(flow->raddr, saddr);
	} else {
		bpf_probe_read_kernel(flow->raddr, ADDR_LEN, ip + IP6_SADDR);
	}
	bpf_probe_read_kernel(&flow->rport, sizeof(flow->rport),
			      head + BPF_CORE_READ(skb, transport_header) + TCP_SOURCE);
	flow->rport = bpf_ntohs(flow->rport);
}

/* The client of a request socket; the local address stays the listener's own. */
static __always_inline void client_of_request(struct flow *flow, const struct request_sock *req,
					      enum access how)
{
	struct flow both;

	flow_read(&both, &req->__req_common, how);
	__builtin_memcpy(flow->raddr, both.raddr, ADDR_LEN);
	flow->rport = both.rport;
}

static __always_inline void event_send(const struct listener *l, __u64 sk, const struct flow *flow,
				       enum listen_cause cause, const struct queues *q,
				       struct stats *st)
{
	bool of_syns = cause == CAUSE_SYN || cause == CAUSE_COOKIE || cause == CAUSE_RETRANS;
	struct listen_event *ev;

	st->attempted++;
	if (!listener_matches(l, flow)) {
		st->filtered++;
		return;
	}
	ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);
	if (!ev) {
		st->lost++;
		return;
	}
	ev->ts = bpf_ktime_get_ns();
	ev->sk = sk;
	ev->born = l->born;
	ev->flow = *flow;
	ev->cause = cause;
	ev->queue = of_syns ? q->syn : q->accept;
	ev->limit = q->limit;
	ev->reserved = 0;
	bpf_ringbuf_submit(ev, ring_wake_flags());
}

static __always_inline void count_cause(struct listener *l, enum listen_cause cause)
{
	__sync_fetch_and_add(&l->dropped[cause], 1);
}

/* A child is about to be queued. */
static __always_inline void listen_on_child(struct sock *sk, enum access how)
{
	struct stats *st = stats_here();
	struct listener *l;
	struct queues q;

	if (!st)
		return;
	l = listener_get(sk, st, how);
	if (!l || !queues_read(&q, sk, how))
		return;
	listener_sample(l, &q);
	peak_note(l, q.accept + 1, q.syn);
	accept_queue_look(l, q.accept + 1, q.accept);
}

/* Whether this kernel knows a drop reason, and it is this one. */
#define REASON_IS(reason, name)                                                                    \
	(bpf_core_enum_value_exists(enum skb_drop_reason, name) &&                                 \
	 (reason) == bpf_core_enum_value(enum skb_drop_reason, name))

/*
 * Segments that a listener answers with a reset, and those with bad cookies, are freed like what
 * it discards, but sk_drops does not count them.
 */
static __always_inline bool is_uncounted(__u32 reason)
{
	return REASON_IS(reason, SKB_DROP_REASON_TCP_FLAGS) ||
	       REASON_IS(reason, SKB_DROP_REASON_NO_SOCKET) ||
	       REASON_IS(reason, SKB_DROP_REASON_TCP_CSUM) ||
	       REASON_IS(reason, SKB_DROP_REASON_SECURITY_HOOK) ||
	       REASON_IS(reason, SKB_DROP_REASON_IP_OUTNOROUTES);
}

/* kfree_skb of a segment that reached a listener, or a request of one. */
static __always_inline void listen_on_discard(struct sk_buff *skb, struct sock *sk, __u32 reason)
{
	__u64 key = (__u64)sk;
	struct stats *st = stats_here();
	struct listener *l;
	struct queues q;
	struct flow flow;

	if (!st || !is_listening(sk, BTF_PTR) || is_uncounted(reason))
		return;
	l = bpf_map_lookup_elem(&listeners, &key);
	if (!l)
		return;
	__sync_fetch_and_add(&l->discarded, 1);
	if (!REASON_IS(reason, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW))
		return;
	count_cause(l, CAUSE_ACCEPT_ACK);
	if (!listen_options.events || !queues_read(&q, sk, BTF_PTR))
		return;
	flow = l->flow;
	client_of_skb(&flow, skb);
	event_send(l, key, &flow, CAUSE_ACCEPT_ACK, &q, st);
}

/* tcp_retransmit_synack */
static __always_inline void listen_on_synack_retransmit(struct sock *sk,
							const struct request_sock *req)
{
	struct stats *st = stats_here();
	struct listener *l;
	struct queues q;
	struct flow flow;

	if (!st || !is_listening(sk, BTF_PTR))
		return;
	l = listener_get(sk, st, BTF_PTR);
	if (!l || !queues_read(&q, sk, BTF_PTR))
		return;
	listener_sample(l, &q);
	count_cause(l, CAUSE_RETRANS);
	if (!listen_options.events)
		return;
	flow = l->flow;
	client_of_request(&flow, req, BTF_PTR);
	event_send(l, (__u64)sk, &flow, CAUSE_RETRANS, &q, st);
}

/* The handshake of a child is done, and it is in the accept queue. */
static __always_inline void listener_established(struct sock *sk)
{
	struct child_listener *link;
	struct listener *l;
	struct queues q;

	if (!listen_options.child_storage)
		return;
	link = bpf_sk_storage_get(&child_listeners, sk, NULL, 0);
	if (!link || joins(sk, BTF_PTR))
		return;
	l = bpf_map_lookup_elem(&listeners, &link->listener);
	if (!l || l->born != link->born)
		return;
	__sync_fetch_and_add(&l->established, 1);
	/* the CPU that completes the handshake has a reference to the listener */
	if (!options.may_copy || !queues_read(&q, (struct sock *)link->listener, PROBE_READ))
		return;
	listener_sample(l, &q);
	/* this child is among those that wait, if it was not accepted since */
	accept_queue_look(l, q.accept, q.accept ? q.accept - 1 : 0);
}

/* The final row of a listener goes through the ring buffer: its address is reused soon. */
static __always_inline void listener_end(struct sock *sk, struct stats *st, enum access how)
{
	__u64 key = (__u64)sk;
	struct listener *l = bpf_map_lookup_elem(&listeners, &key);
	struct listener_entry *last;
	struct queues q;

	set_child_listener(sk, 0);
	if (!l)
		return;
	if (queues_read(&q, sk, how)) {
		listener_sample(l, &q);
		accept_queue_look(l, q.accept, q.accept);
	}
	l->flags |= LISTENER_GONE;
	if (listener_matches(l, &l->flow))
		l->flags |= LISTENER_MATCHES;
	l->ended = bpf_ktime_get_ns();
	closing_begins(sk, l);
	st->attempted++;
	last = bpf_ringbuf_reserve(&events, sizeof(*last), 0);
	if (last) {
		last->sk = key;
		last->listener = *l;
		bpf_ringbuf_submit(last, ring_wake_flags());
	} else {
		st->lost++;
	}
	bpf_map_delete_elem(&listeners, &key);
}

/* Most transitions do not concern listeners: they must leave early. */
static __always_inline void listen_on_transition(struct sock *sk, int old_state, int new_state,
						 enum access how)
{
	bool begins = new_state == TCP_LISTEN;
	bool ends = old_state == TCP_LISTEN && new_state == TCP_CLOSE;
	bool child_done = old_state == TCP_SYN_RECV && new_state == TCP_ESTABLISHED;
	bool unaccepted = is_unaccepted(sk, old_state, new_state, how);
	struct listener *l;
	struct stats *st;

	if ((!begins && !ends && !child_done && !unaccepted) || !is_tcp(sk, how))
		return;
	st = stats_here();
	if (!st)
		return;
	if (begins) {
		l = listener_get(sk, st, how);
		if (l)
			owner_settle(&l->owner);
	} else if (ends) {
		listener_end(sk, st, how);
	} else if (unaccepted) {
		closing_resets(sk, st, how);
	} else {
		listener_established(sk);
	}
}
