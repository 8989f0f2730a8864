/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Kernel differences, each with what made it. */
#ifndef TCPSCOPE_COMPAT_H
#define TCPSCOPE_COMPAT_H

/*
 * The id of a cgroup's ancestor at a level. Up to 5.18 a cgroup keeps ids, from 5.19
 * (7f203bc89eb6 "cgroup: Replace cgroup->ancestor_ids[] with ->ancestors[]") pointers.
 */
static __always_inline __u64 cgroup_ancestor_id(struct cgroup *cgrp, __u32 level)
{
	if (level > (__u32)cgrp->level)
		return 0;
	if (bpf_core_field_exists(cgrp->ancestors))
		return cgrp->ancestors[level]->kn->id;
	return ((struct cgroup___ids *)cgrp)->ancestor_ids[level];
}

/*
 * CLOCK_MONOTONIC milliseconds (32 bits) at which a timewait socket began; 0 where the
 * kernel does not keep it.
 */
static __always_inline __u32 timewait_entry_ms(const struct inet_timewait_sock *tw)
{
	const struct inet_timewait_sock___stamp *stamped = (const void *)tw;

	if (!bpf_core_field_exists(stamped->tw_entry_stamp))
		return 0;
	return stamped->tw_entry_stamp;
}

#endif /* TCPSCOPE_COMPAT_H */
