/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Accepted connections of each listener, and how long they waited for accept(). */
#pragma once

#include "lib/hist.h"
#include "listen/listener_map.bpf.h"

/* Waits for accept() by listener and octave. Preallocated; sized at start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct wait_key);
	__type(value, struct wait_slots);
} waits SEC(".maps");

static __always_inline void wait_add(__u64 sk, __u64 born, __u64 ns, struct stats *st)
{
	static const struct wait_slots fresh;
	__u32 slot = hist_slot(ns);
	struct wait_key key = {.sk = sk, .born = born, .octave = slot / HIST_SUBS};
	struct wait_slots *slots = bpf_map_lookup_elem(&waits, &key);

	if (!slots) {
		bpf_map_update_elem(&waits, &key, &fresh, BPF_NOEXIST);
		slots = bpf_map_lookup_elem(&waits, &key);
	}
	if (!slots) {
		st->untracked++;
		return;
	}
	slot &= HIST_SUBS - 1;
	barrier_var(slot);
	__sync_fetch_and_add(&slots->counts[slot & (HIST_SUBS - 1)], 1);
}

/* accept() has returned a child after this wait in ns, or DURATION_UNKNOWN. */
static __always_inline void listen_on_accept(struct sock *listener, __u64 wait)
{
	__u64 key = (__u64)listener;
	struct listener *l = bpf_map_lookup_elem(&listeners, &key);
	struct stats *st = stats_here();

	if (!l || !st)
		return;
	serves_note((struct service){.netns = l->flow.netns, .port = l->flow.lport},
		    current_program());
	__sync_fetch_and_add(&l->accepted, 1);
	/* the queue held this one; others are seen when the next arrives */
	accept_queue_note(l, l->taken + 1, 0, 1);
	if (wait != DURATION_UNKNOWN)
		wait_add(key, l->born, wait, st);
}
