/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Buffers that the kernel frees as if it dropped them, though nothing is lost. */
#pragma once

#include "drop/sockets.bpf.h"

/* Whether this kernel knows a drop reason, and it is this one. */
#define DROP_REASON_IS(reason, name)                                                               \
	(bpf_core_enum_value_exists(enum skb_drop_reason, name) &&                                 \
	 (reason) == bpf_core_enum_value(enum skb_drop_reason, name))

/* Nothing is lost: it was for another host, is done with, or is the copy of a packet capture. */
static __always_inline bool is_noise(__u32 reason)
{
	return DROP_REASON_IS(reason, SKB_CONSUMED) ||
	       DROP_REASON_IS(reason, SKB_DROP_REASON_OTHERHOST) ||
	       DROP_REASON_IS(reason, SKB_DROP_REASON_PACKET_SOCK_ERROR);
}

#define TCP_HEADER_FIN 1

/*
 * A FIN that the application did not read stays in the queue of its socket, and is freed with it:
 * that is how most connections end.
 */
static __always_inline bool is_end_of_queue(const struct drop_event *ev)
{
	return ev->state == TCP_CLOSE && ev->direction == DROP_IN && ev->flags & DROP_HAS_FLAGS &&
	       ev->tcp_flags & TCP_HEADER_FIN && ev->flags & DROP_HAS_LEN && !ev->len;
}

#define SOCK_RAW 3 /* include/linux/net.h */

/* A raw socket gets copies of segments: what it does not take, the connection has. */
static __always_inline bool is_copy(const struct sock *rx_sk)
{
	return passes_socket() && options.may_copy && rx_sk && is_full_sock(rx_sk, PROBE_READ) &&
	       BPF_CORE_READ(rx_sk, sk_type) == SOCK_RAW;
}
