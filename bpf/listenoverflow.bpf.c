// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * listenoverflow: what each listening socket loses because a queue is full, how full its queues
 * are and were, and how long connections wait for accept().
 *
 * Where functions can be hooked, the programs see the kernel decide about each SYN
 * (tcp_conn_request) and each final ACK (tcp_v4_syn_recv_sock, tcp_v6_syn_recv_sock). Elsewhere
 * they see how often a listener has dropped something (sk_drops), and user space finds the cause
 * in the counters of the namespace.
 *
 * Cannot see: why a connection was dropped that no queue had a part in.
 */
#include "lib/accept_fentry_hooks.bpf.h"
#include "lib/accept_kprobe_hooks.bpf.h"
#include "lib/accept_syscall_hooks.bpf.h"
#include "lib/accept_wait.h"
#include "lib/child_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"
#include "lib/synack_hooks.bpf.h"
#include "listen/listen.bpf.h"
#include "listen/listener_hooks.bpf.h"
#include "listen/options.h"
#include "listen/syn_hooks.bpf.h"
#include "listen/syn_recv_sock_hooks.bpf.h"
#include "listen/wait.bpf.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	struct stats *st;

	listen_on_transition(sk, old_state, new_state, how);
	if (closed_by_process(sk, old_state, new_state, how))
		serves_note(service_of(sk, how), current_program());
	if (!listen_options.waits || !accept_wait_concerns(old_state, new_state) ||
	    !is_tcp(sk, how))
		return;
	st = stats_here();
	if (st)
		accept_wait_on_transition(sk, old_state, new_state, bpf_ktime_get_ns(), st);
}

static __always_inline void on_child(struct sock *listener, struct sock *child, enum access how)
{
	listen_on_child(listener, how);
}

static __always_inline void on_accept(struct sock *listener, struct sock *child, enum access how)
{
	listen_on_accept(listener, accept_wait_end(child, bpf_ktime_get_ns(), how));
}

/* these put the types into BTF */
struct listener_entry listener_entry_type SEC(".types");
struct listen_event listen_event_type SEC(".types");
struct holder holder_type SEC(".types");

static __always_inline void on_synack_retransmit(struct sock *sk, struct request_sock *req)
{
	listen_on_synack_retransmit(sk, req);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
