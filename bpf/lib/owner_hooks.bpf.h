/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The iterators of the hook "owners" where a search learns owners and nothing else. */
#pragma once

#include "lib/file_hooks.bpf.h"
#include "lib/track.h"

static __always_inline void on_file(struct sock *sk, struct task_struct *task, enum access how)
{
	owner_from_file(sk, task, how);
}
