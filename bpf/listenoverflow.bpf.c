// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * listenoverflow: what each listening socket loses for full queues, how full they are and were,
 * and how long connections wait for accept(). Here the programs are attached; listen.h and
 * decide.h have the work, listeners.h the list of all listeners.
 *
 * Where functions can be hooked, the programs see the kernel decide about each SYN
 * (tcp_conn_request) and each last ACK (final_ack.h). Elsewhere
 * they see how often a listener has dropped something (sk_drops), and user space finds the cause
 * in the counters of the namespace.
 *
 * Cannot see: why a connection was dropped that no queue had a part in.
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
#include "calls.h"
#include "hist.h"
#include "accepted.h"
#include "listeners.h"
#include "listen.h"
#include "decide.h"
#include "final_ack.h"

/* known to BTF by these alone */
struct listener_entry listener_entry_type SEC(".types");
struct listen_event listen_event_type SEC(".types");

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

SEC("fentry/inet_csk_complete_hashdance")
int BPF_PROG(child_fentry, struct sock *sk)
{
	handle_child(sk, TRUSTED);
	return 0;
}

/* with SYN cookies and TCP Fast Open */
SEC("fentry/inet_csk_reqsk_queue_add")
int BPF_PROG(child_queued_fentry, struct sock *sk)
{
	handle_child(sk, TRUSTED);
	return 0;
}

SEC("kprobe/inet_csk_complete_hashdance")
int BPF_KPROBE(child_kprobe, struct sock *sk)
{
	handle_child(sk, PROBED);
	return 0;
}

SEC("kprobe/inet_csk_reqsk_queue_add")
int BPF_KPROBE(child_queued_kprobe, struct sock *sk)
{
	handle_child(sk, PROBED);
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

char LICENSE[] SEC("license") = "Dual MIT/GPL";
