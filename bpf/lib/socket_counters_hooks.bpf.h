/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The iterator of the hook "socket-counters": what the kernel has counted of each socket. */
#pragma once

#include "lib/bpf.h"

/* Each object defines what it does there. */
static __always_inline void on_visit(struct sock *sk, struct tcp_sock *tp);

SEC("iter/tcp")
int visit_sockets(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct tcp_sock *tp;

	if (!skc)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (tp)
		on_visit((struct sock *)tp, tp);
	return 0;
}
