/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Keys that events are summed by (--by). */
#pragma once

#include "lib/filter.h"
#include "lib/options.h"
#include "lib/owner.h"

static __always_inline void keep_prefix(__u8 *addr)
{
	__u32 bits = is_mapped_v4(addr) ? 96 + options.remote_prefix4 : options.remote_prefix6;
	__u64 *half = (__u64 *)addr;

	if (bits >= 128)
		return;
	if (bits >= 64) {
		half[1] &= bits == 64 ? 0 : bpf_cpu_to_be64(~0ULL << (128 - bits));
	} else {
		half[0] &= bits ? bpf_cpu_to_be64(~0ULL << (64 - bits)) : 0;
		half[1] = 0;
	}
}

/* A link-local address is another host's on each link. */
static __always_inline void key_remote(struct group_key *key, const struct flow *flow)
{
	__builtin_memcpy(key->flow.raddr, flow->raddr, ADDR_LEN);
	if (flow->device && is_link_local(flow->raddr)) {
		key->flow.device = flow->device;
		key->flow.netns = flow->netns;
	}
}

static __always_inline void key_fill(struct group_key *key, __u32 by, const struct flow *flow,
				     const struct owner *owner)
{
	switch (by) {
	case BY_PROCESS:
		key->pid = owner->pid;
		key->life = owner_life(owner);
		break;
	case BY_CONNECTION:
		key->flow = *flow;
		break;
	case BY_REMOTE:
		key_remote(key, flow);
		keep_prefix(key->flow.raddr);
		break;
	case BY_PORT:
		key->flow.lport = flow->lport;
		break;
	case BY_CGROUP:
		key->cgroup = owner->cgroup;
		break;
	case BY_NETNS:
		key->flow.netns = flow->netns;
		break;
	case BY_PEER:
		key->pid = owner->pid;
		key->life = owner_life(owner);
		key_remote(key, flow);
		break;
	}
}

static __always_inline bool reads_flow(__u32 by)
{
	return by == BY_CONNECTION || by == BY_REMOTE || by == BY_PORT || by == BY_NETNS ||
	       by == BY_PEER || filter.by_netns || filter.family || filter.lport.nr ||
	       filter.rport.nr || filter.port.nr || filter.laddr.nr || filter.raddr.nr ||
	       filter.addr.nr;
}

/* Whether a key belongs to one process, whose name is kept in the value. */
static __always_inline bool has_process(__u32 by)
{
	return by == BY_PROCESS || by == BY_CONNECTION || by == BY_PEER;
}

static __always_inline bool reads_owner(__u32 by)
{
	return has_process(by) || by == BY_CGROUP || owner_filtered();
}
