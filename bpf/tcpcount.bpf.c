// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpcount: bytes and calls that TCP accepted from and delivered to applications (results
 * of tcp_sendmsg and tcp_recvmsg, or sock_send_length and sock_recv_length), and segments
 * that reached established sockets (tcp_v4_do_rcv and tcp_v6_do_rcv, or tcp_probe), summed
 * up by the selected grouping; and segments sent again (tcp_retransmit_skb, tcp_retransmit_synack).
 * With --light TCP's own counters instead (inet_sock_set_state, an iterator), and no calls.
 *
 * Cannot see: segments of the handshake, TCP_ZEROCOPY_RECEIVE; through functions, TLS in
 * the kernel; through tracepoints, data that splice(2) takes from a socket.
 */
#include "count/count_hooks.bpf.h"
#include "count/light.bpf.h"
#include "lib/child_hooks.bpf.h"
#include "lib/destroy_hooks.bpf.h"
#include "lib/owner_hooks.bpf.h"
#include "lib/retransmit_hooks.bpf.h"
#include "lib/segment_hooks.bpf.h"
#include "lib/send_recv_hooks.bpf.h"
#include "lib/socket_counters_hooks.bpf.h"
#include "lib/state_hooks.bpf.h"
#include "lib/synack_hooks.bpf.h"
#include "lib/track.h"

static __always_inline void on_transition(struct sock *sk, int old_state, int new_state,
					  enum access how)
{
	if (count_options.light)
		light_on_transition(sk, old_state, new_state, how);
	else
		count_on_transition(sk, old_state, new_state, how);
}

static __always_inline void on_send(struct sock *sk, int ret, enum access how)
{
	count_on_send(sk, ret, how);
}

static __always_inline void on_recv(struct sock *sk, int ret, int flags, enum access how)
{
	count_on_recv(sk, ret, flags, how);
}

/* As tcp_probe: what reaches the handshake or the closing is not counted. */
static __always_inline void on_segment(struct sock *sk, const struct sk_buff *skb, enum access how)
{
	if (READ(how, sk, __sk_common.skc_state) == TCP_ESTABLISHED)
		count_on_segment(sk, how);
}

static __always_inline void on_tcp_probe(struct sock *sk, const struct sk_buff *skb)
{
	count_on_segment(sk, BTF_PTR);
}

static __always_inline void on_retransmit(struct sock *sk, const struct sk_buff *skb,
					  enum access how)
{
	count_on_retransmit(sk, skb, how);
}

static __always_inline void on_synack_retransmit(struct sock *sk, struct request_sock *req)
{
	count_on_synack(sk, req);
}

static __always_inline void on_child(struct sock *listener, struct sock *child, enum access how)
{
	owner_on_child(listener, child);
}

static __always_inline void on_destroy(struct sock *sk, enum access how)
{
	if (count_options.light)
		light_on_destroy(sk, how);
	else
		count_on_destroy(sk, how);
}

static __always_inline void on_visit(struct sock *sk, struct tcp_sock *tp)
{
	light_on_visit(sk, tp);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
