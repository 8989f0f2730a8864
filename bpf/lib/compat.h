/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Kernel differences, each with its reason. */
#pragma once

#include "lib/mem_access.h"

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
