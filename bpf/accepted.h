/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * accept() has returned a child, and how long that had waited for it since its handshake was
 * done. A tool defines handle_accepted(), and calls accept_on_transition() in its handler of
 * state transitions.
 *
 * Where functions cannot be hooked, the ends of all system calls are: it is the table of open
 * files that tells what accept() and accept4() returned. So io_uring and 32-bit programs are not
 * seen there.
 */
#ifndef TCPSCOPE_ACCEPTED_H
#define TCPSCOPE_ACCEPTED_H

/* A child that a process took before its handshake was done. */
#define ACCEPTED_EARLY 0

/*
 * Children that nobody has accepted, by address: CLOCK_MONOTONIC ns at which they were
 * established. An entry ends with accept() or with the connection. Preallocated; sized at start.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
} unaccepted SEC(".maps");

static __always_inline bool accept_concerns(int old_state, int new_state)
{
	return new_state == TCP_CLOSE ||
	       (old_state == TCP_SYN_RECV && new_state == TCP_ESTABLISHED);
}

/*
 * What a transition of a child means for its wait. Returns 0 if another CPU has already accepted
 * it, which ends the wait as it begins, else DURATION_UNKNOWN.
 */
static __always_inline __u64 accept_on_transition(const struct sock *sk, int old_state,
						  int new_state, __u64 now, struct stats *st)
{
	__u64 key = (__u64)sk, *since;

	if (new_state == TCP_CLOSE) {
		bpf_map_delete_elem(&unaccepted, &key);
		return DURATION_UNKNOWN;
	}
	if (old_state != TCP_SYN_RECV || new_state != TCP_ESTABLISHED)
		return DURATION_UNKNOWN;
	if (!bpf_map_update_elem(&unaccepted, &key, &now, BPF_NOEXIST))
		return DURATION_UNKNOWN;
	since = bpf_map_lookup_elem(&unaccepted, &key);
	if (!since) {
		st->untracked++;
		return DURATION_UNKNOWN;
	}
	if (*since != ACCEPTED_EARLY)
		return DURATION_UNKNOWN;
	bpf_map_delete_elem(&unaccepted, &key);
	return 0;
}

/* ns that a child waited, now that it is accepted; DURATION_UNKNOWN: it is older than the tool. */
static __always_inline __u64 accept_wait(const struct sock *child, __u64 now, enum reach how)
{
	/* before the look at the map: what was established and seen is in there by then */
	bool done = READ(how, child, __sk_common.skc_state) != TCP_SYN_RECV;
	__u64 key = (__u64)child, early = ACCEPTED_EARLY, *since, began;

	since = bpf_map_lookup_elem(&unaccepted, &key);
	if (!since && !done) {
		if (!bpf_map_update_elem(&unaccepted, &key, &early, BPF_NOEXIST))
			return DURATION_UNKNOWN; /* its transition will tell */
		since = bpf_map_lookup_elem(&unaccepted, &key);
	}
	if (!since)
		return DURATION_UNKNOWN;
	began = *since;
	bpf_map_delete_elem(&unaccepted, &key);
	return now > began ? now - began : 0;
}

/* The socket of a descriptor of the current task. Good for comparing, for it may be gone. */
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

/* bpf_tracing.h has pt_regs___arm64 with orig_x0 alone */
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

/*
 * A tool's own: accept() has returned child. Where functions cannot be hooked (how is PROBED)
 * both are good for comparing alone.
 */
static __always_inline void handle_accepted(struct sock *listener, struct sock *child,
					    enum reach how);

/* up to 6.9 */
SEC("fexit/inet_csk_accept")
int BPF_PROG(accepted_fexit_4, struct sock *sk, int flags, int *err, bool kern, struct sock *child)
{
	if (child)
		handle_accepted(sk, child, TRUSTED);
	return 0;
}

/* 6.10 and newer */
SEC("fexit/inet_csk_accept")
int BPF_PROG(accepted_fexit_2, struct sock *sk, void *arg, struct sock *child)
{
	if (child)
		handle_accepted(sk, child, TRUSTED);
	return 0;
}

SEC("kprobe/inet_csk_accept")
int BPF_KPROBE(accepted_kprobe, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}

SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(accepted_kretprobe, struct sock *child)
{
	struct call call;

	if (call_end(&call) && child)
		handle_accepted(call.sk, child, PROBED);
	return 0;
}

/* The end of every system call of the machine: what is no accept() must be told at once. */
SEC("tp_btf/sys_exit")
int BPF_PROG(accepted_sys_exit, struct pt_regs *regs, long ret)
{
	__u64 number = syscall_number(regs);
	struct sock *child;

	if ((number != SYS_ACCEPT && number != SYS_ACCEPT4) || ret < 0)
		return 0;
	child = sock_of_fd(ret);
	if (child)
		handle_accepted(sock_of_fd(first_argument(regs)), child, PROBED);
	return 0;
}

#endif /* TCPSCOPE_ACCEPTED_H */
