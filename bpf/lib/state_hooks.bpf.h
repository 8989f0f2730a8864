/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "state": a socket is about to change its state. */
#pragma once

#include "lib/mem_access.h"

/* Each object defines what it does there. */
static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how);

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tracepoint, struct sock *sk, int old_state, int new_state)
{
	on_transition(sk, old_state, new_state, BTF_PTR);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(state_raw_tracepoint, struct sock *sk, int old_state, int new_state)
{
	on_transition(sk, old_state, new_state, PROBE_READ);
	return 0;
}
