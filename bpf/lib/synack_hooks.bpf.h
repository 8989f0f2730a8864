/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach point of the hook "synack-retransmit": a listener sends a SYN-ACK again. */
#pragma once

#include "lib/mem_access.h"

/* Each object defines what it does there. */
static __always_inline void on_synack_retransmit(struct sock *sk, struct request_sock *req);

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(retransmit_tracepoint, struct sock *sk, struct request_sock *req)
{
	on_synack_retransmit(sk, req);
	return 0;
}
