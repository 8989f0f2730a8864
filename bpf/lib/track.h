/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What is stored of each socket: its owner, its state and when it entered that. */
#pragma once

#include "lib/mptcp.h"
#include "lib/owner_search.h"
#include "lib/per_socket.h"
#include "lib/sock.h"

PER_SOCKET(track, tracked, BPF_F_CLONE)

static __always_inline bool is_child(int old_state, int new_state)
{
	return old_state == TCP_LISTEN && new_state == TCP_SYN_RECV;
}

/* connect() and listen() */
static __always_inline bool opened_by_process(int old_state, int new_state)
{
	return old_state == TCP_CLOSE && (new_state == TCP_SYN_SENT || new_state == TCP_LISTEN);
}

/* Only these lead on to a timewait socket: tcp_time_wait(). */
static __always_inline bool becomes_timewait(int old_state, int new_state)
{
	return new_state == TCP_CLOSE && (old_state == TCP_FIN_WAIT2 || old_state == TCP_CLOSING);
}

/*
 * As flow_read_closing(). The namespace of a socket is always the same one, and its inode stands
 * beside a count of references that all CPUs write: it is read once.
 */
static __always_inline void flow_read_tracked(struct flow *flow, struct sock *sk,
					      struct track *track, enum access how)
{
	flow_read_ends(flow, &sk->__sk_common, how);
	flow_read_port(flow, sk, how);
	if (!names_netns(flow))
		return;
	/* the inode that a filter wants may change its meaning */
	flow->netns = track && !filter.by_netns ? track->netns : 0;
	if (flow->netns)
		return;
	flow->netns = netns_of(&sk->__sk_common, how);
	if (track)
		track->netns = flow->netns;
}

/* The current process sends, receives or closes. */
static __always_inline void owner_on_use(struct track *track, const struct sock *sk,
					 enum access how)
{
	if (track->owner.flags & OWNER_INHERITED)
		serves_note(service_of(sk, how), current_program());
	owner_use(&track->owner);
}

/* Learns the owner from a state transition. */
static __always_inline void owner_on_transition(struct track *track, struct sock *sk, int old_state,
						int new_state, enum access how)
{
	struct owner *owner = &track->owner;

	if (is_child(old_state, new_state)) {
		owner->flags |= OWNER_INHERITED;
		return;
	}
	owner_from_mptcp(owner, sk, how);
	if (opened_by_process(old_state, new_state)) {
		owner_settle(owner);
	} else if (closed_by_process(sk, old_state, new_state, how)) {
		owner_on_use(track, sk, how);
		owner_settle(owner); /* its name may have changed since it was learned */
	}
}

/* accept() handed the socket to the current process, which may give it to another. */
static __always_inline void owner_on_accept(struct sock *sk)
{
	struct track *track = track_make(sk);

	if (!track || owner_settled(&track->owner))
		return;
	owner_settle(&track->owner);
}

/* task has sk open. */
static __always_inline void owner_from_file(struct sock *sk, struct task_struct *task,
					    enum access how)
{
	/* no room: its next event counts as untracked */
	struct track *track = track_make(sk);

	if (!track)
		return;
	if (READ(how, sk, __sk_common.skc_state) == TCP_LISTEN) {
		owner_met(&track->owner, task, holder_rank(service_of(sk, how), task));
		return;
	}
	owner_met(&track->owner, task, HOLDER);
	if (owner_runs_in(&track->owner, task))
		serves_note(service_of(sk, how), program_of(task));
}

/*
 * A listener is about to queue its child. Socket storage was copied when the child was made; of
 * a hash map the entry is copied here.
 */
static __always_inline void owner_on_child(struct sock *listener, struct sock *child)
{
	struct track *from = track_find(listener), *to = track_make(child);
	__u32 flags;

	if (!from || !to || owner_settled(&to->owner))
		return;
	flags = to->owner.flags & ~OWNER_MATCHES;
	to->owner = from->owner;
	to->owner.flags = flags | (from->owner.flags & OWNER_MATCHES);
}
