/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Connections that are reset because their listener closes before accept(). inet_csk_listen_stop()
 * disconnects them one by one, or gives them to another listener (tcp_migrate_req), in the thread
 * that closes the listener.
 */
#pragma once

#include "lib/ring.h"
#include "listen/listener_map.bpf.h"

struct closing {
	__u64 sk;
	__u64 born;
	struct flow flow;
	__u32 limit;
	__u32 matches; /* the filters */
};

/* The listener that a thread closed last. LRU: threads end. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct closing);
} closing_listeners SEC(".maps");

static __always_inline void closing_begins(struct sock *sk, const struct listener *l)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct closing closing = {
		.sk = (__u64)sk,
		.born = l->born,
		.flow = l->flow,
		.limit = l->accept_limit,
		.matches = !!(l->flags & LISTENER_MATCHES),
	};

	if (l->accept_now)
		bpf_map_update_elem(&closing_listeners, &thread, &closing, BPF_ANY);
}

/*
 * A connection without a process that is not orphaned by close(), and ends without an error: it was
 * in an accept queue.
 */
static __always_inline bool is_unaccepted(const struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	return new_state == TCP_CLOSE &&
	       (old_state == TCP_ESTABLISHED || old_state == TCP_CLOSE_WAIT) &&
	       !READ(how, sk, sk_socket) && !READ(how, sk, sk_err) &&
	       READ(how, sk, sk_shutdown) != SHUTDOWN_MASK;
}

static __always_inline void closing_resets(struct sock *child, struct stats *st, enum access how)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct closing *closing = bpf_map_lookup_elem(&closing_listeners, &thread);
	struct listen_event *ev;
	struct flow flow;

	if (!closing)
		return;
	flow_read_closing(&flow, child, how);
	if (flow.lport != closing->flow.lport || flow.netns != closing->flow.netns)
		return;
	st->attempted++;
	if (!closing->matches) {
		st->filtered++;
		return;
	}
	ev = bpf_ringbuf_reserve(&events, sizeof(*ev), 0);
	if (!ev) {
		st->lost++;
		return;
	}
	ev->ts = bpf_ktime_get_ns();
	ev->sk = closing->sk;
	ev->born = closing->born;
	ev->flow = closing->flow;
	__builtin_memcpy(ev->flow.raddr, flow.raddr, ADDR_LEN);
	ev->flow.rport = flow.rport;
	ev->cause = CAUSE_CLOSED;
	ev->queue = 0;
	ev->limit = closing->limit;
	ev->reserved = 0;
	bpf_ringbuf_submit(ev, ring_wake_flags());
}
