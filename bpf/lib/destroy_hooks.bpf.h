/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "destroy": a socket is freed, its address is free for another. */
#pragma once

#include "lib/mem_access.h"

/* Each object defines what it does there. */
static __always_inline void on_destroy(struct sock *sk, enum access how);

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_tracepoint, struct sock *sk)
{
	on_destroy(sk, BTF_PTR);
	return 0;
}

SEC("raw_tp/tcp_destroy_sock")
int BPF_PROG(destroy_raw_tracepoint, struct sock *sk)
{
	on_destroy(sk, PROBE_READ);
	return 0;
}
