/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How the connections of each process ended, counted. */
#pragma once

#include "dash/cuts.bpf.h"
#include "life/reset.bpf.h"
#include "lib/stats.h"

/* Some hundred processes with each end; user space removes those that no longer grow. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct end_key);
	__type(value, struct end_counts);
} endings SEC(".maps");

/* The last end on this CPU that a reset may explain. */
struct last_end {
	struct end_key key;
	struct ending ending;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct last_end);
} last_ends SEC(".maps");

static __always_inline struct end_counts *end_counts_of(const struct end_key *key,
							const struct owner *owner, struct stats *st)
{
	static const struct end_counts fresh;
	struct end_counts *counts = bpf_map_lookup_elem(&endings, key);

	if (counts)
		return counts;
	bpf_map_update_elem(&endings, key, &fresh, BPF_NOEXIST);
	counts = bpf_map_lookup_elem(&endings, key);
	if (!counts)
		st->untracked++;
	else if (owner)
		__builtin_memcpy(counts->comm, owner->comm, COMM_LEN);
	return counts;
}

static __always_inline void end_count_bytes(struct end_counts *counts, struct tcp_sock *tp,
					    const struct closing_sock *c, enum access how)
{
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECV) {
		__sync_fetch_and_add(&counts->failed, 1);
		return;
	}
	__sync_fetch_and_add(&counts->tx_bytes, bytes_handed(tp, c->state, how));
	__sync_fetch_and_add(&counts->rx_bytes, bytes_taken(tp, c->flags & SOCK_DONE, how));
	__sync_fetch_and_add(&counts->retrans, READ(how, tp, total_retrans));
}

static __always_inline void endings_on_close(struct sock *sk, int old_state, struct track *track,
					     struct stats *st, enum access how)
{
	const struct owner *owner = track ? &track->owner : NULL;
	struct tcp_sock *tp = tcp_of(sk, how);
	const struct verdict *verdict;
	struct end_counts *counts;
	struct last_end now = {};
	struct last_end *last;
	__u32 zero = 0;

	verdict = tp ? verdict_of(sk, tp, track, old_state, how) : NULL;
	if (!verdict)
		return;
	cut_send(sk, tp, verdict, track, how);
	now.ending = verdict->ending;
	now.key.pid = owner ? owner->pid : 0;
	now.key.end = now.ending.end;
	counts = end_counts_of(&now.key, owner, st);
	if (!counts)
		return;
	__sync_fetch_and_add(&counts->connections, 1);
	end_count_bytes(counts, tp, &verdict->sock, how);
	reset_await(&now.ending, bpf_ktime_get_ns());
	last = bpf_map_lookup_elem(&last_ends, &zero);
	if (last && (now.ending.if_reply || now.ending.if_abort))
		*last = now;
}

/* A transition; the owner is already learned from it. */
static __always_inline void endings_on_transition(struct sock *sk, int old_state, int new_state,
						  enum access how)
{
	struct track *track = track_find(sk);
	struct stats *st = stats_here();
	struct end_key opened = {.end = LIFE_OPEN};
	struct end_counts *counts;
	struct flow flow = {};

	if (!st || (new_state != TCP_ESTABLISHED && new_state != TCP_CLOSE))
		return;
	if (new_state == TCP_CLOSE)
		reset_skip(sk);
	if (owner_filtered() && !(track && track->owner.flags & OWNER_MATCHES))
		return;
	flow_read_closing(&flow, sk, how);
	if (!flow_matches(&flow))
		return;
	if (new_state == TCP_CLOSE) {
		endings_on_close(sk, old_state, track, st, how);
		return;
	}
	if (track) {
		track->opened = bpf_ktime_get_ns();
		opened.pid = track->owner.pid;
	}
	counts = end_counts_of(&opened, track ? &track->owner : NULL, st);
	if (counts)
		__sync_fetch_and_add(&counts->connections, 1);
}

/* A reset is sent, for a segment or (active) without: the last end may be another. */
static __always_inline void endings_on_reset(struct sock *sk, bool active, enum access how)
{
	struct stats *st = stats_here();
	struct end_counts *from, *to;
	struct ending reset = {};
	struct last_end *last;
	struct end_key key;
	__u32 zero = 0;

	if (!st || !reset_sent(&reset, sk, active, how))
		return;
	last = bpf_map_lookup_elem(&last_ends, &zero);
	if (!last || last->ending.sk != reset.sk)
		return;
	key = last->key;
	key.end = active ? last->ending.if_abort : last->ending.if_reply;
	from = bpf_map_lookup_elem(&endings, &last->key);
	if (!key.end || !from)
		return;
	to = end_counts_of(&key, NULL, st);
	if (!to)
		return;
	__builtin_memcpy(to->comm, from->comm, COMM_LEN);
	__sync_fetch_and_add(&from->connections, -1);
	__sync_fetch_and_add(&to->connections, 1);
}
