/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "use": the current process sends or receives. What it returns, and
 * whether it has to wait for it, does not matter. */
#pragma once

#include "lib/mem_access.h"

static __always_inline void on_use(struct sock *sk, enum access how);

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(use_send_fentry, struct sock *sk)
{
	on_use(sk, BTF_PTR);
	return 0;
}

SEC("fentry/tcp_recvmsg")
int BPF_PROG(use_recv_fentry, struct sock *sk)
{
	on_use(sk, BTF_PTR);
	return 0;
}

/* 6.3 and newer */
SEC("tp_btf/sock_send_length")
int BPF_PROG(use_send_tracepoint, struct sock *sk)
{
	on_use(sk, BTF_PTR);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(use_recv_tracepoint, struct sock *sk)
{
	on_use(sk, BTF_PTR);
	return 0;
}

SEC("kprobe/tcp_sendmsg_locked")
int BPF_KPROBE(use_send_kprobe, struct sock *sk)
{
	on_use(sk, PROBE_READ);
	return 0;
}

SEC("kprobe/tcp_recvmsg")
int BPF_KPROBE(use_recv_kprobe, struct sock *sk)
{
	on_use(sk, PROBE_READ);
	return 0;
}
