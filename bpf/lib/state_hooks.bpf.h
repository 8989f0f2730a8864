/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "state": a socket is about to change its state. */
#pragma once

#include "lib/mptcp.h"

/* Each object defines what it does there. */
static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how);

/* A close() after shutdown() reports FIN_WAIT1 -> FIN_WAIT1, and the like: no transition. */
static __always_inline void state_set(struct sock *sk, int old_state, int new_state,
				      enum access how)
{
	if (old_state == new_state)
		return;
	mptcp_on_transition(sk, new_state, how);
	on_transition(sk, old_state, new_state, how);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tracepoint, struct sock *sk, int old_state, int new_state)
{
	state_set(sk, old_state, new_state, BTF_PTR);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(state_raw_tracepoint, struct sock *sk, int old_state, int new_state)
{
	state_set(sk, old_state, new_state, PROBE_READ);
	return 0;
}
