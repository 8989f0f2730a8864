/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "send-begin", and the iterators of "listening" and "latencies". */
#pragma once

#include "latency/latency.bpf.h"
#include "lib/compat.h"

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(send_begin_fentry, struct sock *sk)
{
	latency_on_send_begin(sk, 0, BTF_PTR);
	return 0;
}

/* up to 6.4: sendfile() and splice() */
SEC("fentry/do_tcp_sendpages")
int BPF_PROG(sendpages_fentry, struct sock *sk)
{
	latency_on_send_begin(sk, 0, BTF_PTR);
	return 0;
}

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(send_begin_tracepoint, struct sock *sk, struct msghdr *msg)
{
	latency_on_send_begin(sk, msg->msg_iter.count, BTF_PTR);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_return_tracepoint, struct sock *sk, int ret)
{
	latency_on_send_return(sk, ret);
	return 0;
}

SEC("kprobe/tcp_sendmsg_locked")
int BPF_KPROBE(send_begin_kprobe, struct sock *sk)
{
	latency_on_send_begin(sk, 0, PROBE_READ);
	return 0;
}

SEC("kprobe/do_tcp_sendpages")
int BPF_KPROBE(sendpages_kprobe, struct sock *sk)
{
	latency_on_send_begin(sk, 0, PROBE_READ);
	return 0;
}

/* The ports listened on in all namespaces: the listeners that processes have open. */
SEC("iter/task_file")
int learn_listeners(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct sock *sk;

	if (!ctx->task || !file)
		return 0;
	sk = sock_of_file(file, BTF_PTR);
	if (sk)
		listening_learn(sk, BTF_PTR);
	return 0;
}

/* before 5.11 */
SEC("iter/task_file")
int learn_listeners_by_inode(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct sock *sk;

	if (!ctx->task || !file)
		return 0;
	sk = sock_of_file(file, PROBE_READ);
	if (sk)
		listening_learn(sk, PROBE_READ);
	return 0;
}

/* One read for a whole map: a key, then its value on every CPU. */
SEC("iter/bpf_map_elem")
int dump_latencies(struct bpf_iter__bpf_map_elem *ctx)
{
	struct latency_key *key = ctx->key;
	void *values = ctx->value;

	if (!key || !values)
		return 0;
	bpf_seq_write(ctx->meta->seq, key, sizeof(*key));
	bpf_seq_write(ctx->meta->seq, values, options.nr_cpus * sizeof(struct latency_value));
	return 0;
}
