/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where exchanges are measured: the programs of the hooks send-begin and segment, and the iterators
 * of latencies. What happens at a segment is up to the object that includes this.
 */
#ifndef TCPSCOPE_EXCHANGES_H
#define TCPSCOPE_EXCHANGES_H

static __always_inline void at_data(struct sock *sk, const struct sk_buff *skb, enum reach how);

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(send_begin_fentry, struct sock *sk)
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
int BPF_KPROBE(send_begin_kprobe, struct sock *sk)
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
	at_data(sk, skb, TRUSTED);
	return 0;
}

SEC("fentry/tcp_v6_do_rcv")
int BPF_PROG(data_v6_fentry, struct sock *sk, struct sk_buff *skb)
{
	at_data(sk, skb, TRUSTED);
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(data_tracepoint, struct sock *sk, struct sk_buff *skb)
{
	at_data(sk, skb, TRUSTED);
	return 0;
}

SEC("kprobe/tcp_v4_do_rcv")
int BPF_KPROBE(data_v4_kprobe, struct sock *sk, struct sk_buff *skb)
{
	at_data(sk, skb, PROBED);
	return 0;
}

SEC("kprobe/tcp_v6_do_rcv")
int BPF_KPROBE(data_v6_kprobe, struct sock *sk, struct sk_buff *skb)
{
	at_data(sk, skb, PROBED);
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

#endif /* TCPSCOPE_EXCHANGES_H */
