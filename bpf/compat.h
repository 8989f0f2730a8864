/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Kernel differences, each with what made it. */
#ifndef TCPSCOPE_COMPAT_H
#define TCPSCOPE_COMPAT_H

/*
 * CLOCK_MONOTONIC milliseconds (32 bits) at which a timewait socket began; 0 where the
 * kernel does not keep it.
 */
static __always_inline __u32 timewait_entry_ms(const struct inet_timewait_sock *tw)
{
	if (!bpf_core_field_exists(tw->tw_entry_stamp))
		return 0;
	return tw->tw_entry_stamp;
}

#define SOCKFS_MAGIC 0x534f434b /* include/uapi/linux/magic.h */

/*
 * What bpf_sock_from_file() does, for kernels before 5.11, which have none: every file of
 * sockfs is a socket.
 */
static __always_inline struct sock *sock_of_file_probed(const struct file *file)
{
	struct socket *sock;

	if (file->f_inode->i_sb->s_magic != SOCKFS_MAGIC)
		return NULL;
	sock = file->private_data;
	return BPF_CORE_READ(sock, sk);
}

#endif /* TCPSCOPE_COMPAT_H */
