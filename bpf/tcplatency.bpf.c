// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcplatency: how long peers take to answer, how long we take, round trips, connects and waits
 * for accept(), by socket. Sends are seen as they begin (tcp_sendmsg_locked: the function, or
 * the tracepoint from 6.17 on), segments as they reach their socket (tcp_v4_do_rcv and
 * tcp_v6_do_rcv, or tcp_probe), the rest at transitions and at accept().
 *
 * Cannot see: data in the SYN; through tcp_probe, what comes after either end has sent its FIN.
 */
#include "latency/connect_accept.bpf.h"
#include "latency/latency_hooks.bpf.h"
#include "latency/transition.bpf.h"
#include "lib/accept_fentry_hooks.bpf.h"
#include "lib/accept_kprobe_hooks.bpf.h"
#include "lib/accept_syscall_hooks.bpf.h"
#include "lib/accept_wait.h"
#include "lib/child_hooks.bpf.h"
#include "lib/destroy_hooks.bpf.h"
#include "lib/owner_hooks.bpf.h"
#include "lib/segment_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"
#include "lib/track.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	struct stats *st = stats_here();
	struct track *track;

	if (!st || !is_tcp(sk, how))
		return;
	track = old_state == TCP_CLOSE || options.use_hash ? track_make(sk) : track_find(sk);
	if (track)
		owner_on_transition(track, sk, old_state, new_state, how);
	if (old_state == TCP_LISTEN || new_state == TCP_LISTEN)
		return;
	latency_wait_on_transition(sk, old_state, new_state, st, how);
	latency_on_transition(sk, old_state, new_state, st, how);
}

static __always_inline void on_segment(struct sock *sk, const struct sk_buff *skb, enum access how)
{
	latency_on_segment(sk, skb, how);
}

static __always_inline void on_tcp_probe(struct sock *sk, const struct sk_buff *skb)
{
	latency_on_segment(sk, skb, BTF_PTR);
}

static __always_inline void on_accept(struct sock *listener, struct sock *child, enum access how)
{
	latency_on_accept(child, accept_wait_end(child, bpf_ktime_get_ns(), how), how);
}

static __always_inline void on_child(struct sock *listener, struct sock *child, enum access how)
{
	owner_on_child(listener, child);
}

static __always_inline void on_destroy(struct sock *sk, enum access how)
{
	if (!options.use_hash)
		return;
	track_forget(sk);
	exchange_forget(sk);
}

/* Records used only through pointers would be missing from BTF and its tests. */
struct latency_event *latency_event_type SEC(".types");
struct latency_head *latency_head_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
