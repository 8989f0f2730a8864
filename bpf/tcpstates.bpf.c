// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpstates: every TCP state transition with its socket, its owner and the time spent in
 * the old state (sock:inet_sock_set_state), and an inventory of all sockets (iter/tcp).
 *
 * Cannot see: TIME_WAIT and NEW_SYN_RECV as transitions, for these are other kinds of
 * sockets without the tracepoint (the inventory has them); the local port at
 * CLOSE -> SYN_SENT when the kernel has yet to choose it.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "wire.h"
#include "compat.h"
#include "emit.h"
#include "sock.h"
#include "filter.h"
#include "ring.h"
#include "owner.h"
#include "inventory.h"

/* A reset, and nothing else, leaves an error behind. */
static __always_inline bool may_timewait(const struct sock *sk, int old_state, int new_state)
{
	return options.mark_closing && new_state == TCP_CLOSE && !sk->sk_err &&
	       (old_state == TCP_FIN_WAIT2 || old_state == TCP_CLOSING);
}

/* What becomes of a marked transition, and how long it took, is for the reader to find out. */
static __always_inline bool wanted(const struct track *track, int old_state, int new_state,
				   __u64 duration, bool marked)
{
	__u32 states = 1 << old_state | 1 << new_state | marked << TCP_TIME_WAIT;

	if (owner_filtered() && !(track && track->owner.flags & OWNER_MATCHES))
		return false;
	if (options.state_mask && !(options.state_mask & states))
		return false;
	/* an unknown duration is not known to be slower */
	if (options.slower && !marked &&
	    (duration == DURATION_UNKNOWN || duration < options.slower))
		return false;
	return true;
}

static __always_inline void emit_transition(struct sock *sk, const struct track *track,
					    const struct flow *flow, int old_state, int new_state,
					    __u64 now, __u64 duration, bool marked,
					    struct stats *st)
{
	struct state_event *ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);

	if (!ev) {
		st->lost++;
		return;
	}
	ev->ts = now;
	ev->duration = duration;
	ev->cookie = options.want_cookie ? bpf_get_socket_cookie(sk) : 0;
	ev->flow = *flow;
	ev->old_state = old_state;
	ev->new_state = new_state;
	ev->flags = marked ? STATE_MAY_TIMEWAIT : 0;
	ev->end_cause = END_UNKNOWN;
	if (track) {
		ev->cgroup = track->owner.cgroup;
		ev->pid = track->owner.pid;
		__builtin_memcpy(ev->comm, track->owner.comm, COMM_LEN);
	} else {
		ev->cgroup = 0;
		ev->pid = 0;
		__builtin_memset(ev->comm, 0, COMM_LEN);
	}
	bpf_ringbuf_submit(ev, ring_wake_flags());
}

static __always_inline void handle_transition(struct sock *sk, int old_state, int new_state)
{
	__u64 now = bpf_ktime_get_ns(), duration = DURATION_UNKNOWN;
	struct stats *st = stats_here();
	struct track *track;
	struct flow flow;
	bool marked;

	if (!st || !is_tcp(sk))
		return;
	track = track_make(sk);
	if (track) {
		/* a child is a copy of its listener: the time in LISTEN is not its own */
		if (track->since && !is_child(old_state, new_state))
			duration = now - track->since;
		track->since = now;
		owner_on_transition(track, sk, old_state, new_state, st);
	}

	flow_read_closing(&flow, sk);
	if (!track && flow_matches(&flow))
		st->untracked++;
	if (options.quiet) {
		if (track && new_state == TCP_CLOSE)
			remember_closer(&flow, &track->owner, now);
		return;
	}
	st->attempted++;
	marked = may_timewait(sk, old_state, new_state);
	if (!flow_matches(&flow) || !wanted(track, old_state, new_state, duration, marked)) {
		st->filtered++;
		return;
	}
	emit_transition(sk, track, &flow, old_state, new_state, now, duration, marked, st);
}

/* A child's first send or receive tells which process accepted it. */
static __always_inline void handle_use(struct sock *sk)
{
	struct track *track;
	struct stats *st;

	if (!is_tcp(sk))
		return;
	track = track_find(sk);
	if (!track || owner_settled(&track->owner))
		return;
	st = stats_here();
	if (st)
		owner_settle(&track->owner, st);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tracepoint, struct sock *sk, int old_state, int new_state)
{
	handle_transition(sk, old_state, new_state);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_tracepoint, struct sock *sk)
{
	handle_use(sk);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv_tracepoint, struct sock *sk)
{
	handle_use(sk);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_tracepoint, struct sock *sk)
{
	untrack(sk);
	return 0;
}

/* Used through pointers alone, records would be left out of BTF and of its tests. */
struct state_event *state_event_type SEC(".types");
struct sock_entry *sock_entry_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
