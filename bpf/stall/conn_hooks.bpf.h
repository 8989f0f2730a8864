/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The iterator of the hook "connections": one conn_entry for each that is not idle, or for all. */
#pragma once

#include "stall/conn.bpf.h"

SEC("iter/tcp")
int dump_connections(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct conn_entry conn;
	struct track *track;
	struct tcp_sock *tp;
	__u8 state;

	if (!skc)
		return 0;
	state = skc->skc_state;
	if (state == TCP_LISTEN || state == TCP_CLOSE)
		return 0;
	/* timewait and half-open sockets have nothing queued */
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;
	if (!stall_options.all && (in_handshake(state) || (is_idle(skc, tp) && !mark_of(skc))))
		return 0;
	__builtin_memset(&conn, 0, sizeof(conn));
	conn.state = state;
	flow_read(&conn.flow, skc, BTF_PTR);
	track = track_find((struct sock *)tp);
	if (!flow_matches(&conn.flow) || !conn_own(&conn, track, tp))
		return 0;
	conn_read(&conn, skc, tp);
	conn_blocked(&conn, track, tp);
	bpf_seq_write(ctx->meta->seq, &conn, sizeof(conn));
	return 0;
}
