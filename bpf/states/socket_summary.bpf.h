/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* All TCP sockets of the reader's network namespace, one sock_entry each. */
#pragma once

#include "states/options.h"
#include "lib/closers.h"
#include "lib/compat.h"
#include "lib/track.h"

static __always_inline void entry_owner(struct sock_entry *entry, __u32 pid, const void *comm)
{
	entry->pid = pid;
	__builtin_memcpy(entry->comm, comm, COMM_LEN);
}

static __always_inline bool summary_timewait(struct sock_entry *entry,
					     const struct tcp_timewait_sock *tcptw, __u64 now)
{
	__u32 began_ms = timewait_entry_ms(tcptw);
	struct closer closer;

	entry->state = tcptw->tw_sk.tw_substate;
	entry->timewait = 1;
	entry->ktime = now;
	if (began_ms)
		entry->age = (__u64)((__u32)(now / 1000000) - began_ms) * 1000000;
	/* user space has the owners from the transitions */
	if (states_options.timewait_only)
		return true;
	if (!find_closer(&entry->flow, &closer))
		return !owner_filtered();
	entry_owner(entry, closer.pid, closer.comm);
	if (!began_ms)
		entry->age = now - closer.since;
	return !owner_filtered() || closer.flags & OWNER_MATCHES;
}

/*
 * Whether the final ACK arrived in this state or began it: the state is at least as old. Not so
 * in states that our own close() begins.
 */
static __always_inline bool ack_bounds_age(__u8 state)
{
	return state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT || state == TCP_FIN_WAIT2;
}

/* What a closing socket has yet to do. */
static __always_inline void summary_closing(struct sock_entry *entry, struct tcp_sock *tp)
{
	const struct sock *sk = (const struct sock *)tp;

	entry->orphan = entry->state != TCP_LISTEN && sk->__sk_common.skc_flags & SOCK_DEAD;
	if (!entry->orphan && !fin_queued(entry->state))
		return;
	entry->unacked = bytes_unacked(tp, entry->state, BTF_PTR);
	entry->unsent = bytes_unsent(tp, entry->state, BTF_PTR);
}

static __always_inline bool summary_full(struct sock_entry *entry, struct tcp_sock *tp, __u64 now)
{
	struct track *track = track_find((struct sock *)tp);
	__u32 last_ack = tp->rcv_tstamp;
	struct owner *owner = NULL;

	summary_closing(entry, tp);
	if (last_ack && ack_bounds_age(entry->state))
		entry->at_least =
			(__u64)((__u32)bpf_jiffies64() - last_ack) * states_options.tick_ns;
	if (track)
		owner = &track->owner;
	if (!owner || !owner_settled(owner))
		owner = mptcp_owner_of((struct sock *)tp, BTF_PTR) ?: owner;
	if (track && track->since)
		entry->age = now - track->since;
	entry->unchanged = track && !track->since;
	if (!owner)
		return !owner_filtered();
	entry_owner(entry, owner->pid, owner->comm);
	return !owner_filtered() || owner->flags & OWNER_MATCHES;
}
