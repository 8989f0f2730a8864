// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcplatency: how long peers take to answer, how long we take, round trips, connects and waits
 * for accept(), by socket. Sends are seen as they begin (tcp_sendmsg_locked: the function, or
 * the tracepoint from 6.17 on), segments as they reach their socket (tcp_v4_do_rcv and
 * tcp_v6_do_rcv, or tcp_probe), the rest at transitions and at accept(). latency.h has the work.
 *
 * Cannot see: data in the SYN; through tcp_probe, what comes after either end has sent its FIN.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "wire.h"
#include "reach.h"
#include "compat.h"
#include "emit.h"
#include "sock.h"
#include "filter.h"
#include "ring.h"
#include "owner.h"
#include "child.h"
#include "calls.h"
#include "accepted.h"
#include "group.h"
#include "hist.h"
#include "latencies.h"
#include "batch.h"
#include "exchange.h"
#include "rtt.h"
#include "opening.h"
#include "payload.h"
#include "latency.h"

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(send_fentry, struct sock *sk)
{
	handle_send_begin(sk, 0, TRUSTED);
	return 0;
}

/* up to 6.4: sendfile() and splice() */
SEC("fentry/do_tcp_sendpages")
int BPF_PROG(sendpages_fentry, struct sock *sk)
{
	handle_send_begin(sk, 0, TRUSTED);
	return 0;
}

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(send_begin_tracepoint, struct sock *sk, struct msghdr *msg)
{
	handle_send_begin(sk, msg->msg_iter.count, TRUSTED);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_return_tracepoint, struct sock *sk, int ret)
{
	handle_send_return(sk, ret);
	return 0;
}

SEC("kprobe/tcp_sendmsg_locked")
int BPF_KPROBE(send_kprobe, struct sock *sk)
{
	handle_send_begin(sk, 0, PROBED);
	return 0;
}

SEC("kprobe/do_tcp_sendpages")
int BPF_KPROBE(sendpages_kprobe, struct sock *sk)
{
	handle_send_begin(sk, 0, PROBED);
	return 0;
}

SEC("fentry/tcp_v4_do_rcv")
int BPF_PROG(data_v4_fentry, struct sock *sk, struct sk_buff *skb)
{
	handle_segment(sk, skb, TRUSTED);
	return 0;
}

SEC("fentry/tcp_v6_do_rcv")
int BPF_PROG(data_v6_fentry, struct sock *sk, struct sk_buff *skb)
{
	handle_segment(sk, skb, TRUSTED);
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(data_tracepoint, struct sock *sk, struct sk_buff *skb)
{
	handle_segment(sk, skb, TRUSTED);
	return 0;
}

SEC("kprobe/tcp_v4_do_rcv")
int BPF_KPROBE(data_v4_kprobe, struct sock *sk, struct sk_buff *skb)
{
	handle_segment(sk, skb, PROBED);
	return 0;
}

SEC("kprobe/tcp_v6_do_rcv")
int BPF_KPROBE(data_v6_kprobe, struct sock *sk, struct sk_buff *skb)
{
	handle_segment(sk, skb, PROBED);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tracepoint, struct sock *sk, int old_state, int new_state)
{
	handle_transition(sk, old_state, new_state, TRUSTED);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(state_raw_tracepoint, struct sock *sk, int old_state, int new_state)
{
	handle_transition(sk, old_state, new_state, PROBED);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_tracepoint, struct sock *sk)
{
	handle_destroy(sk);
	return 0;
}

SEC("raw_tp/tcp_destroy_sock")
int BPF_PROG(destroy_raw_tracepoint, struct sock *sk)
{
	handle_destroy(sk);
	return 0;
}

/* The ports that are listened on, in all namespaces, by those who have them open. */
SEC("iter/task_file")
int learn_listeners(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct socket *sock;
	struct sock *sk;

	if (!ctx->task || !file)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	sk = sock->sk;
	if (sk)
		listener_learn(sk, TRUSTED);
	return 0;
}

/* Likewise on kernels before 5.11. */
SEC("iter/task_file")
int learn_listeners_by_inode(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct sock *sk;

	if (!ctx->task || !file)
		return 0;
	sk = sock_of_file_probed(file);
	if (sk)
		listener_learn(sk, PROBED);
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

/* Used through pointers alone, records would be left out of BTF and of its tests. */
struct latency_event *latency_event_type SEC(".types");
struct latency_head *latency_head_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
