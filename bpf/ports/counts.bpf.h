/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Connects and failures by destination, and how long the search for a port took. */
#pragma once

#include "lib/hist.h"
#include "lib/ring.h"
#include "lib/stats.h"
#include "lib/track.h"
#include "ports/options.h"
#include "ports/port.h"

/* Shared by all CPUs: an entry a destination, added to once a connect. Sized at start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct port_key);
	__type(value, struct port_counts);
} port_counts SEC(".maps");

/* As above, an entry for each octave that a destination has times of. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct port_search_key);
	__type(value, struct wait_slots);
} port_searches SEC(".maps");

static __always_inline struct port_counts *counts_find(const struct port_key *key)
{
	return bpf_map_lookup_elem(&port_counts, key);
}

/* owner may be NULL. */
static __always_inline struct port_counts *counts_make(const struct port_key *key,
						       const struct owner *owner, struct stats *st)
{
	struct port_counts *counts = counts_find(key), fresh = {};

	if (counts)
		return counts;
	if (owner)
		__builtin_memcpy(fresh.comm, owner->comm, COMM_LEN);
	fresh.matches = flow_matches(&key->flow) &&
			(!owner_filtered() || (owner && owner->flags & OWNER_MATCHES));
	bpf_map_update_elem(&port_counts, key, &fresh, BPF_NOEXIST);
	counts = counts_find(key);
	if (!counts)
		st->untracked++;
	return counts;
}

static __always_inline void search_count(const struct port_key *key, __u64 ns, struct stats *st)
{
	static const struct wait_slots fresh;
	__u32 slot = hist_slot(ns);
	struct port_search_key search = {.key = *key, .octave = slot / HIST_SUBS};
	struct wait_slots *slots = bpf_map_lookup_elem(&port_searches, &search);

	if (!slots) {
		bpf_map_update_elem(&port_searches, &search, &fresh, BPF_NOEXIST);
		slots = bpf_map_lookup_elem(&port_searches, &search);
	}
	if (slots)
		__sync_fetch_and_add(&slots->counts[slot % HIST_SUBS], 1);
	else
		st->untracked++;
}

/* A search began with CLOSE -> SYN_SENT, and its end is not known yet. */
static __always_inline bool is_searching(const struct track *track)
{
	return ports_options.searches && track && track->since && !(track->marks & TRACK_BOUND);
}

static __always_inline void search_done(const struct port_key *key, struct track *track,
					struct stats *st)
{
	__u64 since;

	if (!is_searching(track))
		return;
	since = track->since;
	track->since = 0;
	search_count(key, bpf_ktime_get_ns() - since, st);
}

/*
 * SYN_SENT ends, and no function has shown the end of the search: it is when tcp_connect() noted
 * the time for its SYN. A SYN that was sent again has another time.
 */
static __always_inline void search_until_syn(const struct port_key *key, struct tcp_sock *tp,
					     struct track *track, struct stats *st, enum access how)
{
	__u64 since = track->since, sent = READ(how, tp, tcp_wstamp_ns);

	track->since = 0;
	if (sent < since || READ(how, tp, total_retrans))
		return;
	search_count(key, sent - since, st);
}
