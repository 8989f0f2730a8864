/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* kprobe and kretprobe of the hook "accept-return": accept() has returned a child of a listener. */
#pragma once

#include "lib/calls.h"
#include "lib/on_accept.h"

SEC("kprobe/inet_csk_accept")
int BPF_KPROBE(accept_kprobe, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}

SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(accept_kretprobe, struct sock *child)
{
	struct call call;

	if (call_end(&call) && child)
		on_accept(call.sk, child, PROBE_READ);
	return 0;
}
