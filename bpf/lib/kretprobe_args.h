/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Arguments of a kernel function, saved by its kprobe for its kretprobe, which sees the result
 * alone.
 *
 * The kernel follows few calls at once (kretprobe's maxactive: on old kernels as few as there
 * are CPUs), and a thread that waits in recv() takes one. A return that was not seen shows when
 * its thread calls again, and is counted.
 */
#pragma once

#include "lib/bpf.h"
#include "lib/stats.h"

struct call {
	struct sock *sk;
	__u64 flags;
};

/* By thread: no thread is in two of these functions at once. Preallocated; sized at start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct call);
} calls SEC(".maps");

static __always_inline void call_begin(struct sock *sk, __u64 flags)
{
	struct call call = {.sk = sk, .flags = flags};
	__u64 thread = bpf_get_current_pid_tgid();
	struct stats *st = stats_here();

	if (!st)
		return;
	if (bpf_map_lookup_elem(&calls, &thread))
		st->unreturned++;
	if (bpf_map_update_elem(&calls, &thread, &call, BPF_ANY))
		st->unreturned++;
}

/* False: the call began before the programs were attached, or is already counted as unreturned. */
static __always_inline bool call_end(struct call *call)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *begun = bpf_map_lookup_elem(&calls, &thread);

	if (!begun)
		return false;
	*call = *begun;
	bpf_map_delete_elem(&calls, &thread);
	return true;
}
