/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The owner of a socket: the process that uses it, never the task that a softirq interrupted. It
 * is learned where the current task is the process itself: connect, listen, accept, a send, a
 * receive, a close. The last user is the owner: a socket changes hands at fork() and by
 * SCM_RIGHTS. A child begins with its listener's owner (OWNER_INHERITED). owner_search.h finds the
 * owners of sockets without an observed user.
 */
#pragma once

#include "lib/filter.h"
#include "lib/mem_access.h"
#include "lib/options.h"

#define PF_KTHREAD    0x00200000
#define SHUTDOWN_MASK 3

/* How much a process has to do with a socket that it holds, as a search for owners sees it. */
enum holder_rank {
	HOLDER_NONE,
	HOLDER,	       /* has it open */
	HOLDER_SERVES, /* runs the program that accepts the listener's connections */
	HOLDER_USED,   /* was seen in use since the search has begun */
};

static __always_inline void owner_learned(struct owner *owner, bool matches)
{
	owner->since = bpf_ktime_get_ns();
	owner->flags = matches ? OWNER_MATCHES : 0;
	owner->rank = HOLDER_USED;
}

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

static __always_inline void owner_learn(struct owner *owner, struct task_struct *trusted)
{
	struct task_struct *task = DISTRUST(trusted), *leader = task->group_leader;
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
	owner->tgid = task->tgid;
	/* where programs cannot read the current task, searches must not know more than they */
	if (!options.task_by_helpers || options.may_copy) {
		owner->start = leader->start_time;
		owner->execs = leader->self_exec_id;
	}
	owner_learned(owner, owner_matches(owner, cgrp));
}

/*
 * Kernels before 5.11 show programs the current task through helpers only, and where memory may not
 * be copied the name of the thread in place of its leader's.
 */
static __always_inline void owner_learn_by_helpers(struct owner *owner)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task(), *leader;

	if (options.want_cgroup || filter.by_cgroup)
		owner->cgroup = options.cgroup_source
					? legacy_cgroup((void *)bpf_get_current_task())
					: bpf_get_current_cgroup_id();
	owner->pid = current_number();
	owner->tgid = bpf_get_current_pid_tgid() >> 32;
	if (options.may_copy) {
		leader = BPF_CORE_READ(task, group_leader);
		owner->start = BPF_CORE_READ(leader, start_time);
		owner->execs = BPF_CORE_READ(leader, self_exec_id);
		bpf_core_read(owner->comm, COMM_LEN, &leader->comm);
	} else {
		bpf_get_current_comm(owner->comm, COMM_LEN);
	}
	owner_learned(owner, owner_matches_by_helpers(owner));
}

static __always_inline bool owner_settled(const struct owner *owner)
{
	return owner->pid && !(owner->flags & OWNER_INHERITED);
}

/* A process that may own sockets, as it is cheap to compare; exec() makes another of it. */
struct user {
	__u32 pid;
	__u32 execs; /* 0 = unknown */
};

static __always_inline struct user current_user(void)
{
	struct task_struct *task;

	if (!options.task_by_helpers) {
		task = bpf_get_current_task_btf();
		return (struct user){.pid = task->tgid, .execs = task->self_exec_id};
	}
	task = (struct task_struct *)bpf_get_current_task();
	return (struct user){
		.pid = bpf_get_current_pid_tgid() >> 32,
		.execs = options.may_copy ? BPF_CORE_READ(task, self_exec_id) : 0,
	};
}

static __always_inline bool owner_is(const struct owner *owner, struct user user)
{
	return owner->tgid == user.pid && owner->execs == user.execs &&
	       !(owner->flags & OWNER_INHERITED);
}

/* The owner is the current process. */
SUBPROG void owner_settle(struct owner *owner)
{
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

/* A kernel thread works for a process, and owns nothing. False also where this is unknown. */
static __always_inline bool kernel_thread_known(void)
{
	return (options.may_copy || !options.task_by_helpers) && in_kernel_thread();
}

/* The current process uses the socket. */
static __always_inline void owner_use(struct owner *owner)
{
	if (owner_is(owner, current_user()) || kernel_thread_known())
		return;
	owner_settle(owner);
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

/* Distinguishes processes, and programs in a process, that have the same pid, one after another. */
static __always_inline __u32 owner_life(const struct owner *owner)
{
	return (__u32)(owner->start >> 10) + owner->execs;
}
