/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* struct sock to struct flow, in one place. */
#ifndef TCPSCOPE_SOCK_H
#define TCPSCOPE_SOCK_H

#define AF_INET	 2
#define AF_INET6 10

static __always_inline bool is_tcp(const struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return sk->sk_protocol == IPPROTO_TCP && (family == AF_INET || family == AF_INET6);
}

static __always_inline void map_v4(__u8 *to, __be32 addr)
{
	__u32 *word = (__u32 *)to;

	word[0] = 0;
	word[1] = 0;
	word[2] = bpf_htonl(0xffff);
	word[3] = addr;
}

/* Works for full, request and timewait sockets: all of them begin with sock_common. */
static __always_inline void flow_read(struct flow *flow, const struct sock_common *skc)
{
	if (skc->skc_family == AF_INET6) {
		__builtin_memcpy(flow->laddr, skc->skc_v6_rcv_saddr.in6_u.u6_addr32, ADDR_LEN);
		__builtin_memcpy(flow->raddr, skc->skc_v6_daddr.in6_u.u6_addr32, ADDR_LEN);
	} else {
		map_v4(flow->laddr, skc->skc_rcv_saddr);
		map_v4(flow->raddr, skc->skc_daddr);
	}
	flow->lport = skc->skc_num;
	flow->rport = bpf_ntohs(skc->skc_dport);
	flow->netns = options.want_netns ? skc->skc_net.net->ns.inum : 0;
}

/*
 * A closing socket has given its port back (inet_put_port clears skc_num) before the
 * state changes; inet_sport still holds it.
 */
static __always_inline void flow_read_closing(struct flow *flow, struct sock *sk)
{
	struct tcp_sock *tp;

	flow_read(flow, &sk->__sk_common);
	if (flow->lport)
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp)
		flow->lport = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
}

#endif /* TCPSCOPE_SOCK_H */
