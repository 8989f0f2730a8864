/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "child": a listener is about to queue its child. */
#pragma once

#include "lib/mem_access.h"

/* Each object defines what it does there. */
static __always_inline void on_child(struct sock *listener, struct sock *child, enum access how);

SEC("fentry/inet_csk_complete_hashdance")
int BPF_PROG(child_fentry, struct sock *sk, struct sock *child)
{
	on_child(sk, child, BTF_PTR);
	return 0;
}

/* with SYN cookies and TCP Fast Open */
SEC("fentry/inet_csk_reqsk_queue_add")
int BPF_PROG(child_queued_fentry, struct sock *sk, struct request_sock *req, struct sock *child)
{
	on_child(sk, child, BTF_PTR);
	return 0;
}

SEC("kprobe/inet_csk_complete_hashdance")
int BPF_KPROBE(child_kprobe, struct sock *sk, struct sock *child)
{
	on_child(sk, child, PROBE_READ);
	return 0;
}

SEC("kprobe/inet_csk_reqsk_queue_add")
int BPF_KPROBE(child_queued_kprobe, struct sock *sk, struct request_sock *req, struct sock *child)
{
	on_child(sk, child, PROBE_READ);
	return 0;
}
