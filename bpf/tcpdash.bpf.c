// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpdash: the handlers of several tools in one set of programs, so that each hook runs one
 * program and each socket is remembered once. Counts by connection (count.h) and the inventory
 * of sockets with ages and owners (states.h, inventory.h), without events.
 *
 * To add a tool's handlers: include its header, call them from the at_...() below, and add its
 * hooks to the tool's table in src/hooks/.
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
#include "inventory.h"
#include "transition.h"
#include "timewait.h"
#include "states.h"
#include "group.h"
#include "count.h"

static __always_inline void at_send(struct sock *sk, int ret, enum reach how)
{
	handle_send(sk, ret, how);
}

static __always_inline void at_receive(struct sock *sk, int ret, int flags, enum reach how)
{
	handle_receive(sk, ret, flags, how);
}

static __always_inline void at_segment(struct sock *sk, enum reach how)
{
	handle_segment(sk, how);
}

/* The transition tells the owner to counts, too. */
static __always_inline void at_transition(struct sock *sk, int old_state, int new_state,
					  enum reach how)
{
	handle_transition(sk, old_state, new_state, how);
}

static __always_inline void at_destroy(struct sock *sk, enum reach how)
{
	handle_destroy(sk, how);
}

#include "data.h"

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
