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
	const struct inet_timewait_sock___stamp *stamped = (const void *)tw;

	if (!bpf_core_field_exists(stamped->tw_entry_stamp))
		return 0;
	return stamped->tw_entry_stamp;
}

#endif /* TCPSCOPE_COMPAT_H */
