// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpretrans: every buffer that TCP sends again (tcp:tcp_retransmit_skb) and every SYN-ACK
 * (tcp:tcp_retransmit_synack), with the owner of the socket, the reason, and how often that
 * segment has been sent again; and those that were needless, as the kernel finds out. With
 * --summary also how many segments sockets send, by the kernel's own count of each. Nothing runs
 * for a connection that does not retransmit, but for its transitions and its end.
 *
 * Cannot see: tail loss probes that carry new data.
 */
#include "count/count_hooks.bpf.h"
#include "lib/child_hooks.bpf.h"
#include "lib/destroy_hooks.bpf.h"
#include "lib/owner_hooks.bpf.h"
#include "lib/retransmit_hooks.bpf.h"
#include "lib/socket_counters_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"
#include "lib/synack_hooks.bpf.h"
#include "retrans/probe_hooks.bpf.h"
#include "retrans/retrans.bpf.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	retrans_on_transition(sk, old_state, new_state, how);
}

static __always_inline void on_child(struct sock *listener, struct sock *child, enum access how)
{
	owner_on_child(listener, child);
}

static __always_inline void on_retransmit(struct sock *sk, const struct sk_buff *skb,
					  enum access how)
{
	retrans_on_segment(sk, skb, how);
}

static __always_inline void on_synack_retransmit(struct sock *sk, struct request_sock *req)
{
	retrans_on_synack(sk, req);
}

static __always_inline void on_visit(struct sock *sk, struct tcp_sock *tp)
{
	retrans_on_visit(sk, tp);
}

static __always_inline void on_destroy(struct sock *sk, enum access how)
{
	retrans_on_destroy(sk, how);
	if (!options.use_hash)
		return;
	track_forget(sk);
	retransmitted_forget(sk);
}

/* Records used only through pointers would be missing from BTF and its tests. */
struct retrans_event *retrans_event_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
