/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* fexit programs of the hooks "accept" and "accept-return": accept() has returned a child. */
#pragma once

#include "lib/calls.h"
#include "lib/on_accept.h"

/* up to 6.9 */
SEC("fexit/inet_csk_accept")
int BPF_PROG(accept_fexit_4, struct sock *sk, int flags, int *err, bool kern, struct sock *child)
{
	if (call_returns() && child)
		on_accept(sk, child, BTF_PTR);
	return 0;
}

/* 6.10 and newer */
SEC("fexit/inet_csk_accept")
int BPF_PROG(accept_fexit_2, struct sock *sk, void *arg, struct sock *child)
{
	if (call_returns() && child)
		on_accept(sk, child, BTF_PTR);
	return 0;
}
