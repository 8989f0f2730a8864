/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What became of events: counters that user space reads. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

/* Per CPU: the hot path must not share cache lines. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stats);
} stats SEC(".maps");

static __always_inline struct stats *stats_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stats, &zero);
}
