// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpstates: every TCP state transition with its socket, its owner and the time spent in
 * the old state (sock:inet_sock_set_state, and for timewait sockets the functions that
 * make, reschedule and kill them), how each connection ended (with tcp:tcp_send_reset), and a
 * summary of all sockets (iter/tcp).
 *
 * Cannot see: NEW_SYN_RECV as a transition, which is another kind of socket; the local
 * port at CLOSE -> SYN_SENT when the kernel has yet to choose it; TIME_WAIT where functions
 * cannot be hooked (then user space finds it among all sockets).
 */
#include "lib/child_hooks.bpf.h"
#include "lib/destroy_hooks.bpf.h"
#include "lib/owner_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"
#include "lib/track.h"
#include "life/reset_hooks.bpf.h"
#include "states/socket_summary_hooks.bpf.h"
#include "states/states.bpf.h"
#include "states/timewait_hooks.bpf.h"
#include "states/use_hooks.bpf.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	states_on_transition(sk, old_state, new_state, how);
}

static __always_inline void on_reset(struct sock *sk, bool active, enum access how)
{
	states_on_reset(sk, active, how);
}

static __always_inline void on_use(struct sock *sk, enum access how)
{
	states_on_use(sk, how);
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
struct state_event *state_event_type SEC(".types");
struct sock_entry *sock_entry_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
