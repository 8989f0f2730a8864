// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcplatency: how long peers take to answer, how long we take, round trips, connects and waits
 * for accept(), by socket. Sends are seen as they begin (tcp_sendmsg_locked: the function, or
 * the tracepoint from 6.17 on), segments as they reach their socket (tcp_v4_do_rcv and
 * tcp_v6_do_rcv, or tcp_probe), the rest at transitions and at accept(). latency.h has the work.
 *
 * Cannot see: data in the SYN; through tcp_probe, what comes after either end has sent its FIN.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "wire.h"
#include "reach.h"
#include "compat.h"
#include "emit.h"
#include "sock.h"
#include "filter.h"
#include "ring.h"
#include "owner.h"
#include "child.h"
#include "calls.h"
#include "accepted.h"
#include "group.h"
#include "hist.h"
#include "latencies.h"
#include "batch.h"
#include "exchange.h"
#include "rtt.h"
#include "opening.h"
#include "payload.h"
#include "latency.h"
#include "exchanges.h"

static __always_inline void at_data(struct sock *sk, const struct sk_buff *skb, enum reach how)
{
	exchange_segment(sk, skb, how);
}

static __always_inline void handle_accepted(struct sock *listener, struct sock *child,
					    enum reach how)
{
	process_accepts(child, accept_wait(child, bpf_ktime_get_ns(), how), how);
}

static __always_inline void at_transition(struct sock *sk, int old_state, int new_state,
					  enum reach how)
{
	struct stats *st = stats_here();
	struct track *track;

	if (!st || !is_tcp(sk, how))
		return;
	track = old_state == TCP_CLOSE || options.use_hash ? track_make(sk) : track_find(sk);
	if (track)
		owner_on_transition(track, sk, old_state, new_state, st, how);
	if (old_state == TCP_LISTEN || new_state == TCP_LISTEN)
		return;
	wait_transition(sk, old_state, new_state, st, how);
	latency_transition(sk, old_state, new_state, st, how);
}

static __always_inline void at_destroy(struct sock *sk)
{
	if (!options.use_hash)
		return;
	untrack(sk);
	exchange_forget(sk);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tracepoint, struct sock *sk, int old_state, int new_state)
{
	at_transition(sk, old_state, new_state, TRUSTED);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(state_raw_tracepoint, struct sock *sk, int old_state, int new_state)
{
	at_transition(sk, old_state, new_state, PROBED);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_tracepoint, struct sock *sk)
{
	at_destroy(sk);
	return 0;
}

SEC("raw_tp/tcp_destroy_sock")
int BPF_PROG(destroy_raw_tracepoint, struct sock *sk)
{
	at_destroy(sk);
	return 0;
}

/* Used through pointers alone, records would be left out of BTF and of its tests. */
struct latency_event *latency_event_type SEC(".types");
struct latency_head *latency_head_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
