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

#define MAX_PID_NS_LEVEL 32 /* include/linux/pid_namespace.h */

/* The number of a process in the PID namespace options.pidns. */
static __always_inline __u32 number_inside(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	void *numbers = (void *)pid + bpf_core_field_offset(pid->numbers);
	__u32 level = BPF_CORE_READ(pid, level);

	for (__u32 i = 0; i <= MAX_PID_NS_LEVEL && i <= level; i++) {
		struct upid *upid = numbers + i * bpf_core_type_size(struct upid);

		if (BPF_CORE_READ(upid, ns, ns.inum) == options.pidns)
			return BPF_CORE_READ(upid, nr);
	}
	return BPF_CORE_READ(task, tgid) | PID_OUTSIDE;
}

/* The number that is shown and filtered by. */
static __always_inline __u32 number_of(struct task_struct *task)
{
	return options.pidns ? number_inside(task) : (__u32)task->tgid;
}

static __always_inline __u32 current_number(void)
{
	if (options.pidns)
		return number_inside((struct task_struct *)bpf_get_current_task());
	return bpf_get_current_pid_tgid() >> 32;
}

#define SUBSYS(name)                                                                               \
	(bpf_core_enum_value_exists(enum cgroup_subsys_id, name)                                   \
		 ? (int)bpf_core_enum_value(enum cgroup_subsys_id, name)                           \
		 : -1)

/* The cgroup's number in the hierarchy of a controller (cgroup v1); 0: the kernel lacks it. */
static __always_inline __u64 legacy_cgroup(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *state = NULL;
	int subsys = -1;

	if (options.cgroup_source == CGROUP_MEMORY)
		subsys = SUBSYS(memory_cgrp_id);
	else if (options.cgroup_source == CGROUP_CPU)
		subsys = SUBSYS(cpu_cgrp_id);
	else if (options.cgroup_source == CGROUP_PIDS)
		subsys = SUBSYS(pids_cgrp_id);
	if (subsys < 0)
		return 0;
	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)set + bpf_core_field_offset(set->subsys) +
				      subsys * sizeof(state));
	return BPF_CORE_READ(state, cgroup, kn, id);
}

static __always_inline void owner_learn(struct owner *owner, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	const __u64 *name = (const __u64 *)__builtin_preserve_access_index(&leader->comm);
	__u64 *comm = (__u64 *)owner->comm;
	struct cgroup *cgrp = NULL;

	comm[0] = name[0];
	comm[1] = name[1];
	if (options.want_cgroup || filter.by_cgroup) {
		cgrp = task->cgroups->dfl_cgrp;
		owner->cgroup = options.cgroup_source ? legacy_cgroup(task) : cgrp->kn->id;
	}
	owner->pid = number_of(task);
	owner->flags = owner_matches(owner, cgrp) ? OWNER_MATCHES : 0;
}

/*
 * Kernels before 5.11 show programs the current task through helpers only, and so the
 * name of the thread in place of its leader's.
 */
static __always_inline void owner_learn_by_helpers(struct owner *owner)
{
	bpf_get_current_comm(owner->comm, COMM_LEN);
	if (options.want_cgroup || filter.by_cgroup)
		owner->cgroup = options.cgroup_source
					? legacy_cgroup((void *)bpf_get_current_task())
					: bpf_get_current_cgroup_id();
	owner->pid = current_number();
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

/* The cgroup that the filter names may be another one than when the owner was learned. */
static __always_inline void owner_match_again(struct owner *owner, struct task_struct *task)
{
	if (filter.by_cgroup && owner->pid == number_of(task))
		owner_learn(owner, task);
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

/* A kernel thread works for a process, and owns nothing. False also where this is unknown. */
static __always_inline bool kernel_thread_known(void)
{
	return (options.may_copy || !options.task_by_helpers) && in_kernel_thread();
}
