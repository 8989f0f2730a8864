/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Bytes, calls and segments, summed by key. */
#pragma once

#include "count/options.h"
#include "count/sockmap.h"
#include "lib/buffer.h"
#include "lib/group.h"
#include "lib/stats.h"
#include "lib/track.h"

#define EAGAIN	     11
#define MSG_PEEK     0x2
#define MSG_ERRQUEUE 0x2000

/* Per CPU: the hot path must not share cache lines. Sized at start by CPUs and memory. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1);
	__type(key, struct group_key);
	__type(value, struct count_value);
} counts SEC(".maps");

/* The row (other): events for which counts was full; with BY_TOTAL all. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct count_value);
} other SEC(".maps");

static __always_inline struct count_value *other_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&other, &zero);
}

/* This CPU's counters for a socket, or those of (other). */
static __always_inline struct count_value *value_for(const struct flow *flow,
						     const struct owner *owner, struct stats *st)
{
	static const struct count_value fresh;
	struct group_key key = {};
	struct count_value *value;

	if (count_options.by == BY_TOTAL)
		return other_here();
	key_fill(&key, count_options.by, flow, owner);
	value = bpf_map_lookup_elem(&counts, &key);
	if (!value) {
		bpf_map_update_elem(&counts, &key, &fresh, BPF_NOEXIST);
		value = bpf_map_lookup_elem(&counts, &key);
	}
	if (!value) {
		st->untracked++;
		return other_here();
	}
	if (has_process(count_options.by) && value->owner_since != owner->since) {
		value->owner_since = owner->since;
		value->pid = owner->pid;
		__builtin_memcpy(value->comm, owner->comm, COMM_LEN);
	}
	return value;
}

/* What an event says of the owner. */
enum actor {
	BY_NETWORK,	  /* nothing */
	BY_USER,	  /* the current process uses the socket, and so owns it */
	BY_USER_OF_MPTCP, /* the same, of an MPTCP socket */
};

/* Neither TCP nor MPTCP. */
#define NO_ACTOR BY_NETWORK

static __always_inline enum actor actor_of(const struct sock *sk, enum access how)
{
	if (is_tcp(sk, how))
		return BY_USER;
	return is_mptcp(sk, how) ? BY_USER_OF_MPTCP : NO_ACTOR;
}

static __always_inline struct owner *owner_for(struct sock *sk, enum actor actor,
					       struct owner *unknown, enum access how)
{
	struct owner *owner = unknown;
	struct track *track;

	if (actor == BY_USER_OF_MPTCP)
		return mptcp_use(sk, how) ?: unknown;
	track = actor == BY_USER ? track_make(sk) : track_find(sk);
	if (track)
		owner = &track->owner;
	if (actor == BY_NETWORK)
		owner_from_mptcp(owner, sk, how);
	else if (track)
		owner_on_use(track, sk, how);
	else
		owner_use(owner);
	return owner;
}

/* The counters for an event of a socket, NULL if it is filtered. */
static __always_inline struct count_value *account(struct sock *sk, enum actor actor,
						   enum access how)
{
	struct stats *st = stats_here();
	struct owner local = {}, *owner = &local;
	struct flow flow = {};

	if (!st)
		return NULL;
	st->attempted++;
	if (reads_owner(count_options.by))
		owner = owner_for(sk, actor, &local, how);
	/* a socket that was reset may still be used, without its port */
	if (reads_flow(count_options.by))
		flow_read_closing(&flow, sk, how);
	if ((owner_filtered() && !(owner->flags & OWNER_MATCHES)) || !flow_matches(&flow)) {
		st->filtered++;
		return NULL;
	}
	return value_for(&flow, owner, st);
}

static __always_inline void count_error(struct count_value *value, int ret)
{
	if (ret == -EAGAIN)
		value->eagain++;
	else
		value->errors++;
}

static __always_inline void count_on_send(struct sock *sk, int ret, enum access how)
{
	enum actor actor = actor_of(sk, how);
	struct count_value *value;

	if (actor == NO_ACTOR)
		return;
	value = account(sk, actor, how);
	if (!value)
		return;
	if (ret < 0) {
		count_error(value, ret);
		return;
	}
	value->tx_calls++;
	value->tx_bytes += (__u32)ret;
}

/* MSG_PEEK and MSG_ERRQUEUE take nothing from the stream. */
static __always_inline void count_on_recv(struct sock *sk, int ret, int flags, enum access how)
{
	enum actor actor = actor_of(sk, how);
	struct count_value *value;

	if (actor == NO_ACTOR || flags & (MSG_PEEK | MSG_ERRQUEUE))
		return;
	value = account(sk, actor, how);
	if (!value)
		return;
	if (ret < 0) {
		count_error(value, ret);
		return;
	}
	if (ret > 0) {
		value->rx_calls++;
		/* those are counted as they arrive */
		if (!has_verdict(sk, how))
			value->rx_bytes += (__u32)ret;
	}
}

