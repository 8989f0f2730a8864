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

SEC("fexit/tcp_sendmsg")
int BPF_PROG(send_fexit, struct sock *sk, void *msg, unsigned long size, int ret)
{
	handle_send(sk, ret, TRUSTED);
	return 0;
}

/* up to 6.4: sendfile() and splice() */
SEC("fexit/tcp_sendpage")
int BPF_PROG(sendpage_fexit, struct sock *sk, void *page, int offset, unsigned long size, int flags,
	     int ret)
{
	handle_send(sk, ret, TRUSTED);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(send_tracepoint, struct sock *sk, int ret)
{
	handle_send(sk, ret, TRUSTED);
	return 0;
}

SEC("kprobe/tcp_sendmsg")
int BPF_KPROBE(send_kprobe, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}

SEC("kretprobe/tcp_sendmsg")
int BPF_KRETPROBE(send_kretprobe, int ret)
{
	struct call call;

	if (call_end(&call))
		handle_send(call.sk, ret, PROBED);
	return 0;
}

SEC("kprobe/tcp_sendpage")
int BPF_KPROBE(sendpage_kprobe, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}

SEC("kretprobe/tcp_sendpage")
int BPF_KRETPROBE(sendpage_kretprobe, int ret)
{
	struct call call;

	if (call_end(&call))
		handle_send(call.sk, ret, PROBED);
	return 0;
}

/* up to 5.18 */
SEC("fexit/tcp_recvmsg")
int BPF_PROG(recv_fexit_6, struct sock *sk, void *msg, unsigned long len, int nonblock, int flags,
	     void *addr_len, int ret)
{
	handle_receive(sk, ret, flags, TRUSTED);
	return 0;
}

SEC("fexit/tcp_recvmsg")
int BPF_PROG(recv_fexit_5, struct sock *sk, void *msg, unsigned long len, int flags, void *addr_len,
	     int ret)
{
	handle_receive(sk, ret, flags, TRUSTED);
	return 0;
}

SEC("fexit/tcp_recvmsg")
int BPF_PROG(recv_fexit_4, struct sock *sk, void *msg, unsigned long len, int flags, int ret)
{
	handle_receive(sk, ret, flags, TRUSTED);
	return 0;
}

SEC("fexit/tcp_splice_read")
int BPF_PROG(splice_fexit, struct socket *sock, void *ppos, void *pipe, unsigned long len,
	     unsigned int flags, int ret)
{
	handle_receive(sock->sk, ret, 0, TRUSTED);
	return 0;
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(recv_tracepoint, struct sock *sk, int ret, int flags)
{
	handle_receive(sk, ret, flags, TRUSTED);
	return 0;
}

/* up to 5.18 */
SEC("kprobe/tcp_recvmsg")
int BPF_KPROBE(recv_kprobe_5, struct sock *sk, void *msg, unsigned long len, int nonblock,
	       int flags)
{
	call_begin(sk, flags);
	return 0;
}

SEC("kprobe/tcp_recvmsg")
int BPF_KPROBE(recv_kprobe_4, struct sock *sk, void *msg, unsigned long len, int flags)
{
	call_begin(sk, flags);
	return 0;
}

SEC("kretprobe/tcp_recvmsg")
int BPF_KRETPROBE(recv_kretprobe, int ret)
{
	struct call call;

	if (call_end(&call))
		handle_receive(call.sk, ret, call.flags, PROBED);
	return 0;
}

SEC("kprobe/tcp_splice_read")
int BPF_KPROBE(splice_kprobe, struct socket *sock)
{
	call_begin(BPF_CORE_READ(sock, sk), 0);
	return 0;
}

SEC("kretprobe/tcp_splice_read")
int BPF_KRETPROBE(splice_kretprobe, int ret)
{
	struct call call;

	if (call_end(&call))
		handle_receive(call.sk, ret, 0, PROBED);
	return 0;
}

SEC("fentry/tcp_v4_do_rcv")
int BPF_PROG(segment_v4_fentry, struct sock *sk)
{
	handle_do_rcv(sk, TRUSTED);
	return 0;
}

SEC("fentry/tcp_v6_do_rcv")
int BPF_PROG(segment_v6_fentry, struct sock *sk)
{
	handle_do_rcv(sk, TRUSTED);
	return 0;
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(segment_tracepoint, struct sock *sk)
{
	handle_segment(sk, TRUSTED);
	return 0;
}

SEC("kprobe/tcp_v4_do_rcv")
int BPF_KPROBE(segment_v4_kprobe, struct sock *sk)
{
	handle_do_rcv(sk, PROBED);
	return 0;
}

SEC("kprobe/tcp_v6_do_rcv")
int BPF_KPROBE(segment_v6_kprobe, struct sock *sk)
{
	handle_do_rcv(sk, PROBED);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tracepoint, struct sock *sk, int old_state, int new_state)
{
	handle_transition(sk, old_state, new_state, TRUSTED);
	return 0;
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(state_raw_tracepoint, struct sock *sk, int old_state, int new_state)
{
	handle_transition(sk, old_state, new_state, PROBED);
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

/* One read for the whole map: a key, then its value on every CPU. */
SEC("iter/bpf_map_elem")
int dump_counts(struct bpf_iter__bpf_map_elem *ctx)
{
	struct group_key *key = ctx->key;
	void *values = ctx->value;

	if (!key || !values)
		return 0;
	bpf_seq_write(ctx->meta->seq, key, sizeof(*key));
	bpf_seq_write(ctx->meta->seq, values, options.nr_cpus * sizeof(struct count_value));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
