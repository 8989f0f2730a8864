/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Calls of kernel functions in progress, from their beginning to their return.
 *
 * A kretprobe sees the result alone, so its kprobe saves the arguments. And a return can go unseen,
 * which shows when its thread calls again, and is counted:
 * - The kernel follows few calls at once by kretprobes (maxactive: on old kernels as few as there
 * are CPUs), and a thread that waits in recv() takes one.
 * - Many kernels skip the fexit programs of all calls in progress when any program is attached to
 * the same function or detached from it (bpf_tramp_image_put; e21aa341785c).
 */
#pragma once

#include "lib/bpf.h"
#include "lib/options.h"
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

/* For fexit programs, which see the arguments too: whether this return is to be counted. */
static __always_inline bool call_returns(void)
{
	struct call call;

	return !options.pair_fexit || call_end(&call);
}
