/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The owner of a socket: the process that opened, listens on or accepted it, never the task
 * that a softirq interrupted. It is learned where the current task is the process itself:
 * connect, listen, a send, a receive, a close; and from the task_file iterator for sockets
 * older than the tool. A child begins with its listener's owner (OWNER_INHERITED).
 */
#pragma once

#include "lib/filter.h"
#include "lib/mem_access.h"
#include "lib/options.h"
#include "lib/stats.h"

#define PF_KTHREAD 0x00200000

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
