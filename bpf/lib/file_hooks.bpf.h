/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Iterators over the open files of all tasks, of the hook "owners". */
#pragma once

#include "lib/compat.h"
#include "lib/mptcp.h"
#include "lib/owner_search.h"
#include "lib/sock.h"

/* What is done with a TCP socket that task has open. */
static __always_inline void on_file(struct sock *sk, struct task_struct *task, enum access how);

static __always_inline void file_visit(struct bpf_iter__task_file *ctx, enum access how)
{
	static const __u8 nothing;
	struct task_struct *task = DISTRUST(ctx->task);
	struct file *file = ctx->file;
	struct sock *sk;

	if (search_may_pause(ctx->meta))
		bpf_seq_write(ctx->meta->seq, &nothing, sizeof(nothing));
	if (!task || !file)
		return;
	sk = sock_of_file(file, how);
	if (sk && is_mptcp(sk, how))
		mptcp_from_file(sk, task, how);
	else if (sk && is_tcp(sk, how))
		on_file(sk, task, how);
}

SEC("iter/task_file")
int learn_owners(struct bpf_iter__task_file *ctx)
{
	learn_wanted_netns(ctx->meta);
	file_visit(ctx, BTF_PTR);
	return 0;
}

/* before 5.11 */
SEC("iter/task_file")
int learn_owners_by_inode(struct bpf_iter__task_file *ctx)
{
	file_visit(ctx, PROBE_READ);
	return 0;
}
