/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The socket that a segment belongs to, by its flow: what drops a segment on its way in often does
 * not know the socket yet, and older kernels pass none (before 6.11).
 */
#pragma once

#include "lib/filter.h"
#include "lib/stats.h"
#include "lib/track.h"

/* What is known of the sockets of a flow. */
struct socket_at {
	__u64 sk;
	bool shared; /* sockets of several owners have this flow */
	bool v6only;
};

/*
 * By flow; a listener has no remote end. Where the kernel passes no socket, connections have a
 * second entry without namespace: a segment that reached its socket has lost its device.
 * Preallocated; sized at start.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow);
	__type(value, struct socket_at);
} sockets_by_flow SEC(".maps");

static __always_inline bool passes_socket(void)
{
	return bpf_core_field_exists(struct trace_event_raw_kfree_skb, rx_sk);
}

static __always_inline bool passes_reason(void)
{
	return bpf_core_field_exists(struct trace_event_raw_kfree_skb, reason);
}

/* A socket that begins with sock_common may be half-open or in TIME_WAIT, and nothing more. */
static __always_inline bool is_full_sock(const struct sock *sk, enum access how)
{
	__u8 state = READ(how, sk, __sk_common.skc_state);

	return state && state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

static __always_inline bool same_owner(__u64 one, __u64 other)
{
	struct track *a = track_find((struct sock *)one), *b = track_find((struct sock *)other);

	return a && b && a->owner.pid && a->owner.pid == b->owner.pid;
}

static __always_inline bool socket_at_add(const struct flow *flow, const struct socket_at *fresh)
{
	struct socket_at *known = bpf_map_lookup_elem(&sockets_by_flow, flow);

	if (!known)
		return !bpf_map_update_elem(&sockets_by_flow, flow, fresh, BPF_ANY);
	if (known->sk != fresh->sk && !same_owner(known->sk, fresh->sk))
		known->shared = true;
	return true;
}

static __always_inline void socket_at_remove(const struct flow *flow, __u64 sk)
{
	struct socket_at *known = bpf_map_lookup_elem(&sockets_by_flow, flow);

	if (known && (known->sk == sk || known->shared))
		bpf_map_delete_elem(&sockets_by_flow, flow);
}

static __always_inline void flow_of_listener(struct flow *flow)
{
	flow->device = 0;
	__builtin_memset(flow->raddr, 0, ADDR_LEN);
	flow->rport = 0;
}

/* A socket begins to take segments; its owner is known, if it ever is. */
static __always_inline void socket_add(struct sock *sk, struct stats *st, enum access how)
{
	struct socket_at fresh = {.sk = (__u64)sk};
	struct flow flow = {};
	bool added;

	flow_read(&flow, &sk->__sk_common, how);
	flow.device = 0; /* a segment does not tell */
	/* connect() chooses it later */
	if (!flow.lport)
		return;
	fresh.v6only = is_v6only(&sk->__sk_common, how);
	if (READ(how, sk, __sk_common.skc_state) == TCP_LISTEN || !flow.rport)
		flow_of_listener(&flow);
	added = socket_at_add(&flow, &fresh);
	if (added && !passes_socket() && flow.rport) {
		flow.netns = 0;
		added = socket_at_add(&flow, &fresh);
	}
	if (!added)
		st->untracked++;
}

static __always_inline void socket_remove(struct sock *sk, int old_state, enum access how)
{
	struct flow flow = {};

	flow_read_closing(&flow, sk, how);
	flow.device = 0;
	if (old_state == TCP_LISTEN)
		flow_of_listener(&flow);
	socket_at_remove(&flow, (__u64)sk);
	if (!passes_socket() && old_state != TCP_LISTEN) {
		flow.netns = 0;
		socket_at_remove(&flow, (__u64)sk);
	}
}

/* The address may be another socket's by now, if its end was missed. */
static __always_inline bool still_at(const struct socket_at *at, const struct flow *flow)
{
	const struct sock *sk = (const struct sock *)at->sk;

	return !options.may_copy || BPF_CORE_READ(sk, __sk_common.skc_num) == flow->lport;
}

/* The connection of a flow. */
static __always_inline struct socket_at *connection_at(const struct flow *flow)
{
	struct socket_at *at = bpf_map_lookup_elem(&sockets_by_flow, flow);

	return at && still_at(at, flow) ? at : NULL;
}

/* The listener that serves the local end of a flow. */
static __always_inline struct socket_at *listener_at(const struct flow *flow)
{
	struct flow key = *flow;
	struct socket_at *at;
	bool v4 = is_mapped_v4(key.laddr);

	flow_of_listener(&key);
	at = bpf_map_lookup_elem(&sockets_by_flow, &key);
	if (!at && v4) {
		map_v4(key.laddr, 0);
		at = bpf_map_lookup_elem(&sockets_by_flow, &key);
	}
	if (!at) {
		__builtin_memset(key.laddr, 0, ADDR_LEN);
		at = bpf_map_lookup_elem(&sockets_by_flow, &key);
		if (at && v4 && at->v6only)
			return NULL;
	}
	return at && still_at(at, &key) ? at : NULL;
}

/* Sockets of other namespaces than the wanted one would only take the room. */
static __always_inline bool is_elsewhere(struct sock *sk, enum access how)
{
	return filter.by_netns && netns_of(&sk->__sk_common, how) != wanted.netns;
}

/* A child of a listener is ready. It has its listener's owner until its own is found. */
static __always_inline void owner_from_listener(struct track *child, struct sock *sk,
						enum access how)
{
	struct track *listener;
	struct flow flow = {};
	struct socket_at *at;

	if (child->owner.pid)
		return;
	flow_read(&flow, &sk->__sk_common, how);
	at = listener_at(&flow);
	listener = at && !at->shared ? track_find((struct sock *)at->sk) : NULL;
	if (listener)
		child->owner = listener->owner;
	child->owner.flags |= OWNER_INHERITED;
}

static __always_inline void socket_changes(struct sock *sk, int old_state, int new_state,
					   enum access how)
{
	bool ready = old_state == TCP_SYN_RECV && new_state == TCP_ESTABLISHED;
	struct stats *st = stats_here();
	struct track *track;

	if (!st)
		return;
	if (is_elsewhere(sk, how))
		return;
	track = ready || old_state == TCP_CLOSE ? track_make(sk) : track_find(sk);
	if (track)
		owner_on_transition(track, sk, old_state, new_state, how);
	else if (ready || old_state == TCP_CLOSE)
		st->untracked++;
	if (track && ready)
		owner_from_listener(track, sk, how);
	if (new_state == TCP_CLOSE)
		socket_remove(sk, old_state, how);
	else if (new_state == TCP_LISTEN || new_state == TCP_SYN_SENT ||
		 new_state == TCP_ESTABLISHED)
		socket_add(sk, st, how);
}

static __always_inline void sockets_on_transition(struct sock *sk, int old_state, int new_state,
						  enum access how)
{
	/* a child that has no flow yet */
	if (!is_tcp(sk, how) || is_child(old_state, new_state))
		return;
	/* for the verifier, typed pointers cost far more */
	if (options.may_copy)
		socket_changes(sk, old_state, new_state, PROBE_READ);
	else
		socket_changes(sk, old_state, new_state, how);
}

/* task has sk open. */
static __always_inline void sockets_from_file(struct sock *sk, struct task_struct *task,
					      enum access how)
{
	__u8 state = READ(how, sk, __sk_common.skc_state);
	struct stats *st = stats_here();

	if (is_elsewhere(sk, how))
		return;
	owner_from_file(sk, task, how);
	if (st && state != TCP_CLOSE && state != TCP_TIME_WAIT)
		socket_add(sk, st, how);
}
