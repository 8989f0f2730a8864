/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Tracepoints of the hooks "send" and "recv" (6.3 and newer): a process has sent or received. */
#pragma once

#include "lib/mem_access.h"

/* Each object defines what it does there; ret is what the call returned: bytes or -errno. */
static __always_inline void on_send(struct sock *sk, int ret, enum access how);
static __always_inline void on_recv(struct sock *sk, int ret, int flags, enum access how);

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_tracepoint, struct sock *sk, int ret)
{
	on_send(sk, ret, BTF_PTR);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv_tracepoint, struct sock *sk, int ret, int flags)
{
	on_recv(sk, ret, flags, BTF_PTR);
	return 0;
}