static __always_inline void count_on_segment(struct sock *sk, enum access how)
{
	struct count_value *value = account(sk, BY_NETWORK, how);
	struct track *track;

	if (!value)
		return;
	value->segs_in++;
	if (!has_verdict(sk, how))
		return;
	track = track_make(sk);
	if (track)
		value->rx_bytes += diverted_bytes(track, sk, how);
}

/* A segment is seen before its bytes are received: those of the last are counted at the end. */
static __always_inline void count_diverted(struct sock *sk, enum access how)
{
	struct track *track = track_find(sk);
	struct stats *st = stats_here();
	struct count_value *value;
	struct flow flow = {};

	if (!st || !track || !track->diverted)
		return;
	if (reads_flow(count_options.by))
		flow_read_closing(&flow, sk, how);
	if ((owner_filtered() && !(track->owner.flags & OWNER_MATCHES)) || !flow_matches(&flow))
		return;
	value = value_for(&flow, &track->owner, st);
	if (value)
		value->rx_bytes += diverted_bytes(track, sk, how);
}

static __always_inline void count_on_retransmit(struct sock *sk, const struct sk_buff *skb,
						enum access how)
{
	struct count_value *value = account(sk, BY_NETWORK, how);
	__u32 seq = 0;
	__u16 segs = 0;

	buffer_read(skb, &seq, &segs, how);
	if (value)
		value->retrans_segs += segs;
}

/*
 * It is the listener's until accept(). Connections that never come about would crowd those that do
 * out of the map: they are counted as (other).
 */
static __always_inline void count_on_synack(struct sock *listener, const struct request_sock *req)
{
	struct owner none = {}, *owner = &none;
	struct stats *st = stats_here();
	struct count_value *value;
	struct flow flow = {};
	struct track *track;

	if (!st)
		return;
	st->attempted++;
	track = reads_owner(count_options.by) ? track_find(listener) : NULL;
	if (track)
		owner = &track->owner;
	if (reads_flow(count_options.by))
		flow_read(&flow, &req->__req_common, BTF_PTR);
	if ((owner_filtered() && !(owner->flags & OWNER_MATCHES)) || !flow_matches(&flow)) {
		st->filtered++;
		return;
	}
	value = count_options.by == BY_CONNECTION ? other_here() : value_for(&flow, owner, st);
	if (value)
		value->retrans_segs++;
}

/* Marks the counters of a connection (COUNT_GONE, COUNT_ENDED) for user space, which removes them.
 */
static __always_inline void mark_counters(struct sock *sk, enum count_flags flag, enum access how)
{
	struct group_key key = {};
	struct count_value *value;

	flow_read_closing(&key.flow, sk, how);
	value = bpf_map_lookup_elem(&counts, &key);
	if (value)
		value->flags |= flag;
}

/*
 * A reset, a timeout or a disconnect ends a connection, and not the socket, which may lose its
 * addresses before it is destroyed: also in a close() with SO_LINGER 0, which has shut both
 * directions.
 */
static __always_inline void count_on_end(struct sock *sk, int old_state, int new_state,
					 enum access how)
{
	bool closed;

	if (count_options.by != BY_CONNECTION || new_state != TCP_CLOSE)
		return;
	closed = READ(how, sk, sk_shutdown) == SHUTDOWN_MASK;
	if (closed && old_state != TCP_ESTABLISHED && old_state != TCP_CLOSE_WAIT)
		return;
	mark_counters(sk, closed ? COUNT_GONE : COUNT_ENDED, how);
}

/* At connect() and listen() the owner is known before the first segment comes. */
static __always_inline void count_on_transition(struct sock *sk, int old_state, int new_state,
						enum access how)
{
	struct track *track;

	if (is_mptcp(sk, how))
		count_on_end(sk, old_state, new_state, how);
	if (!is_tcp(sk, how))
		return;
	track = old_state == TCP_CLOSE ? track_make(sk) : track_find(sk);
	if (track)
		owner_on_transition(track, sk, old_state, new_state, how);
	count_on_end(sk, old_state, new_state, how);
}

static __always_inline void count_on_destroy(struct sock *sk, enum access how)
{
	count_diverted(sk, how);
	if (options.use_hash)
		track_forget(sk);
	if (count_options.by == BY_CONNECTION)
		mark_counters(sk, COUNT_GONE, how);
}
