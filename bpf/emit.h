/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Options, the ring buffer, and the count of everything that did not get through it. */
#ifndef TCPSCOPE_EMIT_H
#define TCPSCOPE_EMIT_H

/* A section of its own, so that user space writes it as one record. */
const volatile struct options options SEC(".rodata.options") = {};

/* Per CPU, so that no event contends with another for the sake of being counted. */
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

#endif /* TCPSCOPE_EMIT_H */
