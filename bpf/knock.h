/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What becomes of those who knock at a listener: the programs that see it, and the waits read. */
#ifndef TCPSCOPE_KNOCK_H
#define TCPSCOPE_KNOCK_H

SEC("fentry/tcp_conn_request")
int BPF_PROG(syn_fentry, void *rsk_ops, void *af_ops, struct sock *sk, struct sk_buff *skb)
{
	handle_syn(sk, skb, TRUSTED);
	return 0;
}

SEC("fexit/tcp_conn_request")
int BPF_PROG(syn_fexit, void *rsk_ops, void *af_ops, struct sock *sk)
{
	struct deciding *d = deciding_here();

	if (d && d->sk == (__u64)sk)
		handle_syn_end(sk, d, TRUSTED);
	return 0;
}

SEC("kprobe/tcp_conn_request")
int BPF_KPROBE(syn_kprobe, void *rsk_ops, void *af_ops, struct sock *sk, struct sk_buff *skb)
{
	handle_syn(sk, skb, PROBED);
	return 0;
}

SEC("kretprobe/tcp_conn_request")
int BPF_KRETPROBE(syn_kretprobe)
{
	struct deciding *d = deciding_here();

	if (d && d->sk)
		handle_syn_end((struct sock *)d->sk, d, PROBED);
	return 0;
}

SEC("fentry/inet_csk_reqsk_queue_hash_add")
int BPF_PROG(syn_queued_fentry)
{
	handle_outcome(OUTCOME_QUEUED);
	return 0;
}

SEC("kprobe/inet_csk_reqsk_queue_hash_add")
int BPF_KPROBE(syn_queued_kprobe)
{
	handle_outcome(OUTCOME_QUEUED);
	return 0;
}

SEC("fentry/cookie_v4_init_sequence")
int BPF_PROG(cookie_v4_fentry)
{
	handle_outcome(OUTCOME_COOKIE);
	return 0;
}

SEC("fentry/cookie_v6_init_sequence")
int BPF_PROG(cookie_v6_fentry)
{
	handle_outcome(OUTCOME_COOKIE);
	return 0;
}

SEC("kprobe/cookie_v4_init_sequence")
int BPF_KPROBE(cookie_v4_kprobe)
{
	handle_outcome(OUTCOME_COOKIE);
	return 0;
}

SEC("kprobe/cookie_v6_init_sequence")
int BPF_KPROBE(cookie_v6_kprobe)
{
	handle_outcome(OUTCOME_COOKIE);
	return 0;
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(discard_tracepoint, struct sk_buff *skb, void *location, __u32 reason,
	     struct sock *rx_sk)
{
	if (rx_sk)
		handle_discard(skb, rx_sk, reason);
	return 0;
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(retransmit_tracepoint, struct sock *sk, struct request_sock *req)
{
	handle_retransmit(sk, req);
	return 0;
}

SEC("iter/bpf_map_elem")
int dump_waits(struct bpf_iter__bpf_map_elem *ctx)
{
	struct wait_key *key = ctx->key;
	struct wait_slots *slots = ctx->value;

	if (!key || !slots)
		return 0;
	bpf_seq_write(ctx->meta->seq, key, sizeof(*key));
	bpf_seq_write(ctx->meta->seq, slots, sizeof(*slots));
	return 0;
}

#endif /* TCPSCOPE_KNOCK_H */
