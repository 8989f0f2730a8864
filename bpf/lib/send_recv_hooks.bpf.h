/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* All attach points of the hooks "send", "recv" and "splice": a process has sent or received. */
#pragma once

#include "lib/calls.h"
#include "lib/send_recv_tracepoints.bpf.h"

SEC("fexit/tcp_sendmsg")
int BPF_PROG(send_fexit, struct sock *sk, void *msg, unsigned long size, int ret)
{
	if (call_returns())
		on_send(sk, ret, BTF_PTR);
	return 0;
}

SEC("fentry/tcp_sendmsg")
int BPF_PROG(send_fentry, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}

/* up to 6.4: sendfile() and splice() */
SEC("fexit/tcp_sendpage")
int BPF_PROG(sendpage_fexit, struct sock *sk, void *page, int offset, unsigned long size, int flags,
	     int ret)
{
	if (call_returns())
		on_send(sk, ret, BTF_PTR);
	return 0;
}

SEC("fentry/tcp_sendpage")
int BPF_PROG(sendpage_fentry, struct sock *sk)
{
	call_begin(sk, 0);
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
		on_send(call.sk, ret, PROBE_READ);
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
		on_send(call.sk, ret, PROBE_READ);
	return 0;
}

/* up to 5.18 */
SEC("fexit/tcp_recvmsg")
int BPF_PROG(recv_fexit_6, struct sock *sk, void *msg, unsigned long len, int nonblock, int flags,
	     void *addr_len, int ret)
{
	if (call_returns())
		on_recv(sk, ret, flags, BTF_PTR);
	return 0;
}

SEC("fexit/tcp_recvmsg")
int BPF_PROG(recv_fexit_5, struct sock *sk, void *msg, unsigned long len, int flags, void *addr_len,
	     int ret)
{
	if (call_returns())
		on_recv(sk, ret, flags, BTF_PTR);
	return 0;
}

SEC("fexit/tcp_recvmsg")
int BPF_PROG(recv_fexit_4, struct sock *sk, void *msg, unsigned long len, int flags, int ret)
{
	if (call_returns())
		on_recv(sk, ret, flags, BTF_PTR);
	return 0;
}

SEC("fentry/tcp_recvmsg")
int BPF_PROG(recv_fentry, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}

SEC("fexit/tcp_splice_read")
int BPF_PROG(splice_fexit, struct socket *sock, void *ppos, void *pipe, unsigned long len,
	     unsigned int flags, int ret)
{
	if (call_returns())
		on_recv(sock->sk, ret, 0, BTF_PTR);
	return 0;
}

SEC("fentry/tcp_splice_read")
int BPF_PROG(splice_fentry, struct socket *sock)
{
	call_begin(sock->sk, 0);
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
		on_recv(call.sk, ret, call.flags, PROBE_READ);
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
		on_recv(call.sk, ret, 0, PROBE_READ);
	return 0;
}

/* The socket of an application with MPTCP; on kernels before the tracepoints of sends and receives.
 */
SEC("fexit/mptcp_sendmsg")
int BPF_PROG(mptcp_send_fexit, struct sock *sk, void *msg, unsigned long len, int ret)
{
	if (call_returns())
		on_send(sk, ret, BTF_PTR);
	return 0;
}

SEC("fentry/mptcp_sendmsg")
int BPF_PROG(mptcp_send_fentry, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}

SEC("kprobe/mptcp_sendmsg")
int BPF_KPROBE(mptcp_send_kprobe, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}

SEC("kretprobe/mptcp_sendmsg")
int BPF_KRETPROBE(mptcp_send_kretprobe, int ret)
{
	struct call call;

	if (call_end(&call))
		on_send(call.sk, ret, PROBE_READ);
	return 0;
}

SEC("fexit/mptcp_recvmsg")
int BPF_PROG(mptcp_recv_fexit_5, struct sock *sk, void *msg, unsigned long len, int flags,
	     void *addr_len, int ret)
{
	if (call_returns())
		on_recv(sk, ret, flags, BTF_PTR);
	return 0;
}

SEC("fexit/mptcp_recvmsg")
int BPF_PROG(mptcp_recv_fexit_4, struct sock *sk, void *msg, unsigned long len, int flags, int ret)
{
	if (call_returns())
		on_recv(sk, ret, flags, BTF_PTR);
	return 0;
}

SEC("fentry/mptcp_recvmsg")
int BPF_PROG(mptcp_recv_fentry, struct sock *sk)
{
	call_begin(sk, 0);
	return 0;
}

SEC("kprobe/mptcp_recvmsg")
int BPF_KPROBE(mptcp_recv_kprobe, struct sock *sk, void *msg, unsigned long len, int flags)
{
	call_begin(sk, flags);
	return 0;
}

SEC("kretprobe/mptcp_recvmsg")
int BPF_KRETPROBE(mptcp_recv_kretprobe, int ret)
{
	struct call call;

	if (call_end(&call))
		on_recv(call.sk, ret, call.flags, PROBE_READ);
	return 0;
}
