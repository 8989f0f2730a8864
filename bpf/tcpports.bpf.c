// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpports: connects and failures by destination, from state transitions
 * (sock:inet_sock_set_state), and all sockets with a local port (iter/tcp, iter/task_file).
 *
 * Cannot see: bind() that finds no port, where functions cannot be hooked.
 */
#include "lib/child_hooks.bpf.h"
#include "lib/destroy_hooks.bpf.h"
#include "lib/owner_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"
#include "ports/counts_hooks.bpf.h"
#include "ports/entries.bpf.h"
#include "ports/ports_hooks.bpf.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	ports_on_transition(sk, old_state, new_state, how);
}

static __always_inline void on_child(struct sock *listener, struct sock *child, enum access how)
{
	owner_on_child(listener, child);
}

static __always_inline void on_destroy(struct sock *sk, enum access how)
{
	track_forget(sk);
}

/* Records used only through pointers would be missing from BTF and its tests. */
struct port_event *port_event_type SEC(".types");
struct port_entry *port_entry_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
