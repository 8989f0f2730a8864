/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "zero-window-probe": the timer of a closed window has expired. */
#pragma once

#include "retrans/retrans.bpf.h"

SEC("fentry/tcp_send_probe0")
int BPF_PROG(probe_fentry, struct sock *sk)
{
	retrans_on_probe(sk, BTF_PTR);
	return 0;
}

SEC("kprobe/tcp_send_probe0")
int BPF_KPROBE(probe_kprobe, struct sock *sk)
{
	retrans_on_probe(sk, PROBE_READ);
	return 0;
}
