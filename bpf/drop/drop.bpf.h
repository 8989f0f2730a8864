/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* TCP segments that the kernel drops: of which socket, why and where. */
#pragma once

#include "drop/find.bpf.h"
#include "drop/noise.bpf.h"
#include "drop/options.h"
#include "drop/places.bpf.h"
#include "lib/wake.h"

/* Not that of other events: a flood of drops must not take their room. Sized at start. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} drops SEC(".maps");

static __always_inline bool reason_wanted(__u32 reason)
{
	if (!drop_options.by_reason)
		return true;
	if (reason >= DROP_REASONS)
		return drop_options.other_reasons;
	return drop_options.reasons[(reason / 32) % (DROP_REASONS / 32)] & 1U << reason % 32;
}

/* A child that nothing is known of has its listener's owner, and so has a half-open connection. */
static __always_inline const struct owner *drop_owner(__u64 sk, const struct flow *flow)
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

/* Where user space finds the socket, it also filters by what is known of the socket alone. */
static __always_inline bool drop_matches(const struct drop_event *ev, const struct owner *owner)
{
	struct flow flow = ev->flow;

	if (drop_options.find_later) {
		if (!flow.netns)
			flow.netns = wanted.netns;
		return flow_matches(&flow);
	}
	return flow_matches(&flow) &&
	       (!owner_filtered() || (owner && owner->flags & OWNER_MATCHES));
}

static __always_inline void drop_emit(struct drop_event *ev, __u64 sk, struct stats *st)
{
	const struct owner *owner = drop_options.find_later ? NULL : drop_owner(sk, &ev->flow);

	if (!drop_matches(ev, owner)) {
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
	if (bpf_ringbuf_output(&drops, ev, sizeof(*ev),
			       wake_flags_of_many(&drops, st->attempted - st->filtered)))
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
	if (is_copy(rx_sk) || (wanted && is_end_of_queue(&seg.ev))) {
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
