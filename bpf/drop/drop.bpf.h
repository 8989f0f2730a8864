/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* TCP segments that the kernel drops: of which socket, why and where. */
#pragma once

#include "drop/options.h"
#include "drop/places.bpf.h"
#include "drop/segment.bpf.h"
#include "drop/sockets.bpf.h"
#include "lib/ring.h"

/* Whether this kernel knows a drop reason, and it is this one. */
#define DROP_REASON_IS(reason, name)                                                               \
	(bpf_core_enum_value_exists(enum skb_drop_reason, name) &&                                 \
	 (reason) == bpf_core_enum_value(enum skb_drop_reason, name))

/* Nothing is lost: it was for another host, is done with, or is the copy of a packet capture. */
static __always_inline bool is_noise(__u32 reason)
{
	return DROP_REASON_IS(reason, SKB_CONSUMED) ||
	       DROP_REASON_IS(reason, SKB_DROP_REASON_OTHERHOST) ||
	       DROP_REASON_IS(reason, SKB_DROP_REASON_PACKET_SOCK_ERROR);
}

#define TCP_HEADER_FIN 1

/*
 * A FIN that the application did not read stays in the queue of its socket, and is freed with it:
 * that is how most connections end.
 */
static __always_inline bool is_end_of_queue(const struct drop_event *ev)
{
	return ev->state == TCP_CLOSE && ev->direction == DROP_IN && ev->flags & DROP_HAS_FLAGS &&
	       ev->tcp_flags & TCP_HEADER_FIN && ev->flags & DROP_HAS_LEN && !ev->len;
}

static __always_inline bool reason_wanted(__u32 reason)
{
	if (!drop_options.by_reason)
		return true;
	if (reason >= DROP_REASONS)
		return drop_options.other_reasons;
	return drop_options.reasons[(reason / 32) % (DROP_REASONS / 32)] & 1U << reason % 32;
}

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

/* A socket that begins with sock_common may be half-open or in TIME_WAIT, and nothing more. */
static __always_inline bool is_full_sock(const struct sock *sk, enum access how)
{
	__u8 state = READ(how, sk, __sk_common.skc_state);

	return state && state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
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

/* A child that nothing is known of has its listener's owner, and so has a half-open connection. */
static __always_inline const struct owner *owner_of(__u64 sk, const struct flow *flow)
{
	struct track *track = sk ? track_find((struct sock *)sk) : NULL;
	struct socket_at *at;

	if (!sk || (track && track->owner.pid))
		return track ? &track->owner : NULL;
	at = listener_at(flow);
	track = at && !at->shared ? track_find((struct sock *)at->sk) : NULL;
	return track && track->owner.pid ? &track->owner : NULL;
}

static __always_inline __u16 segs_of(const struct sk_buff *skb)
{
	unsigned char *end = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, end);

	return BPF_CORE_READ((struct skb_shared_info *)end, gso_segs) ?: 1;
}

static __always_inline void drop_emit(struct drop_event *ev, __u64 sk, struct stats *st)
{
	const struct owner *owner = owner_of(sk, &ev->flow);

	if (!flow_matches(&ev->flow) ||
	    (owner_filtered() && !(owner && owner->flags & OWNER_MATCHES))) {
		st->filtered++;
		return;
	}
	if (owner) {
		ev->cgroup = owner->cgroup;
		ev->pid = owner->pid;
		__builtin_memcpy(ev->comm, owner->comm, COMM_LEN);
	}
	ev->ts = bpf_ktime_get_ns();
	place_note(ev->place);
	if (bpf_ringbuf_output(&events, ev, sizeof(*ev), ring_wake_flags()))
		st->lost++;
}

/*
 * Whether it is TCP; finds the address of its socket, 0 if there is none. For the verifier, a
 * typed pointer that is followed on many paths costs many times as much as a copy.
 */
static __always_inline bool segment_identify(struct segment *seg, const struct sk_buff *skb,
					     const struct sock *rx_sk, bool wanted, __u64 *at,
					     enum access how)
{
	__be16 protocol = READ(how, skb, protocol);
	const struct sock *sk;

	if (!options.may_copy) {
		sk = rx_sk ?: READ(how, skb, sk);
		*at = (__u64)sk;
		return segment_of_sock(seg, skb, sk, rx_sk || READ(how, skb, skb_iif), how);
	}
	if (!protocol) {
		sk = BPF_CORE_READ(skb, sk);
		*at = (__u64)sk;
		return segment_of_sock(seg, skb, sk, false, PROBE_READ);
	}
	if (!segment_read(seg, skb, protocol, how))
		return false;
	if (wanted)
		*at = find_socket(seg, skb, rx_sk);
	return true;
}

/* kfree_skb: the cheapest test that ends most runs comes first. */
static __always_inline void drop_on_free(const struct sk_buff *skb, __u64 place, __u32 reason,
					 const struct sock *rx_sk, enum access how)
{
	bool wanted = reason_wanted(reason) && !is_noise(reason);
	struct stats *st = stats_here();
	struct segment seg;
	__u64 sk = 0;

	if (!st)
		return;
	if (!segment_identify(&seg, skb, rx_sk, wanted, &sk, how) || is_noise(reason)) {
		st->hidden++;
		return;
	}
	if (wanted && is_end_of_queue(&seg.ev)) {
		st->hidden++;
		return;
	}
	st->attempted++;
	if (!wanted) {
		st->filtered++;
		return;
	}
	seg.ev.place = place;
	seg.ev.reason = reason;
	seg.ev.segs = options.may_copy ? segs_of(skb) : 1;
	drop_emit(&seg.ev, sk, st);
}
