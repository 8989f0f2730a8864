// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * listenoverflow: what each listening socket loses for full queues, how full they are and were,
 * and how long connections wait for accept(). Here the programs are attached; listen.h and
 * decide.h have the work, listeners.h the list of all listeners.
 *
 * Where functions can be hooked, the programs see the kernel decide about each SYN
 * (tcp_conn_request) and each last ACK (final_ack.h). Elsewhere
 * they see how often a listener has dropped something (sk_drops), and user space finds the cause
 * in the counters of the namespace.
 *
 * Cannot see: why a connection was dropped that no queue had a part in.
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
#include "calls.h"
#include "hist.h"
#include "accepted.h"
#include "listeners.h"
#include "listen.h"
#include "decide.h"
#include "final_ack.h"
#include "knock.h"
#include "queued.h"

/* known to BTF by these alone */
struct listener_entry listener_entry_type SEC(".types");
struct listen_event listen_event_type SEC(".types");

static __always_inline void at_child(struct sock *listener, struct sock *child, enum reach how)
{
	listener_queues(listener, how);
}

static __always_inline void handle_accepted(struct sock *listener, struct sock *child,
					    enum reach how)
{
	listener_accepts(listener, accept_wait(child, bpf_ktime_get_ns(), how));
}

static __always_inline void at_transition(struct sock *sk, int old_state, int new_state,
					  enum reach how)
{
	struct stats *st;

	listener_transition(sk, old_state, new_state, how);
	if (!options.waits || !accept_concerns(old_state, new_state) || !is_tcp(sk, how))
		return;
	st = stats_here();
	if (st)
		accept_on_transition(sk, old_state, new_state, bpf_ktime_get_ns(), st);
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

char LICENSE[] SEC("license") = "Dual MIT/GPL";
