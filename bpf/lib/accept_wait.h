/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How long an established child waits for accept(): from accept_wait_on_transition(), at the end
 * of its handshake, to accept_wait_end(). On two CPUs these may run in either order.
 */
#pragma once

#include "lib/mem_access.h"
#include "wire.h"

/* A child that a process took before its handshake was done. */
#define ACCEPTED_EARLY 0

/*
 * Children that nobody has accepted, by address: CLOCK_MONOTONIC ns at which they were
 * established. An entry ends with accept() or with the connection. Preallocated; sized at start.
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
 * What a transition of a child means for its wait. Returns 0 if another CPU has already accepted
 * it, which ends the wait as it begins, else DURATION_UNKNOWN.
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

/* ns that a child waited, now that it is accepted; DURATION_UNKNOWN: it is older than the tool. */
static __always_inline __u64 accept_wait_end(const struct sock *child, __u64 now, enum access how)
{
	/* before the look at the map: what was established and seen is in there by then */
	bool done = READ(how, child, __sk_common.skc_state) != TCP_SYN_RECV;
	__u64 key = (__u64)child, early = ACCEPTED_EARLY, *since, began;

	since = bpf_map_lookup_elem(&unaccepted, &key);
	if (!since && !done) {
		if (!bpf_map_update_elem(&unaccepted, &key, &early, BPF_NOEXIST))
			return DURATION_UNKNOWN; /* its transition will tell */
		since = bpf_map_lookup_elem(&unaccepted, &key);
	}
	if (!since)
		return DURATION_UNKNOWN;
	began = *since;
	bpf_map_delete_elem(&unaccepted, &key);
	return now > began ? now - began : 0;
}
