/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Wait of an established child for accept(): from accept_wait_on_transition(), at the end
 * of its handshake, to accept_wait_end(). On two CPUs these may run in either order.
 */
#pragma once

#include "lib/mem_access.h"
#include "wire.h"

/* Stored for a child that was accepted before its transition to ESTABLISHED was seen. */
#define ACCEPTED_EARLY 0

/*
 * Children not accepted yet, by address: CLOCK_MONOTONIC ns at which they were established.
 * Removed by accept() or with the connection. Preallocated; sized at start.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
} unaccepted SEC(".maps");

static __always_inline bool accept_wait_concerns(int old_state, int new_state)
{
	return new_state == TCP_CLOSE ||
	       (old_state == TCP_SYN_RECV && new_state == TCP_ESTABLISHED);
}

/*
 * Begins the wait of a child, or forgets one that closes. Returns 0 ns if another CPU has already
 * accepted it, else DURATION_UNKNOWN.
 */
static __always_inline __u64 accept_wait_on_transition(const struct sock *sk, int old_state,
						       int new_state, __u64 now, struct stats *st)
{
	__u64 key = (__u64)sk, *since;

	if (new_state == TCP_CLOSE) {
		bpf_map_delete_elem(&unaccepted, &key);
		return DURATION_UNKNOWN;
	}
	if (old_state != TCP_SYN_RECV || new_state != TCP_ESTABLISHED)
		return DURATION_UNKNOWN;
	if (!bpf_map_update_elem(&unaccepted, &key, &now, BPF_NOEXIST))
		return DURATION_UNKNOWN;
	since = bpf_map_lookup_elem(&unaccepted, &key);
	if (!since) {
		st->untracked++;
		return DURATION_UNKNOWN;
	}
	if (*since != ACCEPTED_EARLY)
		return DURATION_UNKNOWN;
	bpf_map_delete_elem(&unaccepted, &key);
	return 0;
}

/* ns that an accepted child has waited; DURATION_UNKNOWN: it is older than the tool. */
static __always_inline __u64 accept_wait_end(const struct sock *child, __u64 now, enum access how)
{
	/* read before the map: an established child whose transition was seen is in it by then */
	bool done = READ(how, child, __sk_common.skc_state) != TCP_SYN_RECV;
	__u64 key = (__u64)child, early = ACCEPTED_EARLY, *since, began;

	since = bpf_map_lookup_elem(&unaccepted, &key);
	if (!since && !done) {
		if (!bpf_map_update_elem(&unaccepted, &key, &early, BPF_NOEXIST))
			return DURATION_UNKNOWN; /* its transition ends the wait */
		since = bpf_map_lookup_elem(&unaccepted, &key);
	}
	if (!since)
		return DURATION_UNKNOWN;
	began = *since;
	bpf_map_delete_elem(&unaccepted, &key);
	return now > began ? now - began : 0;
}
