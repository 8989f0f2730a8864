/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Kernel differences, each with its reason. */
#pragma once

#include "lib/filter.h"
#include "lib/mem_access.h"
#include "lib/options.h"

/*
 * CLOCK_MONOTONIC milliseconds (32 bits) at which a timewait socket entered its state; 0
 * where the kernel does not keep it. One that began in FIN_WAIT2 gets a new timestamp from the
 * peer's FIN, but only on a connection with TCP timestamps.
 */
static __always_inline __u32 timewait_entry_ms(const struct tcp_timewait_sock *tcptw)
{
	const struct inet_timewait_sock *tw = &tcptw->tw_sk;

	if (!bpf_core_field_exists(tw->tw_entry_stamp))
		return 0;
	if (tw->tw_substate != TCP_FIN_WAIT2 && !tcptw->tw_ts_recent_stamp)
		return 0;
	return tw->tw_entry_stamp;
}

/* 0: not known. Before 5.12 a namespace gets its cookie when it is asked for. */
static __always_inline __u64 netns_cookie(const struct net *net, enum access how)
{
	if (!bpf_core_field_exists(net->net_cookie))
		return 0;
	return READ(how, net, net_cookie);
}

/*
 * User space runs an iterator of files inside the wanted namespace: the first run learns its
 * cookie, which no later namespace has.
 */
static __always_inline void learn_wanted_netns(const struct bpf_iter_meta *meta)
{
	struct net *net;

	if (!filter.by_netns || options.task_by_helpers || meta->seq_num)
		return;
	net = DISTRUST(bpf_get_current_task_btf())->nsproxy->net_ns;
	if (net->ns.inum == wanted.netns)
		wanted.netns_cookie = netns_cookie(net, BTF_PTR);
}

/*
 * Whether the namespace has as many timewait sockets as it may have (tcp_max_tw_buckets): then no
 * more are made. True also where this is unknown.
 */
static __always_inline bool timewait_full(const struct net *net, enum access how)
{
	const struct inet_timewait_death_row *row = &net->ipv4.tcp_death_row;
	int count;

	/* the one it begins with is for the namespace itself */
	if (bpf_core_field_exists(net->ipv4.tcp_death_row.tw_refcount.refs))
		count = READ(how, row, tw_refcount.refs.counter) - 1;
	else if (bpf_core_field_exists(net->ipv4.tcp_death_row.tw_count.counter))
		count = READ(how, row, tw_count.counter);
	else
		return true;
	return count >= READ(how, row, sysctl_max_tw_buckets);
}

#define SOCKFS_MAGIC 0x534f434b /* include/uapi/linux/magic.h */

/*
 * The socket of an open file, NULL if it is none. BTF_PTR needs bpf_sock_from_file(), 5.11 and
 * newer; before, every file of sockfs is a socket.
 */
static __always_inline struct sock *sock_of_file(struct file *file, enum access how)
{
	struct socket *sock;

	if (how == BTF_PTR) {
		sock = bpf_sock_from_file(file);
		return sock ? sock->sk : NULL;
	}
	if (file->f_inode->i_sb->s_magic != SOCKFS_MAGIC)
		return NULL;
	sock = file->private_data;
	return BPF_CORE_READ(sock, sk);
}
