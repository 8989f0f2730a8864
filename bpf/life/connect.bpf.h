/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * connect() that fails before its socket changes its state, without a route for example. Nothing
 * but its return shows that.
 */
#pragma once

#include "life/life.bpf.h"
#include "lib/filter.h"

/* include/uapi/linux/in.h, in6.h: the IPv4 address is where IPv6 has flowinfo. */
struct remote {
	__u16 family;
	__be16 port;
	__be32 addr4;
	__u8 addr6[ADDR_LEN];
	__u32 scope;
};

/* False: unknown, or another call says it. */
static __always_inline bool flow_read_remote(struct flow *flow, const struct sock *sk,
					     const void *uaddr, enum access how)
{
	const struct sock_common *skc = &sk->__sk_common;
	struct remote to;

	if (bpf_probe_read_kernel(&to, sizeof(to), uaddr))
		return false;
	flow->rport = bpf_ntohs(to.port);
	if (to.family == AF_INET) {
		map_v4(flow->raddr, to.addr4);
		return true;
	}
	/* tcp_v6_connect() has tcp_v4_connect() do it, but for sockets of IPv6 only */
	if (to.family != AF_INET6 || (is_mapped_v4(to.addr6) && !is_v6only(skc, how)))
		return false;
	__builtin_memcpy(flow->raddr, to.addr6, ADDR_LEN);
	if (!flow->device && is_link_local(to.addr6))
		flow->device = to.scope;
	if (names_netns(flow))
		flow->netns = netns_of(skc, how);
	return true;
}

static __always_inline __u8 end_of_refusal(__u16 error)
{
	switch (error) {
	case ENETUNREACH:
		return LIFE_UNREACHABLE_NET;
	case EHOSTUNREACH:
		return LIFE_UNREACHABLE_HOST;
	}
	return LIFE_UNKNOWN;
}

/* In the process that called, which owns the socket. */
static __always_inline void life_on_connect_return(struct sock *sk, const void *uaddr, int ret,
						   enum access how)
{
	/* as of a connection that was never answered */
	struct life_event ev = {.kind = LIFE_ENDED, .state = TCP_SYN_SENT, .rtt_min = ~0};
	struct life *life = life_find(sk);
	struct stats *st = stats_here();
	struct track track = {};

	if (life && life->flags & LIFE_CALLED) {
		life->flags &= ~LIFE_CALLED;
		return;
	}
	if (!ret || !st || !is_tcp(sk, how))
		return;
	flow_read_closing(&ev.flow, sk, how);
	if (!flow_read_remote(&ev.flow, sk, uaddr, how))
		return;
	ev.ts = bpf_ktime_get_ns();
	life_tell(&ev, NULL);
	ev.role = ROLE_CLIENT;
	ev.cookie = cookie_of(sk, how);
	ev.ending.error = -ret;
	ev.ending.end = end_of_refusal(ev.ending.error);
	owner_settle(&track.owner);
	life_emit(&ev, &track.owner, st);
}
