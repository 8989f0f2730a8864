/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A measured latency goes into its row's histogram, or to user space as an event. */
#pragma once

#include "latency/latency_filter.bpf.h"
#include "lib/group.h"
#include "lib/hist.h"
#include "lib/ring.h"
#include "wire.h"

/* Every kind, role, octave and head, in both epochs. */
#define MAX_OTHERS (2 * LATENCY_KINDS * SOCKET_ROLES * (HIST_OCTAVES + 1))

/*
 * Histograms by octave: most rows have few. Per CPU: the hot path must not share cache lines. Two
 * maps: one is filled while user space reads and empties the other, so that an interval has its
 * own minimum and maximum, and nothing is counted twice or never. A map only grows while it is
 * filled: a row for which it was full once is not in it until the next interval.
 */
struct latency_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1);
	__type(key, struct latency_key);
	__type(value, struct latency_value);
} latencies_even SEC(".maps"), latencies_odd SEC(".maps");

/* The rows (other): latencies for which the map was full; with BY_TOTAL all. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_OTHERS);
	__type(key, struct latency_key);
	__type(value, struct latency_value);
} latencies_other SEC(".maps");

volatile struct latency_turn turn SEC(".data.turn") = {};

static __always_inline void *latency_make(void *map, const struct latency_key *key)
{
	static const struct latency_value fresh;

	bpf_map_update_elem(map, key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, key);
}

/* A row begins with its head; options limit how many there are. */
static __always_inline struct latency_head *head_make(void *map, const struct latency_key *key,
						      bool other)
{
	__u32 epoch = key->epoch & 1;
	struct latency_head *head;

	if (!other && turn.rows[epoch] >= latency_options.max_keys)
		return NULL;
	head = latency_make(map, key);
	if (head && !other)
		__sync_fetch_and_add(&turn.rows[epoch], 1);
	return head;
}

static __always_inline struct latency_head *head_of(void *map, struct latency_key *key,
						    const struct owner *owner, bool other)
{
	struct latency_head *head;

	key->octave = LATENCY_HEAD;
	head = bpf_map_lookup_elem(map, key) ?: head_make(map, key, other);
	if (head && !other && has_process(latency_options.by) && head->pid != owner->pid) {
		head->pid = owner->pid;
		__builtin_memcpy(head->comm, owner->comm, COMM_LEN);
	}
	return head;
}

/* Global, so that the verifier checks its branches once and not once for each caller's state. */
__noinline __u32 slot_of(__u64 ns)
{
	return hist_slot(ns);
}

/* Additions are atomic: a softirq may interrupt a program that changes the same counter. */
static __always_inline bool octave_add(void *map, struct latency_key *key,
				       const struct latency *lat, const struct owner *owner,
				       bool other)
{
	/* max 0 stands for an empty entry */
	__u64 ns = lat->ns ?: 1;
	__u32 slot = slot_of(ns);
	struct latency_value *value;
	struct latency_head *head;

	key->octave = slot / HIST_SUBS;
	value = bpf_map_lookup_elem(map, key);
	if (!value) {
		head = head_of(map, key, owner, other);
		if (!head)
			return false;
		key->octave = slot / HIST_SUBS;
		value = latency_make(map, key);
		if (!value) {
			head->partial = 1;
			return false;
		}
	}
	slot &= HIST_SUBS - 1;
	barrier_var(slot);
	if (slot < HIST_SUBS)
		__sync_fetch_and_add(&value->slots[slot], 1);
	if (!value->max || ns < value->min)
		value->min = ns;
	if (ns > value->max)
		value->max = ns;
	return true;
}

static __always_inline bool ack_had_data(const struct latency *lat)
{
	return lat->kind == LATENCY_RTT && lat->rx_bytes;
}

/* Latencies without a duration, and what is counted besides durations. */
static __always_inline bool head_add(void *map, struct latency_key *key, const struct latency *lat,
				     const struct owner *owner, bool other)
{
	struct latency_head *head = head_of(map, key, owner, other);
	/* of OUTCOME_DONE it is beyond all */
	__u32 failure = (__u32)lat->outcome - 1;

	if (!head)
		return false;
	barrier_var(failure);
	if (failure < LATENCY_FAILURES)
		__sync_fetch_and_add(&head->failures[failure], 1);
	else if (lat->ns == DURATION_UNKNOWN)
		__sync_fetch_and_add(&head->untimed, 1);
	if (ack_had_data(lat))
		__sync_fetch_and_add(&head->acks_with_data, 1);
	__sync_fetch_and_add(&head->retrans, lat->retrans);
	return true;
}

/*
 * A function for either map. With a map of both maps one path would do, but to put each of them
 * into it takes a grace period of RCU: 20 ms at the start.
 */
static __noinline bool add_to(void *map, struct latency_key *key, const struct latency *lat,
			      const struct owner *owner, bool other)
{
	bool timed = lat->outcome == OUTCOME_DONE && lat->ns != DURATION_UNKNOWN;

	if (timed && !octave_add(map, key, lat, owner, other))
		return false;
	if (timed && !lat->retrans && !ack_had_data(lat))
		return true;
	/* it has a head if it has an octave */
	return head_add(map, key, lat, owner, other);
}

static __always_inline bool latency_add(struct latency_key *key, const struct latency *lat,
					const struct owner *owner, bool other)
{
	if (other)
		return add_to(&latencies_other, key, lat, owner, true);
	if (key->epoch)
		return add_to(&latencies_odd, key, lat, owner, false);
	return add_to(&latencies_even, key, lat, owner, false);
}

static __always_inline void latency_count(const struct latency *lat, const struct flow *flow,
					  const struct owner *owner, struct stats *st)
{
	struct latency_key key = {.kind = lat->kind, .role = lat->role, .epoch = turn.epoch & 1};

	if (latency_options.by == BY_TOTAL) {
		latency_add(&key, lat, owner, true);
		return;
	}
	key_fill(&key.group, latency_options.by, flow, owner);
	/* the port of the service, local or remote */
	if (latency_options.by == BY_PORT && lat->role == ROLE_CLIENT) {
		key.group.flow.lport = 0;
		key.group.flow.rport = flow->rport;
	}
	if (latency_add(&key, lat, owner, false))
		return;
	__sync_fetch_and_add(&st->untracked, 1);
	__builtin_memset(&key.group, 0, sizeof(key.group));
	latency_add(&key, lat, owner, true);
}

static __always_inline void latency_send(const struct latency *lat, const struct flow *flow,
					 const struct owner *owner, struct stats *st)
{
	struct latency_event *ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);

	if (!ev) {
		__sync_fetch_and_add(&st->lost, 1);
		return;
	}
	__builtin_memset(ev, 0, sizeof(*ev));
	ev->ts = bpf_ktime_get_ns();
	ev->duration = lat->ns;
	ev->cgroup = owner->cgroup;
	ev->flow = *flow;
	ev->pid = owner->pid;
	ev->tx_bytes = lat->tx_bytes;
	if (lat->outcome == OUTCOME_DONE)
		ev->rx_bytes = lat->rx_bytes;
	else
		ev->error = lat->error;
	ev->retrans = lat->retrans;
	__builtin_memcpy(ev->comm, owner->comm, COMM_LEN);
	ev->kind = lat->kind;
	ev->role = lat->role;
	ev->outcome = lat->outcome;
	bpf_ringbuf_submit(ev, ring_wake_flags());
}
