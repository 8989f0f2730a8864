/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What is remembered of a socket: its owner, and when it entered its state.
 *
 * The owner is the process that opened, listens on or accepted the socket, never the task
 * that a softirq interrupted. It is learned where the current task is the process itself:
 * connect, listen, a send, a receive, a close; and from the task_file iterator for sockets
 * older than the tool. A child begins with its listener's owner (OWNER_INHERITED).
 */
#pragma once

#include "lib/filter.h"
#include "lib/mem_access.h"
#include "lib/options.h"
#include "lib/sock.h"
#include "lib/stats.h"

#define PF_KTHREAD    0x00200000
#define SHUTDOWN_MASK 3

/* Freed with the socket; BPF_F_CLONE copies a listener's to its children. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct track);
} tracked SEC(".maps");

/*
 * For kernels that refuse socket storage to tracing programs (5.10): by address of the
 * socket, removed with it by untrack(). Preallocated; sized at start.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct track);
} tracked_hash SEC(".maps");

static __always_inline struct track *track_find(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (!options.use_hash)
		return bpf_sk_storage_get(&tracked, sk, NULL, 0);
	return bpf_map_lookup_elem(&tracked_hash, &key);
}

static __always_inline struct track *track_make(struct sock *sk)
{
	static const struct track fresh;
	struct track *track;
	__u64 key = (__u64)sk;

	if (!options.use_hash) {
		track = bpf_sk_storage_get(&tracked, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		/* fails if another CPU has just created it */
		return track ?: bpf_sk_storage_get(&tracked, sk, NULL, 0);
	}
	track = bpf_map_lookup_elem(&tracked_hash, &key);
	if (track)
		return track;
	bpf_map_update_elem(&tracked_hash, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tracked_hash, &key);
}

static __always_inline void untrack(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&tracked_hash, &key);
}

static __always_inline void owner_learn(struct owner *owner, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	const __u64 *name = (const __u64 *)__builtin_preserve_access_index(&leader->comm);
	__u64 *comm = (__u64 *)owner->comm;
	struct cgroup *cgrp = NULL;

	comm[0] = name[0];
	comm[1] = name[1];
	if (options.want_cgroup || filter.cgroup) {
		cgrp = task->cgroups->dfl_cgrp;
		owner->cgroup = cgrp->kn->id;
	}
	owner->pid = task->tgid;
	owner->flags = owner_matches(owner, cgrp) ? OWNER_MATCHES : 0;
}

/*
 * Kernels before 5.11 show programs the current task through helpers only, and so the
 * name of the thread in place of its leader's.
 */
static __always_inline void owner_learn_by_helpers(struct owner *owner)
{
	bpf_get_current_comm(owner->comm, COMM_LEN);
	if (options.want_cgroup || filter.cgroup)
		owner->cgroup = bpf_get_current_cgroup_id();
	owner->pid = bpf_get_current_pid_tgid() >> 32;
	owner->flags = owner_matches_by_helpers(owner) ? OWNER_MATCHES : 0;
}

static __always_inline bool owner_settled(const struct owner *owner)
{
	return owner->pid && !(owner->flags & OWNER_INHERITED);
}

/* The owner is the current process. */
static __always_inline void owner_settle(struct owner *owner, struct stats *st)
{
	if (owner->flags & OWNER_INHERITED)
		st->settled++;
	if (options.task_by_helpers)
		owner_learn_by_helpers(owner);
	else
		owner_learn(owner, bpf_get_current_task_btf());
}

/* True also where this is unknown. */
static __always_inline bool in_kernel_thread(void)
{
	struct task_struct *task;

	if (!options.task_by_helpers)
		return bpf_get_current_task_btf()->flags & PF_KTHREAD;
	if (!options.may_copy)
		return true;
	task = (struct task_struct *)bpf_get_current_task();
	return BPF_CORE_READ(task, flags) & PF_KTHREAD;
}

/*
 * __tcp_close() marks both directions shut before it changes the state, in the context of
 * the process that closes; a reset from the network changes the state first.
 */
static __always_inline bool closed_by_process(const struct sock *sk, int old_state, int new_state,
					      enum access how)
{
	if (old_state == TCP_FIN_WAIT1 || old_state == TCP_FIN_WAIT2 || old_state == TCP_LAST_ACK ||
	    old_state == TCP_CLOSING || old_state == TCP_LISTEN)
		return false;
	if (new_state != TCP_FIN_WAIT1 && new_state != TCP_LAST_ACK &&
	    !(new_state == TCP_CLOSE && READ(how, sk, sk_shutdown) == SHUTDOWN_MASK))
		return false;
	/* fput() of the last reference may be left to a kernel thread */
	return !in_kernel_thread();
}

static __always_inline bool is_child(int old_state, int new_state)
{
	return old_state == TCP_LISTEN && new_state == TCP_SYN_RECV;
}

/* connect() and listen() */
static __always_inline bool opened_by_process(int old_state, int new_state)
{
	return old_state == TCP_CLOSE && (new_state == TCP_SYN_SENT || new_state == TCP_LISTEN);
}

/* Learns the owner from a state transition. */
static __always_inline void owner_on_transition(struct track *track, const struct sock *sk,
						int old_state, int new_state, struct stats *st,
						enum access how)
{
	struct owner *owner = &track->owner;

	if (is_child(old_state, new_state)) {
		owner->flags |= OWNER_INHERITED;
		st->children++;
	} else if (opened_by_process(old_state, new_state) ||
		   (!owner_settled(owner) && closed_by_process(sk, old_state, new_state, how))) {
		owner_settle(owner, st);
	} else if (new_state == TCP_CLOSE && owner->flags & OWNER_INHERITED) {
		owner->flags &= ~OWNER_INHERITED;
		st->settled++;
	}
}

/* accept() handed the socket to the current process. */
static __always_inline void owner_on_accept(struct sock *sk)
{
	struct stats *st = stats_here();
	struct track *track;

	if (!st)
		return;
	track = track_make(sk);
	if (track && !owner_settled(&track->owner))
		owner_settle(&track->owner, st);
}

/* task has sk open. */
static __always_inline void owner_from_file(struct sock *sk, struct task_struct *task)
{
	struct stats *st = stats_here();
	struct track *track;

	if (!st)
		return;
	/* no room: its next event counts as untracked */
	track = track_make(sk);
	if (!track || owner_settled(&track->owner))
		return;
	if (track->owner.flags & OWNER_INHERITED)
		st->settled++;
	owner_learn(&track->owner, task);
}
