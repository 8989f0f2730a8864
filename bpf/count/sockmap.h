/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sockets in a sockmap with a verdict program, which may pass on what they receive: no process ever
 * receives it, and no hook sees it. TCP counts it at the socket.
 */
#pragma once

#include "lib/sock.h"
#include "lib/track.h"

/* Kept in the low bits of sk_user_data. */
#define SK_USER_DATA_FLAGS 7UL

/* Whether a verdict program gets what the socket receives; false also where memory may not be
 * copied. */
static __always_inline bool has_verdict(struct sock *sk, enum access how)
{
	unsigned long data = (unsigned long)READ(how, sk, sk_user_data);
	struct sk_psock *psock = (struct sk_psock *)(data & ~SK_USER_DATA_FLAGS);

	/* other users of the field have other structures there */
	if (!data || !options.may_copy || BPF_CORE_READ(psock, sk) != sk)
		return false;
	if (bpf_core_field_exists(psock->progs.stream_verdict) &&
	    BPF_CORE_READ(psock, progs.stream_verdict))
		return true;
	return bpf_core_field_exists(psock->progs.skb_verdict) &&
	       BPF_CORE_READ(psock, progs.skb_verdict);
}

/* The bytes that such a socket has received since the last call. */
static __always_inline __u64 diverted_bytes(struct track *track, struct sock *sk, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	__u64 now, before = track->diverted;

	if (!tp)
		return 0;
	now = READ(how, tp, bytes_received) + 1;
	/* the FIN has come, which TCP counts as a byte */
	if (READ(how, sk, __sk_common.skc_flags) & SOCK_DONE)
		now--;
	track->diverted = now;
	return before ? now - before : 0;
}
