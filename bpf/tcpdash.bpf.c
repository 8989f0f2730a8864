// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpdash: the handlers of all tools in one set of programs, so that each hook runs one program
 * and each socket is remembered once. Counts by connection (count.h), the inventory of sockets
 * with ages and owners (states.h, inventory.h), latencies by process and remote address
 * (latency.h) and listeners (listen.h, decide.h), all without events.
 *
 * Where sends are seen as they return (kernels 6.3 to 6.16 without fentry and kprobes) the
 * tracepoint sock_send_length has two programs: one counts, one measures.
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
#include "inherit.h"
#include "calls.h"
#include "inventory.h"
#include "transition.h"
#include "timewait.h"
#include "states.h"
#include "group.h"
#include "count.h"
#include "hist.h"
#include "accepted.h"
#include "latencies.h"
#include "batch.h"
#include "exchange.h"
#include "rtt.h"
#include "opening.h"
#include "payload.h"
#include "latency.h"
#include "listeners.h"
#include "listen.h"
#include "decide.h"
#include "parts.h"

static __always_inline void at_send(struct sock *sk, int ret, enum reach how)
{
	handle_send(sk, ret, how);
}

static __always_inline void at_receive(struct sock *sk, int ret, int flags, enum reach how)
{
	handle_receive(sk, ret, flags, how);
}

static __always_inline void at_data(struct sock *sk, const struct sk_buff *skb, enum reach how)
{
	if (READ(how, sk, __sk_common.skc_state) == TCP_ESTABLISHED)
		handle_segment(sk, how);
	exchange_segment(sk, skb, how);
}

static __always_inline void at_child(struct sock *listener, struct sock *child, enum reach how)
{
	if (options.use_hash)
		handle_child(listener, child);
	listener_queues(listener, how);
}

static __always_inline void handle_accepted(struct sock *listener, struct sock *child,
					    enum reach how)
{
	__u64 wait = accept_wait(child, bpf_ktime_get_ns(), how);

	process_accepts(child, wait, how);
	listener_accepts(listener, wait);
}

static __always_inline void at_destroy(struct sock *sk, enum reach how)
{
	handle_destroy(sk, how);
	if (options.use_hash)
		exchange_forget(sk);
}

#include "data.h"
#include "exchanges.h"
#include "final_ack.h"
#include "knock.h"
#include "queued.h"

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tracepoint, struct sock *sk, int old_state, int new_state)
{
	at_transition_trusted(sk, old_state, new_state);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(state_raw_tracepoint, struct sock *sk, int old_state, int new_state)
{
	at_transition_probed(sk, old_state, new_state);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_tracepoint, struct sock *sk)
{
	at_destroy(sk, TRUSTED);
	return 0;
}

SEC("raw_tp/tcp_destroy_sock")
int BPF_PROG(destroy_raw_tracepoint, struct sock *sk)
{
	at_destroy(sk, PROBED);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
