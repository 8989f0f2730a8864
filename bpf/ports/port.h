/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the kernel keeps of a socket's local port. */
#pragma once

#include "lib/sock.h"

/* IP_LOCAL_PORT_RANGE: the last port in the upper half. */
static __always_inline __u32 own_range(struct tcp_sock *tp, enum access how)
{
	struct inet_sock *inet = &tp->inet_conn.icsk_inet;
	struct inet_sock___pair *pair = (void *)inet;

	if (bpf_core_field_exists(inet->local_port_range))
		return READ(how, tp, inet_conn.icsk_inet.local_port_range);
	if (bpf_core_field_exists(pair->local_port_range))
		return READ(how, pair, local_port_range.lo) | READ(how, pair, local_port_range.hi)
								      << 16;
	return 0;
}

/*
 * __inet_hash_connect() passes over a port with such a bucket: one that bind() made. Buckets that
 * connect() made have -1 in both.
 */
static __always_inline bool is_held(const struct inet_bind_bucket *bucket)
{
	return bucket && (bucket->fastreuse >= 0 || bucket->fastreuseport >= 0);
}

/* All but the local port; owner may be NULL. */
static __always_inline void port_key_fill(struct port_key *key, struct sock *sk,
					  struct tcp_sock *tp, const struct owner *owner,
					  enum access how)
{
	flow_read(&key->flow, &sk->__sk_common, how);
	key->flow.lport = 0;
	key->range = own_range(tp, how);
	key->pid = owner ? owner->pid : 0;
}
