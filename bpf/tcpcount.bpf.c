// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * tcpcount: bytes and calls that TCP accepted from and delivered to applications (results
 * of tcp_sendmsg and tcp_recvmsg, or sock_send_length and sock_recv_length), and segments
 * that reached established sockets (tcp_v4_do_rcv and tcp_v6_do_rcv, or tcp_probe), summed
 * up by whatever the user asked for. Here the programs are attached; count.h has the work.
 *
 * Cannot see: segments of the handshake, TCP_ZEROCOPY_RECEIVE; through functions, TLS in
 * the kernel; through tracepoints, data that splice(2) takes from a socket.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "wire.h"
#include "reach.h"
#include "compat.h"
#include "emit.h"
#include "sock.h"
#include "filter.h"
#include "owner.h"
#include "child.h"
#include "calls.h"
#include "group.h"
#include "count.h"

static __always_inline void at_send(struct sock *sk, int ret, enum reach how)
{
	handle_send(sk, ret, how);
}

static __always_inline void at_receive(struct sock *sk, int ret, int flags, enum reach how)
{
	handle_receive(sk, ret, flags, how);
}

static __always_inline void at_segment(struct sock *sk, enum reach how)
{
	handle_segment(sk, how);
}

#include "data.h"

/* As the tracepoint tcp_probe: what the state machine of another state gets is no data. */
static __always_inline void at_do_rcv(struct sock *sk, enum reach how)
{
	if (READ(how, sk, __sk_common.skc_state) == TCP_ESTABLISHED)
		at_segment(sk, how);
}

SEC("fentry/tcp_v4_do_rcv")
int BPF_PROG(segment_v4_fentry, struct sock *sk)
{
	at_do_rcv(sk, TRUSTED);
	return 0;
}

SEC("fentry/tcp_v6_do_rcv")
int BPF_PROG(segment_v6_fentry, struct sock *sk)
{
	at_do_rcv(sk, TRUSTED);
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(segment_tracepoint, struct sock *sk)
{
	at_segment(sk, TRUSTED);
	return 0;
}

SEC("kprobe/tcp_v4_do_rcv")
int BPF_KPROBE(segment_v4_kprobe, struct sock *sk)
{
	at_do_rcv(sk, PROBED);
	return 0;
}

SEC("kprobe/tcp_v6_do_rcv")
int BPF_KPROBE(segment_v6_kprobe, struct sock *sk)
{
	at_do_rcv(sk, PROBED);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tracepoint, struct sock *sk, int old_state, int new_state)
{
	count_transition(sk, old_state, new_state, TRUSTED);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(state_raw_tracepoint, struct sock *sk, int old_state, int new_state)
{
	count_transition(sk, old_state, new_state, PROBED);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_tracepoint, struct sock *sk)
{
	handle_destroy(sk, TRUSTED);
	return 0;
}

SEC("raw_tp/tcp_destroy_sock")
int BPF_PROG(destroy_raw_tracepoint, struct sock *sk)
{
	handle_destroy(sk, PROBED);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
