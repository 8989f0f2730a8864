// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpstates: every TCP state transition with its socket, its owner and the time spent in
 * the old state (sock:inet_sock_set_state, and for timewait sockets the functions that
 * make, reschedule and kill them), and an inventory of all sockets (iter/tcp).
 *
 * Cannot see: NEW_SYN_RECV as a transition, for that is another kind of socket; the local
 * port at CLOSE -> SYN_SENT when the kernel has yet to choose it; TIME_WAIT where functions
 * cannot be hooked (then user space finds it in the inventory).
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
#include "inventory.h"
#include "transition.h"
#include "timewait.h"
#include "states.h"

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

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_tracepoint, struct sock *sk)
{
	handle_use(sk);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv_tracepoint, struct sock *sk)
{
	handle_use(sk);
	return 0;
}

/* up to 6.9 */
SEC("fexit/inet_csk_accept")
int BPF_PROG(accept_fexit_4, struct sock *sk, int flags, int *err, bool kern, struct sock *child)
{
	handle_accept(child);
	return 0;
}

/* 6.10 and newer */
SEC("fexit/inet_csk_accept")
int BPF_PROG(accept_fexit_2, struct sock *sk, void *arg, struct sock *child)
{
	handle_accept(child);
	return 0;
}

SEC("kretprobe/inet_csk_accept")
int BPF_KRETPROBE(accept_kretprobe, struct sock *child)
{
	handle_accept(child);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_tracepoint, struct sock *sk)
{
	untrack(sk);
	return 0;
}

SEC("raw_tp/tcp_destroy_sock")
int BPF_PROG(destroy_raw_tracepoint, struct sock *sk)
{
	untrack(sk);
	return 0;
}

/* up to 6.9 */
SEC("fentry/inet_twsk_hashdance")
int BPF_PROG(timewait_fentry, struct inet_timewait_sock *tw, struct sock *sk)
{
	timewait_begin(tw, sk, TRUSTED);
	return 0;
}

/* 6.10 and newer */
SEC("fentry/inet_twsk_hashdance_schedule")
int BPF_PROG(timewait_schedule_fentry, struct inet_timewait_sock *tw, struct sock *sk)
{
	timewait_begin(tw, sk, TRUSTED);
	return 0;
}

SEC("fentry/__inet_twsk_schedule")
int BPF_PROG(timewait_reschedule_fentry, struct inet_timewait_sock *tw)
{
	timewait_reschedule(tw, TRUSTED);
	return 0;
}

SEC("fentry/inet_twsk_kill")
int BPF_PROG(timewait_end_fentry, struct inet_timewait_sock *tw)
{
	timewait_end(tw, TRUSTED);
	return 0;
}

SEC("fentry/tcp_timewait_state_process")
int BPF_PROG(timewait_segment_fentry, struct inet_timewait_sock *tw, struct sk_buff *skb,
	     struct tcphdr *th)
{
	timewait_segment(tw, th, TRUSTED);
	return 0;
}

SEC("fentry/tcp_twsk_unique")
int BPF_PROG(timewait_reuse_fentry, struct sock *sk, struct sock *tw)
{
	timewait_seen(tw, END_REUSED_CONNECT);
	return 0;
}

SEC("fentry/inet_twsk_deschedule_put")
int BPF_PROG(timewait_deschedule_fentry, struct inet_timewait_sock *tw)
{
	timewait_deschedule(tw);
	return 0;
}

SEC("kprobe/inet_twsk_hashdance")
int BPF_KPROBE(timewait_kprobe, struct inet_timewait_sock *tw, struct sock *sk)
{
	timewait_begin(tw, sk, PROBED);
	return 0;
}

SEC("kprobe/inet_twsk_hashdance_schedule")
int BPF_KPROBE(timewait_schedule_kprobe, struct inet_timewait_sock *tw, struct sock *sk)
{
	timewait_begin(tw, sk, PROBED);
	return 0;
}

SEC("kprobe/__inet_twsk_schedule")
int BPF_KPROBE(timewait_reschedule_kprobe, struct inet_timewait_sock *tw)
{
	timewait_reschedule(tw, PROBED);
	return 0;
}

SEC("kprobe/inet_twsk_kill")
int BPF_KPROBE(timewait_end_kprobe, struct inet_timewait_sock *tw)
{
	timewait_end(tw, PROBED);
	return 0;
}

SEC("kprobe/tcp_timewait_state_process")
int BPF_KPROBE(timewait_segment_kprobe, struct inet_timewait_sock *tw, struct sk_buff *skb,
	       struct tcphdr *th)
{
	timewait_segment(tw, th, PROBED);
	return 0;
}

SEC("kprobe/tcp_twsk_unique")
int BPF_KPROBE(timewait_reuse_kprobe, struct sock *sk, struct sock *tw)
{
	timewait_seen(tw, END_REUSED_CONNECT);
	return 0;
}

SEC("kprobe/inet_twsk_deschedule_put")
int BPF_KPROBE(timewait_deschedule_kprobe, struct inet_timewait_sock *tw)
{
	timewait_deschedule(tw);
	return 0;
}

/* Used through pointers alone, records would be left out of BTF and of its tests. */
struct state_event *state_event_type SEC(".types");
struct sock_entry *sock_entry_type SEC(".types");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
