/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The beginning of accept(), for the fexit programs of the hook "accept-return". */
#pragma once

#include "lib/accept_fexit_hooks.bpf.h"

SEC("fentry/inet_csk_accept")
int BPF_PROG(accept_fentry, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}
