/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The iterators over sockets with a local port: connections, listeners and timewait sockets of the
 * reader's network namespace (iter/tcp), and of all namespaces those that are bound and neither
 * connected nor listening, which only open files lead to (iter/task_file).
 *
 * All sockets are written, for any of them may hold a port: those that pass the filters are marked.
 */
#pragma once

#include "lib/closers.h"
#include "lib/compat.h"
#include "lib/track.h"
#include "ports/options.h"
#include "ports/port.h"

/* PORT_MATCHES, unless a filter by owner has to decide. */
static __always_inline __u32 port_without_owner(void)
{
	return owner_filtered() ? 0 : PORT_MATCHES;
}

static __always_inline void port_owner(struct port_entry *entry, __u32 pid, const void *comm,
				       __u32 flags)
{
	entry->pid = pid;
	__builtin_memcpy(entry->comm, comm, COMM_LEN);
	if (flags & OWNER_MATCHES)
		entry->flags |= PORT_MATCHES;
}

static __always_inline void port_of_timewait(struct port_entry *entry,
					     struct tcp_timewait_sock *tcptw)
{
	struct inet_timewait_sock *tw = &tcptw->tw_sk;
	long left = tw->tw_timer.expires - bpf_jiffies64();
	struct closer closer;

	entry->state = tw->tw_substate;
	entry->flags |= PORT_TIMEWAIT;
	if (tcptw->tw_ts_recent_stamp)
		entry->flags |= PORT_TIMESTAMPS;
	if (left > 0)
		entry->left = (__u64)left * ports_options.tick_ns;
	if (is_held(tw->tw_tb))
		entry->flags |= PORT_HELD;
	if (find_closer(&entry->flow, &closer))
		port_owner(entry, closer.pid, closer.comm, closer.flags);
}

static __always_inline void port_of_full(struct port_entry *entry, struct tcp_sock *tp)
{
	struct track *track = track_find((struct sock *)tp);
	struct owner *owner = track ? &track->owner : NULL;

	entry->range = own_range(tp, BTF_PTR);
	if (is_held(tp->inet_conn.icsk_bind_hash))
		entry->flags |= PORT_HELD;
	if (!owner || !owner_settled(owner))
		owner = mptcp_owner_of((struct sock *)tp, BTF_PTR) ?: owner;
	if (owner)
		port_owner(entry, owner->pid, owner->comm, owner->flags);
}

SEC("iter/tcp")
int dump_ports(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct port_entry entry = {};
	struct tcp_timewait_sock *tw;
	struct tcp_sock *tp;

	if (!skc)
		return 0;
	flow_read(&entry.flow, skc, BTF_PTR);
	entry.sk = (__u64)skc;
	entry.state = skc->skc_state;
	entry.flags = port_without_owner();
	if (is_v6only(skc, BTF_PTR))
		entry.flags |= PORT_V6ONLY;
	tp = bpf_skc_to_tcp_sock(skc);
	tw = bpf_skc_to_tcp_timewait_sock(skc);
	if (tp)
		port_of_full(&entry, tp);
	else if (tw)
		port_of_timewait(&entry, tw);
	else
		return 0;
	if (!flow_matches(&entry.flow))
		entry.flags &= ~PORT_MATCHES;
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}

static __always_inline void port_of_file(struct bpf_iter__task_file *ctx, struct task_struct *task,
					 struct sock *sk, enum access how)
{
	struct port_entry entry = {.state = TCP_CLOSE};
	struct owner owner = {};

	if (!is_tcp(sk, how) || READ(how, sk, __sk_common.skc_state) != TCP_CLOSE)
		return;
	flow_read(&entry.flow, &sk->__sk_common, how);
	if (!entry.flow.lport)
		return;
	entry.sk = (__u64)sk;
	entry.flags = port_without_owner() | PORT_HELD;
	if (is_v6only(&sk->__sk_common, how))
		entry.flags |= PORT_V6ONLY;
	owner_learn(&owner, task);
	port_owner(&entry, owner.pid, owner.comm, owner.flags);
	if (!flow_matches(&entry.flow))
		entry.flags &= ~PORT_MATCHES;
	bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
}

SEC("iter/task_file")
int dump_bound(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = DISTRUST(ctx->task);
	struct file *file = ctx->file;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sk = sock_of_file(file, BTF_PTR);
	if (sk)
		port_of_file(ctx, task, sk, BTF_PTR);
	return 0;
}

/* before 5.11 */
SEC("iter/task_file")
int dump_bound_by_inode(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = DISTRUST(ctx->task);
	struct file *file = ctx->file;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sk = sock_of_file(file, PROBE_READ);
	if (sk)
		port_of_file(ctx, task, sk, PROBE_READ);
	return 0;
}
