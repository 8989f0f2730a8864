/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hooks "time-wait" and "time-wait-cause". */
#pragma once

#include "states/timewait.bpf.h"

/* up to 6.9 */
SEC("fentry/inet_twsk_hashdance")
int BPF_PROG(timewait_fentry, struct inet_timewait_sock *tw, struct sock *sk)
{
	timewait_on_begin(tw, sk, BTF_PTR);
	return 0;
}

/* 6.10 and newer */
SEC("fentry/inet_twsk_hashdance_schedule")
int BPF_PROG(timewait_schedule_fentry, struct inet_timewait_sock *tw, struct sock *sk)
{
	timewait_on_begin(tw, sk, BTF_PTR);
	return 0;
}

SEC("fentry/__inet_twsk_schedule")
int BPF_PROG(timewait_reschedule_fentry, struct inet_timewait_sock *tw)
{
	timewait_on_reschedule(tw, BTF_PTR);
	return 0;
}

SEC("fentry/inet_twsk_kill")
int BPF_PROG(timewait_end_fentry, struct inet_timewait_sock *tw)
{
	timewait_on_end(tw, BTF_PTR);
	return 0;
}

SEC("fentry/tcp_timewait_state_process")
int BPF_PROG(timewait_segment_fentry, struct inet_timewait_sock *tw, struct sk_buff *skb,
	     struct tcphdr *th)
{
	timewait_on_segment(tw, th, BTF_PTR);
	return 0;
}

SEC("fentry/tcp_twsk_unique")
int BPF_PROG(timewait_reuse_fentry, struct sock *sk, struct sock *tw)
{
	timewait_note(tw, END_REUSED_CONNECT);
	return 0;
}

SEC("fentry/inet_twsk_deschedule_put")
int BPF_PROG(timewait_deschedule_fentry, struct inet_timewait_sock *tw)
{
	timewait_on_deschedule(tw);
	return 0;
}

SEC("kprobe/inet_twsk_hashdance")
int BPF_KPROBE(timewait_kprobe, struct inet_timewait_sock *tw, struct sock *sk)
{
	timewait_on_begin(tw, sk, PROBE_READ);
	return 0;
}

SEC("kprobe/inet_twsk_hashdance_schedule")
int BPF_KPROBE(timewait_schedule_kprobe, struct inet_timewait_sock *tw, struct sock *sk)
{
	timewait_on_begin(tw, sk, PROBE_READ);
	return 0;
}

SEC("kprobe/__inet_twsk_schedule")
int BPF_KPROBE(timewait_reschedule_kprobe, struct inet_timewait_sock *tw)
{
	timewait_on_reschedule(tw, PROBE_READ);
	return 0;
}

SEC("kprobe/inet_twsk_kill")
int BPF_KPROBE(timewait_end_kprobe, struct inet_timewait_sock *tw)
{
	timewait_on_end(tw, PROBE_READ);
	return 0;
}

SEC("kprobe/tcp_timewait_state_process")
int BPF_KPROBE(timewait_segment_kprobe, struct inet_timewait_sock *tw, struct sk_buff *skb,
	       struct tcphdr *th)
{
	timewait_on_segment(tw, th, PROBE_READ);
	return 0;
}

SEC("kprobe/tcp_twsk_unique")
int BPF_KPROBE(timewait_reuse_kprobe, struct sock *sk, struct sock *tw)
{
	timewait_note(tw, END_REUSED_CONNECT);
	return 0;
}

SEC("kprobe/inet_twsk_deschedule_put")
int BPF_KPROBE(timewait_deschedule_kprobe, struct inet_timewait_sock *tw)
{
	timewait_on_deschedule(tw);
	return 0;
}
