/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which process has closed a connection that lives on as a timewait socket. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

/* Owner of a connection that a timewait socket has, which knows none itself. */
struct closer {
	struct owner owner;
	__u64 since;
};

/* LRU: a timewait socket that is not found here has an unknown owner. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow);
	__type(value, struct closer);
} closers SEC(".maps");

static __always_inline void remember_closer(const struct flow *flow, const struct owner *owner,
					    __u64 now)
{
	struct closer closer = {.owner = *owner, .since = now};

	bpf_map_update_elem(&closers, flow, &closer, BPF_ANY);
}
