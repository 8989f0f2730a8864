/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hooks "bind", "port-found" and "port-reuse", and the iterator of searches.
 */
#pragma once

#include "lib/calls.h"
#include "ports/ports.bpf.h"

SEC("fexit/inet_csk_get_port")
int BPF_PROG(get_port_fexit, struct sock *sk, unsigned short snum, int ret)
{
	if (ret && !snum)
		ports_on_bind(sk, BTF_PTR);
	return 0;
}

/* A call with a port of its own is of no interest: its socket is left out. */
SEC("kprobe/inet_csk_get_port")
int BPF_KPROBE(get_port_kprobe, struct sock *sk, unsigned short snum)
{
	call_begin(sk, snum);
	return 0;
}

SEC("kretprobe/inet_csk_get_port")
int BPF_KRETPROBE(get_port_kretprobe, int ret)
{
	struct call call;

	if (call_end(&call) && ret && !call.flags)
		ports_on_bind(call.sk, PROBE_READ);
	return 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(port_found_fentry, struct sock *sk)
{
	ports_on_found(sk, BTF_PTR);
	return 0;
}

SEC("kprobe/tcp_connect")
int BPF_KPROBE(port_found_kprobe, struct sock *sk)
{
	ports_on_found(sk, PROBE_READ);
	return 0;
}

SEC("fexit/tcp_twsk_unique")
int BPF_PROG(port_reuse_fexit, struct sock *sk, struct sock *sktw, void *twp, int ret)
{
	if (ret)
		ports_on_reuse(sk, BTF_PTR);
	return 0;
}

SEC("iter/bpf_map_elem")
int dump_port_searches(struct bpf_iter__bpf_map_elem *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	void *key = ctx->key, *value = ctx->value;

	if (!key || !value)
		return 0;
	bpf_seq_write(seq, key, sizeof(struct port_search_key));
	bpf_seq_write(seq, value, sizeof(struct wait_slots));
	return 0;
}
