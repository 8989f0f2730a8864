// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpstall: what the sockets of connections know of themselves, read by an iterator every interval
 * (iter/tcp). State transitions (sock:inet_sock_set_state) name owners and show how connections
 * end; sk_stream_wait_memory() or tcp:tcp_sendmsg_locked show since when a thread waits in send().
 *
 * Cannot see: connections that are still being opened.
 */
#include "lib/child_hooks.bpf.h"
#include "lib/destroy_hooks.bpf.h"
#include "lib/owner_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"
#include "stall/conn_hooks.bpf.h"
#include "stall/wait_hooks.bpf.h"
#include "lib/stats.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	struct stats *st = stats_here();
	struct track *track;

	if (!st || !is_tcp(sk, how))
		return;
	track = track_make(sk);
	if (track)
		owner_on_transition(track, sk, old_state, new_state, how);
	else
		st->untracked++;
	if (new_state == TCP_CLOSE)
		stall_on_close(sk, how);
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
struct conn_entry *conn_entry_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
