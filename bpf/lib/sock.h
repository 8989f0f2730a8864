/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* struct sock to struct flow, in one place. */
#pragma once

#include "lib/compat.h"
#include "lib/filter.h"
#include "lib/mem_access.h"
#include "lib/options.h"

#define AF_INET	 2
#define AF_INET6 10

#define SHUTDOWN_MASK 3

/* include/net/sock.h: enum sock_flags, as bits */
#define SOCK_DEAD     (1 << 0) /* no process has it */
#define SOCK_DONE     (1 << 1) /* the peer's FIN has come */
#define SOCK_KEEPOPEN (1 << 3)
#define SOCK_LINGER   (1 << 4)

static __always_inline bool is_tcp(const struct sock *sk, enum access how)
{
	__u16 family = READ(how, sk, __sk_common.skc_family);

	return READ(how, sk, sk_protocol) == IPPROTO_TCP &&
	       (family == AF_INET || family == AF_INET6);
}

/* Request and timewait sockets have only the beginning of a socket. */
static __always_inline bool is_full(const struct sock *sk, enum access how)
{
	__u8 state = READ(how, sk, __sk_common.skc_state);

	return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

/* NULL: none. The cast costs less than a helper's call. */
static __always_inline struct tcp_sock *tcp_of(struct sock *sk, enum access how)
{
	if (how == PROBE_READ)
		return (struct tcp_sock *)sk;
	if (!bpf_ksym_exists(bpf_rdonly_cast))
		return bpf_skc_to_tcp_sock(sk);
	if (!is_full(sk, how) || !is_tcp(sk, how))
		return NULL;
	return bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
}

static __always_inline void map_v4(__u8 *to, __be32 addr)
{
	__u32 *word = (__u32 *)to;

	word[0] = 0;
	word[1] = 0;
	word[2] = bpf_htonl(0xffff);
	word[3] = addr;
}

static __always_inline void flow_read_v6(struct flow *flow, const struct sock_common *skc,
					 enum access how)
{
	if (how == PROBE_READ) {
		BPF_CORE_READ_INTO(&flow->laddr, skc, skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&flow->raddr, skc, skc_v6_daddr.in6_u.u6_addr8);
	} else {
		__builtin_memcpy(flow->laddr, skc->skc_v6_rcv_saddr.in6_u.u6_addr32, ADDR_LEN);
		__builtin_memcpy(flow->raddr, skc->skc_v6_daddr.in6_u.u6_addr32, ADDR_LEN);
	}
}

/*
 * The inode of a namespace; 0, which no filter asks for, where it was the wanted namespace's
 * before.
 */
static __always_inline __u32 inode_of_netns(const struct net *net, enum access how)
{
	__u32 inode = READ(how, net, ns.inum);

	if (filter.by_netns && wanted.netns_cookie && inode == wanted.netns &&
	    netns_cookie(net, how) != wanted.netns_cookie)
		return 0;
	return inode;
}

static __always_inline __u32 netns_of(const struct sock_common *skc, enum access how)
{
	return inode_of_netns(READ(how, skc, skc_net.net), how);
}

/* All but the namespace. */
static __always_inline void flow_read_ends(struct flow *flow, const struct sock_common *skc,
					   enum access how)
{
	if (READ(how, skc, skc_family) == AF_INET6) {
		flow_read_v6(flow, skc, how);
	} else {
		map_v4(flow->laddr, READ(how, skc, skc_rcv_saddr));
		map_v4(flow->raddr, READ(how, skc, skc_daddr));
	}
	flow->lport = READ(how, skc, skc_num);
	flow->rport = bpf_ntohs(READ(how, skc, skc_dport));
	flow->device = READ(how, skc, skc_bound_dev_if);
	flow->netns = 0;
	/* flows are keys, here and in user space */
	flow->reserved = 0;
}

/* Indexes of devices are those of a namespace. */
static __always_inline bool names_netns(const struct flow *flow)
{
	return options.want_netns || flow->device;
}

/* Works for full, request and timewait sockets: all of them begin with sock_common. */
static __always_inline void flow_read(struct flow *flow, const struct sock_common *skc,
				      enum access how)
{
	flow_read_ends(flow, skc, how);
	if (names_netns(flow))
		flow->netns = netns_of(skc, how);
}

static __always_inline __u16 sport_of(struct tcp_sock *tp, enum access how)
{
	return bpf_ntohs(READ(how, tp, inet_conn.icsk_inet.inet_sport));
}

/*
 * A closing socket has given its port back (inet_put_port clears skc_num) before the
 * state changes; inet_sport still holds it.
 */
static __always_inline void flow_read_port(struct flow *flow, struct sock *sk, enum access how)
{
	struct tcp_sock *tp;

	if (flow->lport)
		return;
	tp = tcp_of(sk, how);
	if (tp)
		flow->lport = sport_of(tp, how);
}

static __always_inline void flow_read_closing(struct flow *flow, struct sock *sk, enum access how)
{
	flow_read(flow, &sk->__sk_common, how);
	flow_read_port(flow, sk, how);
}

static __always_inline bool is_v6only(const struct sock_common *skc, enum access how)
{
	return how == PROBE_READ ? BPF_CORE_READ_BITFIELD_PROBED(skc, skc_ipv6only)
				 : BPF_CORE_READ_BITFIELD(skc, skc_ipv6only);
}

static __always_inline __u64 cookie_of(struct sock *sk, enum access how)
{
	switch (options.cookie) {
	case COOKIE_HELPER:
		if (how != BTF_PTR)
			return 0;
		/* the helper makes the cookie of a socket that has none yet */
		return sk->__sk_common.skc_cookie.counter ?: bpf_get_socket_cookie(sk);
	case COOKIE_FIELD:
		return READ(how, sk, __sk_common.skc_cookie.counter);
	}
	return 0;
}

/* Our FIN has been queued: it has a sequence number. */
static __always_inline bool fin_queued(__u8 state)
{
	return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING ||
	       state == TCP_LAST_ACK;
}

/* Bytes from one sequence number to another; the last may be a FIN's. */
static __always_inline __u32 bytes_between(__u32 from, __u32 to, bool fin)
{
	return to != from && fin ? to - from - 1 : to - from;
}

/* Bytes that the peer has not acknowledged, or that were not sent. */
static __always_inline __u32 bytes_unacked(struct tcp_sock *tp, __u8 state, enum access how)
{
	return bytes_between(READ(how, tp, snd_una), READ(how, tp, write_seq), fin_queued(state));
}

/* Of these, bytes that were not sent. */
static __always_inline __u32 bytes_unsent(struct tcp_sock *tp, __u8 state, enum access how)
{
	return bytes_between(READ(how, tp, snd_nxt), READ(how, tp, write_seq), fin_queued(state));
}

/* Bytes that the process has not read. done: the peer's FIN has come */
static __always_inline __u32 bytes_to_read(struct tcp_sock *tp, bool done, enum access how)
{
	return bytes_between(READ(how, tp, copied_seq), READ(how, tp, rcv_nxt), done);
}

/* Bytes that the process handed to TCP, sent or not. */
static __always_inline __u64 bytes_handed(struct tcp_sock *tp, __u8 state, enum access how)
{
	return READ(how, tp, bytes_sent) - READ(how, tp, bytes_retrans) +
	       bytes_unsent(tp, state, how);
}

/* Bytes that TCP took from the peer. done: its FIN has come */
static __always_inline __u64 bytes_taken(struct tcp_sock *tp, bool done, enum access how)
{
	return READ(how, tp, bytes_received) - done;
}
