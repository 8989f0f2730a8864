/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "accept": a process has a child from now on, its listener is not
 * needed. */
#pragma once

#include "lib/accept_fexit_hooks.bpf.h"

SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(accept_kretprobe, struct sock *child)
{
	if (child)
		on_accept(NULL, child, PROBE_READ);
	return 0;
}
