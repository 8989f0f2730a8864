// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpdrop: every TCP segment that the kernel drops on its way in or out (skb:kfree_skb), with the
 * owner of its socket or the listener, the kernel's reason and the function that dropped it.
 * Nothing runs for a segment that arrives.
 *
 * Cannot see: what the kernel never makes a buffer of (full rings of a network card, XDP), and
 * drops that it reports as consumed.
 */
#include "drop/drop_hooks.bpf.h"
#include "lib/destroy_hooks.bpf.h"
#include "lib/file_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	sockets_on_transition(sk, old_state, new_state, how);
}

static __always_inline void on_destroy(struct sock *sk, enum access how)
{
	track_forget(sk);
}

/* The search for owners also finds the flows of sockets older than the tool. */
static __always_inline void on_file(struct sock *sk, struct task_struct *task, enum access how)
{
	sockets_from_file(sk, task, how);
}

/* Records used only through pointers would be missing from BTF and its tests. */
struct drop_event *drop_event_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
