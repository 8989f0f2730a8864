// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcplife: each connection as it ends (sock:inet_sock_set_state), with the counters that its socket
 * has kept, and why it ended: the socket's error and state, what its process asked for, and
 * resets that it sends (tcp:tcp_send_reset). Nothing runs for sends, receives and segments.
 *
 * Cannot see: a connect() that fails before its socket changes its state, where functions cannot be
 * hooked; a handshake that does not get beyond the request.
 */
#include "lib/accept_fentry_hooks.bpf.h"
#include "lib/accept_kprobe_hooks.bpf.h"
#include "lib/child_hooks.bpf.h"
#include "lib/destroy_hooks.bpf.h"
#include "lib/owner_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"
#include "life/connect_hooks.bpf.h"
#include "life/open_hooks.bpf.h"
#include "life/reset_hooks.bpf.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	life_on_transition(sk, old_state, new_state, how);
}

static __always_inline void on_reset(struct sock *sk, bool active, enum access how)
{
	life_on_reset(sk, active, how);
}

static __always_inline void on_accept(struct sock *listener, struct sock *child, enum access how)
{
	life_on_accept(child, how);
}

static __always_inline void on_child(struct sock *listener, struct sock *child, enum access how)
{
	owner_on_child(listener, child);
}

static __always_inline void on_destroy(struct sock *sk, enum access how)
{
	track_forget(sk);
	life_forget(sk);
}

/* Records used only through pointers would be missing from BTF and its tests. */
struct life_event *life_event_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
