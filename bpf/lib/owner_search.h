/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The search for owners among the open files. It finds those of sockets older than the tool, or
 * accepted but not used yet, and corrects owners that have ended, gave the socket away or run
 * another program now: daemons whose launcher has listened and ended, socket activation.
 *
 * Of several holders of a listener, those that run the program that accepts its connections come
 * first, then the oldest: the master, not its workers; the service, not systemd.
 */
#pragma once

#include "lib/owner.h"
#include "lib/sock.h"

volatile struct owner_search search SEC(".data.search") = {};

/* After so many files, about a millisecond, a search can be interrupted. */
#define SEARCH_STRETCH 4096

/*
 * Whether an iterator of a search writes a record now, so that a reader who asked for one comes
 * back and may go on later. (One that writes nothing also ends with EAGAIN after a million files.)
 */
static __always_inline bool search_may_pause(const struct bpf_iter_meta *meta)
{
	return meta->seq_num % SEARCH_STRETCH == SEARCH_STRETCH - 1;
}

/* What listens: all listeners of a port are one service. */
struct service {
	__u32 netns;
	__u32 port;
};

struct served {
	__u64 program; /* that a service's connections were last seen used by; 0: not seen yet */
	__u32 search;  /* the last one begun then: ranks must not change during a search */
	__u32 reserved;
};

/* LRU: of a service that is not found here, the program is not known. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct service);
	__type(value, struct served);
} serving SEC(".maps");

/*
 * A program as a number to compare: the inode of its file, and how often its process and the
 * ancestors have called exec(), which distinguishes a service from a launcher in the same language.
 * The same for all processes that one has forked. 0: a kernel thread.
 */
static __always_inline __u64 program_number(__u64 inode, __u64 execs)
{
	return inode ? inode ^ execs << 48 : 0;
}

static __always_inline __u64 program_of(struct task_struct *task)
{
	struct file *exe = DISTRUST(task)->mm->exe_file;

	return exe ? program_number(exe->f_inode->i_ino, task->self_exec_id) : 0;
}

static __always_inline __u64 current_program(void)
{
	struct task_struct *task;

	if (!options.task_by_helpers)
		return program_of(bpf_get_current_task_btf());
	if (!options.may_copy)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	return program_number(BPF_CORE_READ(task, mm, exe_file, f_inode, i_ino),
			      BPF_CORE_READ(task, self_exec_id));
}

static __always_inline struct service service_of(const struct sock *sk, enum access how)
{
	return (struct service){
		.netns = READ(how, sk, __sk_common.skc_net.net, ns.inum),
		.port = READ(how, sk, __sk_common.skc_num),
	};
}

/* A process of this program uses a connection; ports without a listener are no services. */
static __always_inline void serves_note(struct service service, __u64 program)
{
	struct served *known = bpf_map_lookup_elem(&serving, &service);

	if (!known || !program || known->program == program)
		return;
	known->search = search.number;
	known->program = program;
}

/* How much a process has to do with a listener that it holds. */
static __always_inline __u8 holder_rank(struct service service, struct task_struct *task)
{
	struct served *known = bpf_map_lookup_elem(&serving, &service);
	static const struct served none;

	if (!known) {
		bpf_map_update_elem(&serving, &service, &none, BPF_NOEXIST);
		return HOLDER;
	}
	if (!known->program || known->search == search.number)
		return HOLDER;
	return known->program == program_of(task) ? HOLDER_SERVES : HOLDER;
}

static __always_inline void owner_take(struct owner *owner, struct task_struct *task, __u8 rank)
{
	owner_learn(owner, task);
	owner->flags |= OWNER_CORRECTED;
	owner->rank = rank;
}

static __always_inline bool owner_runs_in(const struct owner *owner, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;

	return owner->tgid == (__u32)task->tgid &&
	       (!owner->start || owner->start == leader->start_time);
}

/* The owner has a new name, or runs another program. */
static __always_inline bool owner_renamed(const struct owner *owner, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	const __u64 *name = (const __u64 *)__builtin_preserve_access_index(&leader->comm);
	const __u64 *comm = (const __u64 *)owner->comm;

	return comm[0] != name[0] || comm[1] != name[1] ||
	       (owner->start && owner->execs != (__u32)leader->self_exec_id);
}

static __always_inline bool owner_beaten_by(const struct owner *owner, struct task_struct *task,
					    __u8 rank)
{
	struct task_struct *leader = task->group_leader;

	if (!owner_settled(owner))
		return true;
	if (owner->flags & OWNER_CORRECTED)
		return rank > owner->rank ||
		       (rank == owner->rank && leader->start_time < owner->start);
	/* the first pass is over: no process of this rank is the owner */
	return search.replaces && rank > owner->rank && rank == owner->best_rank;
}

/* A search has met a process that has the socket open. */
static __always_inline void owner_met(struct owner *owner, struct task_struct *task, __u8 rank)
{
	bool wrong;

	if (owner->search != search.number) {
		owner->search = search.number;
		owner->rank = owner->best_rank = HOLDER_NONE;
		owner->flags &= ~OWNER_CORRECTED;
	}
	wrong = owner->rank < owner->best_rank;
	if (rank > owner->best_rank)
		owner->best_rank = rank;
	if (owner_beaten_by(owner, task, rank)) {
		owner_take(owner, task, rank);
	} else if (owner_runs_in(owner, task)) {
		/* the cgroup that the filter names may be another one now */
		if (filter.by_cgroup || owner_renamed(owner, task))
			owner_learn(owner, task);
		if (rank > owner->rank)
			owner->rank = rank;
	}
	search.wrong += (owner->rank < owner->best_rank) - wrong;
}
