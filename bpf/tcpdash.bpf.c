// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpdash: the handlers of all subjects in one set of programs, so that each hook runs one program
 * and each socket is stored once. Counts by connection, ends by process, all sockets with ages and
 * owners, latencies by process and remote address, listeners, local ports by destination, and
 * connections that do not move; events only of closed listeners and of dropped segments. With
 * --light nothing runs as data passes: counts are TCP's own, latencies those of the handshake.
 *
 * kfree_skb has two programs where only it shows final ACKs that a listener drops. Where sends are
 * seen as they return (kernels 6.3 to 6.16 without fentry and kprobes) the tracepoint
 * sock_send_length has two programs: one counts, one measures.
 */
#include "count/count_hooks.bpf.h"
#include "count/light.bpf.h"
#include "dash/tcpdash_transition.bpf.h"
#include "drop/drop_hooks.bpf.h"
#include "latency/connect_accept.bpf.h"
#include "latency/latency_hooks.bpf.h"
#include "lib/accept_fentry_hooks.bpf.h"
#include "lib/accept_kprobe_hooks.bpf.h"
#include "lib/accept_wait.h"
#include "lib/bpf.h"
#include "lib/child_hooks.bpf.h"
#include "lib/destroy_hooks.bpf.h"
#include "lib/owner_hooks.bpf.h"
#include "lib/retransmit_hooks.bpf.h"
#include "lib/segment_hooks.bpf.h"
#include "lib/send_recv_hooks.bpf.h"
#include "lib/socket_counters_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"
#include "lib/synack_hooks.bpf.h"
#include "lib/track.h"
#include "life/reset_hooks.bpf.h"
#include "listen/listener_hooks.bpf.h"
#include "listen/syn_hooks.bpf.h"
#include "listen/syn_recv_sock_hooks.bpf.h"
#include "listen/wait.bpf.h"
#include "ports/counts_hooks.bpf.h"
#include "ports/entries.bpf.h"
#include "stall/conn_hooks.bpf.h"
#include "states/socket_summary_hooks.bpf.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	all_on_transition(sk, old_state, new_state, how);
}

static __always_inline void on_reset(struct sock *sk, bool active, enum access how)
{
	endings_on_reset(sk, active, how);
}

static __always_inline void on_send(struct sock *sk, int ret, enum access how)
{
	count_on_send(sk, ret, how);
}

static __always_inline void on_recv(struct sock *sk, int ret, int flags, enum access how)
{
	count_on_recv(sk, ret, flags, how);
}

/* Apart, for the stack: see dash/tcpdash_transition.bpf.h. */
SUBPROG int count_segment_btf_ptr(struct sock *sk)
{
	count_on_segment(sk, BTF_PTR);
	return 0;
}

SUBPROG int count_segment_probe_read(struct sock *sk)
{
	count_on_segment(sk, PROBE_READ);
	return 0;
}

static __always_inline void on_segment(struct sock *sk, const struct sk_buff *skb, enum access how)
{
	if (READ(how, sk, __sk_common.skc_state) == TCP_ESTABLISHED) {
		if (how == BTF_PTR)
			count_segment_btf_ptr(sk);
		else
			count_segment_probe_read(sk);
	}
	latency_on_segment(sk, skb, how);
}

static __always_inline void on_tcp_probe(struct sock *sk, const struct sk_buff *skb)
{
	on_segment(sk, skb, BTF_PTR);
}

static __always_inline void on_accept(struct sock *listener, struct sock *child, enum access how)
{
	__u64 wait = accept_wait_end(child, bpf_ktime_get_ns(), how);

	latency_on_accept(child, wait, how);
	listen_on_accept(listener, wait);
}

static __always_inline void on_child(struct sock *listener, struct sock *child, enum access how)
{
	if (options.use_hash)
		owner_on_child(listener, child);
	listen_on_child(listener, how);
}

static __always_inline void on_destroy(struct sock *sk, enum access how)
{
	if (count_options.light)
		light_on_destroy(sk, how);
	else
		count_on_destroy(sk, how);
	if (options.use_hash)
		exchange_forget(sk);
}

static __always_inline void on_retransmit(struct sock *sk, const struct sk_buff *skb,
					  enum access how)
{
	count_on_retransmit(sk, skb, how);
}

static __always_inline void on_synack_retransmit(struct sock *sk, struct request_sock *req)
{
	listen_on_synack_retransmit(sk, req);
	if (!count_options.light)
		count_on_synack(sk, req);
}

static __always_inline void on_visit(struct sock *sk, struct tcp_sock *tp)
{
	light_on_visit(sk, tp);
}

/* Records used only through pointers would be missing from BTF and its tests. */
struct port_entry *port_entry_type SEC(".types");
struct conn_entry *conn_entry_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
