/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The iterators of the hook "owners", see owner_search.h. The kernel visits one task for each table
 * of files.
 */
#pragma once

#include "lib/compat.h"
#include "lib/sock.h"
#include "lib/track.h"

SEC("iter/task_file")
int learn_owners(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct sock *sk;

	learn_wanted_netns(ctx->meta);
	if (!task || !file)
		return 0;
	sk = sock_of_file(file, BTF_PTR);
	if (sk && is_mptcp(sk, BTF_PTR))
		mptcp_from_file(sk, task, BTF_PTR);
	else if (sk && is_tcp(sk, BTF_PTR))
		owner_from_file(sk, task, BTF_PTR);
	return 0;
}

/* before 5.11 */
SEC("iter/task_file")
int learn_owners_by_inode(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sk = sock_of_file(file, PROBE_READ);
	if (sk && is_mptcp(sk, PROBE_READ))
		mptcp_from_file(sk, task, PROBE_READ);
	else if (sk && is_tcp(sk, PROBE_READ))
		owner_from_file(sk, task, PROBE_READ);
	return 0;
}
