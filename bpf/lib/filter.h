/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The filters that all tools share. Values are constant once a program is loaded, so the
 * verifier removes the code of unused ones.
 */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

const volatile struct filter filter SEC(".rodata.filter") = {};

/* Changes while programs run. */
volatile struct wanted wanted SEC(".data.wanted") = {};

static __always_inline bool ports_match(const volatile struct ports_filter *want, __u16 port)
{
	for (__u32 i = 0; i < MAX_FILTER_VALUES && i < want->nr; i++)
		if (port >= want->ranges[i].first && port <= want->ranges[i].last)
			return true;
	return false;
}

static __always_inline bool device_matches(const volatile struct cidr *net, const struct flow *flow)
{
	return !net->device || (net->device == flow->device && net->netns == flow->netns);
}

/* addr: one of the flow's */
static __always_inline bool addrs_match(const volatile struct addrs_filter *want,
					const struct flow *flow, const __u8 *addr)
{
	const __u64 *have = (const __u64 *)addr;

	for (__u32 i = 0; i < MAX_FILTER_VALUES && i < want->nr; i++) {
		const volatile struct cidr *net = &want->nets[i];

		if ((have[0] & net->mask[0]) == net->addr[0] &&
		    (have[1] & net->mask[1]) == net->addr[1] && device_matches(net, flow))
			return true;
	}
	return false;
}

static __always_inline bool is_mapped_v4(const __u8 *addr)
{
	const __u32 *word = (const __u32 *)addr;

	return !word[0] && !word[1] && word[2] == bpf_htonl(0xffff);
}

static __always_inline bool is_link_local(const __u8 *addr)
{
	return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

/* The families that a listener at the wildcard address takes; 0: it has an address. */
static __always_inline __u32 wildcard_families(const __u8 *laddr, bool v6only)
{
	const __u64 *half = (const __u64 *)laddr;
	const __u32 *word = (const __u32 *)laddr;

	if (is_mapped_v4(laddr))
		return word[3] ? 0 : FAMILY_V4;
	if (half[0] || half[1])
		return 0;
	return v6only ? FAMILY_V6 : FAMILY_V4 | FAMILY_V6;
}

/* Whether a listener at the wildcard address serves an address of the networks. */
static __always_inline bool addrs_served(const volatile struct addrs_filter *want,
					 const struct flow *flow, __u32 families)
{
	for (__u32 i = 0; i < MAX_FILTER_VALUES && i < want->nr; i++)
		if (want->nets[i].families & families && device_matches(&want->nets[i], flow))
			return true;
	return false;
}

static __always_inline bool family_matches(const struct flow *flow, __u32 wildcard)
{
	__u32 families = wildcard ?: is_mapped_v4(flow->laddr) ? FAMILY_V4 : FAMILY_V6;

	return families & (filter.family == 4 ? FAMILY_V4 : FAMILY_V6);
}

/* Not called without filters: then the verifier drops it as a whole, far faster than copies of it.
 */
SUBPROG bool ends_pass(const struct flow *flow, __u32 wildcard)
{
	if (filter.by_netns && flow->netns != wanted.netns)
		return false;
	if (filter.family && !family_matches(flow, wildcard))
		return false;
	if (filter.lport.nr && !ports_match(&filter.lport, flow->lport))
		return false;
	if (filter.rport.nr && !ports_match(&filter.rport, flow->rport))
		return false;
	if (filter.port.nr && !ports_match(&filter.port, flow->lport) &&
	    !ports_match(&filter.port, flow->rport))
		return false;
	if (filter.laddr.nr && !addrs_match(&filter.laddr, flow, flow->laddr) &&
	    !addrs_served(&filter.laddr, flow, wildcard))
		return false;
	if (filter.raddr.nr && !addrs_match(&filter.raddr, flow, flow->raddr))
		return false;
	if (filter.addr.nr && !addrs_match(&filter.addr, flow, flow->laddr) &&
	    !addrs_match(&filter.addr, flow, flow->raddr) &&
	    !addrs_served(&filter.addr, flow, wildcard))
		return false;
	return true;
}

/*
 * wildcard: wildcard_families() of a listener, 0 for a connection. A port that is not known yet (0)
 * matches no port filter.
 */
static __always_inline bool ends_match(const struct flow *flow, __u32 wildcard)
{
	return !filter.by_flow || ends_pass(flow, wildcard);
}

static __always_inline bool flow_matches(const struct flow *flow)
{
	return ends_match(flow, 0);
}

/* One step of the automaton per byte; see CommGlob in src/filter/glob.rs. */
static __always_inline bool comm_matches(const __u8 *comm)
{
	__u32 reached = 1;

	for (int i = 0; i < COMM_LEN; i++) {
		__u8 c = comm[i];

		if (!c)
			break;
		reached = ((reached & filter.comm_step[c]) << 1) | (reached & filter.comm_stay);
	}
	return !(reached & filter.comm_accept) == !!filter.comm_negated;
}

static __always_inline bool pids_match(__u32 pid)
{
	for (__u32 i = 0; i < MAX_FILTER_VALUES && i < filter.nr_pids; i++)
		if (filter.pids[i] == pid)
			return true;
	return false;
}

static __always_inline bool owner_filtered(void)
{
	return filter.nr_pids || filter.comm_on || filter.by_cgroup;
}

/*
 * Walks up to the level of the wanted cgroup. The array of ancestors would take one step, but
 * the verifier refuses to read it where it lies in the padding of struct cgroup.
 */
static __always_inline bool cgroup_matches(struct cgroup *cgrp)
{
	for (int i = 0; i < MAX_CGROUP_DEPTH && cgrp; i++) {
		if ((__u32)cgrp->level <= wanted.cgroup_level)
			return cgrp->kn->id == wanted.cgroup;
		cgrp = cgrp->self.parent->cgroup;
	}
	return false;
}

/* See ends_pass(). */
SUBPROG bool owner_passes(const struct owner *owner, struct cgroup *cgrp)
{
	if (filter.nr_pids && !pids_match(owner->pid))
		return false;
	if (filter.comm_on && !comm_matches(owner->comm))
		return false;
	if (filter.by_cgroup && !cgroup_matches(cgrp))
		return false;
	return true;
}

/* Called when an owner is learned, not for each event; cgrp is the owner's. */
static __always_inline bool owner_matches(const struct owner *owner, struct cgroup *cgrp)
{
	return !owner_filtered() || owner_passes(owner, cgrp);
}

/* The same for the current task, where programs cannot read it. */
static __always_inline bool owner_matches_by_helpers(const struct owner *owner)
{
	if (filter.nr_pids && !pids_match(owner->pid))
		return false;
	if (filter.comm_on && !comm_matches(owner->comm))
		return false;
	if (filter.by_cgroup &&
	    bpf_get_current_ancestor_cgroup_id(wanted.cgroup_level) != wanted.cgroup)
		return false;
	return true;
}
