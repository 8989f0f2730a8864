/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The tracepoint of the hook "accept-return", where functions cannot be hooked: the end of every
 * system call. The table of open files says which sockets accept() and accept4() took and
 * returned. io_uring and 32-bit programs are not seen here.
 */
#pragma once

#include "lib/on_accept.h"

/* The socket of a descriptor of the current task; it may be freed, so good as a key alone. */
static __always_inline struct sock *sock_of_fd(__u64 fd)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file;
	struct socket *sock;

	if (fd >= BPF_CORE_READ(table, max_fds) ||
	    bpf_probe_read_kernel(&file, sizeof(file), &files[fd]))
		return NULL;
	sock = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(sock, sk);
}

#if defined(__TARGET_ARCH_x86)
#define SYS_ACCEPT  43
#define SYS_ACCEPT4 288

static __always_inline __u64 syscall_number(struct pt_regs *regs)
{
	return regs->orig_ax;
}

static __always_inline __u64 first_argument(struct pt_regs *regs)
{
	return regs->di;
}
#elif defined(__TARGET_ARCH_arm64)
#define SYS_ACCEPT  202
#define SYS_ACCEPT4 242

/* bpf_tracing.h has pt_regs___arm64 only with orig_x0 */
struct pt_regs___syscall {
	int syscallno;
} __attribute__((preserve_access_index));

static __always_inline __u64 syscall_number(struct pt_regs *regs)
{
	return ((struct pt_regs___syscall *)regs)->syscallno;
}

static __always_inline __u64 first_argument(struct pt_regs *regs)
{
	return ((struct pt_regs___arm64 *)regs)->orig_x0;
}
#endif

/* Runs for every system call of the machine: what is no accept() must leave at once. */
SEC("tp_btf/sys_exit")
int BPF_PROG(accept_sys_exit, struct pt_regs *regs, long ret)
{
	__u64 number = syscall_number(regs);
	struct sock *child;

	if ((number != SYS_ACCEPT && number != SYS_ACCEPT4) || ret < 0)
		return 0;
	child = sock_of_fd(ret);
	if (child)
		on_accept(sock_of_fd(first_argument(regs)), child, PROBE_READ);
	return 0;
}
