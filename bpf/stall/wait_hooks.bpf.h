/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "send-wait": a thread begins to wait in send() for room. */
#pragma once

#include "stall/wait.bpf.h"

SEC("fentry/sk_stream_wait_memory")
int BPF_PROG(send_wait_fentry, struct sock *sk)
{
	on_send_wait(sk, BTF_PTR);
	return 0;
}

/* Once for each segment, before it is filled or waited for (6.16 and newer). */
SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(send_wait_tracepoint, struct sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (tp && !has_room(sk, tp))
		on_send_wait(sk, BTF_PTR);
	return 0;
}

SEC("kprobe/sk_stream_wait_memory")
int BPF_KPROBE(send_wait_kprobe, struct sock *sk)
{
	on_send_wait(sk, PROBE_READ);
	return 0;
}
