/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which socket a dropped segment belongs to, and which way it went. */
#pragma once

#include "drop/options.h"
#include "drop/segment.bpf.h"
#include "drop/sockets.bpf.h"

/* 0: a segment that has reached its socket has no device, and maybe no route any more. */
static __always_inline __u32 netns_of_skb(const struct sk_buff *skb)
{
	const struct net_device *dev = BPF_CORE_READ(skb, dev);
	struct dst_entry *dst;

	if (!dev) {
		/* the lowest bit says that it holds no reference */
		dst = (struct dst_entry *)(BPF_CORE_READ(skb, _skb_refdst) & ~1UL);
		dev = dst ? BPF_CORE_READ(dst, dev) : NULL;
	}
	return dev ? inode_of_netns(BPF_CORE_READ(dev, nd_net.net), PROBE_READ) : 0;
}

#define RTCF_LOCAL 0x80000000 /* include/uapi/linux/in_route.h */
#define RTF_LOCAL  0x80000000 /* include/uapi/linux/ipv6_route.h */

/* A received packet that has a route, which does not end here. */
static __always_inline bool is_forwarded(const struct sk_buff *skb, const struct flow *flow)
{
	void *route = (void *)(BPF_CORE_READ(skb, _skb_refdst) & ~1UL);

	if (!route)
		return false;
	if (is_mapped_v4(flow->laddr))
		return !(BPF_CORE_READ((struct rtable *)route, rt_flags) & RTCF_LOCAL);
	return !(BPF_CORE_READ((struct rt6_info *)route, rt6i_flags) & RTF_LOCAL);
}

static __always_inline void flow_turn(struct flow *flow)
{
	struct flow turned = {.lport = flow->rport, .rport = flow->lport, .netns = flow->netns};

	__builtin_memcpy(turned.laddr, flow->raddr, ADDR_LEN);
	__builtin_memcpy(turned.raddr, flow->laddr, ADDR_LEN);
	*flow = turned;
}

/*
 * Whether a segment is one of this socket, and which way it goes. The kernel's own socket for
 * resets has no ports; a closing one has given its own back.
 */
static __always_inline bool direction_by_sock(const struct sock *sk, struct drop_event *ev)
{
	__u16 lport = BPF_CORE_READ(sk, __sk_common.skc_num);
	__u16 rport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));

	if (rport && rport == ev->flow.rport && (!lport || lport == ev->flow.lport)) {
		ev->direction = DROP_OUT;
		return true;
	}
	ev->direction = DROP_IN;
	return (!rport || rport == ev->flow.lport) && (lport ? lport == ev->flow.rport : rport);
}

static __always_inline void sock_read(struct drop_event *ev, const struct sock *sk, enum access how)
{
	ev->state = READ(how, sk, __sk_common.skc_state);
	ev->flow.device = READ(how, sk, __sk_common.skc_bound_dev_if);
	if (options.cookie != COOKIE_NONE)
		ev->cookie = READ(how, sk, __sk_common.skc_cookie.counter);
}

/*
 * A segment that has no IP header yet, or whose memory may not be copied, has its socket's ends.
 * False: it has none, or is not TCP.
 */
static __always_inline bool segment_of_sock(struct segment *seg, const struct sk_buff *skb,
					    const struct sock *sk, bool received, enum access how)
{
	if (!sk || !is_full_sock(sk, how) || !is_tcp(sk, how))
		return false;
	*seg = (struct segment){};
	flow_read(&seg->ev.flow, &sk->__sk_common, how);
	sock_read(&seg->ev, sk, how);
	seg->ev.direction = received ? DROP_IN : DROP_OUT;
	return true;
}

/* Finds the socket by flow, and turns the flow so that its local end is that of this host. */
static __always_inline struct socket_at *find_by_flow(struct drop_event *ev,
						      const struct sk_buff *skb, bool received)
{
	struct socket_at *at;

	if (received)
		flow_turn(&ev->flow);
	ev->direction = received ? DROP_IN : DROP_OUT;
	if (drop_options.find_later) {
		if (received && is_forwarded(skb, &ev->flow))
			ev->flags |= DROP_FORWARDED;
		return NULL;
	}
	at = connection_at(&ev->flow);
	if (at)
		return at;
	flow_turn(&ev->flow);
	at = connection_at(&ev->flow);
	if (at) {
		ev->direction = received ? DROP_OUT : DROP_IN;
		return at;
	}
	flow_turn(&ev->flow);
	if (!ev->flow.netns || (received && is_forwarded(skb, &ev->flow)))
		return NULL;
	return listener_at(&ev->flow);
}

/* The address of the socket of a segment whose headers are known; 0: there is none. */
static __always_inline __u64 find_socket(struct segment *seg, const struct sk_buff *skb,
					 const struct sock *rx_sk)
{
	struct drop_event *ev = &seg->ev;
	const struct sock *sk = rx_sk;
	struct socket_at *at;

	/* up to 6.8 the queue of fragments keeps a number in the place of the socket */
	if (!sk && !seg->in_part)
		sk = BPF_CORE_READ(skb, sk);
	if (sk && direction_by_sock(sk, ev)) {
		if (ev->direction == DROP_IN)
			flow_turn(&ev->flow);
		ev->flow.netns = netns_of(&sk->__sk_common, PROBE_READ);
		sock_read(ev, sk, PROBE_READ);
		return (__u64)sk;
	}
	ev->flow.netns = netns_of_skb(skb);
	at = find_by_flow(ev, skb, rx_sk || BPF_CORE_READ(skb, skb_iif));
	if (!at || at->shared)
		return 0;
	sk = (const struct sock *)at->sk;
	sock_read(ev, sk, PROBE_READ);
	return at->sk;
}
