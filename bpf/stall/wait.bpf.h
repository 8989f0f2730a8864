/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Since when a thread waits in send() for room. That one waits is in the socket (sk_write_pending),
 * and so is how much was written then: a wait of which no program saw the beginning has another
 * write_seq.
 */
#pragma once

#include "lib/stats.h"
#include "lib/track.h"
#include "stall/options.h"

/* As sk_stream_memory_free() and tcp_stream_memory_free() of the kernel. */
static __always_inline bool has_room(const struct sock *sk, const struct tcp_sock *tp)
{
	const struct net *net = sk->__sk_common.skc_net.net;
	__u32 lowat = tp->notsent_lowat ?: net->ipv4.sysctl_tcp_notsent_lowat;

	return sk->sk_wmem_queued < sk->sk_sndbuf && tp->write_seq - tp->snd_nxt < lowat;
}

/* Under the socket's lock; that of a socket in which another thread waits already is kept. */
static __always_inline void on_send_wait(struct sock *sk, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	struct stats *st = stats_here();
	struct track *track;
	__u32 written;

	if (!st || !tp || !is_tcp(sk, how))
		return;
	track = track_make(sk);
	if (!track) {
		st->untracked++;
		return;
	}
	written = READ(how, tp, write_seq);
	if (track->since && track->waits_at == written && READ(how, sk, sk_write_pending))
		return;
	track->since = bpf_ktime_get_ns();
	track->waits_at = written;
}

/* DURATION_UNKNOWN also where none waits. */
static __always_inline __u64 send_waits(const struct track *track, const struct tcp_sock *tp,
					__u64 now)
{
	if (!stall_options.waits || !track || !track->since || track->waits_at != tp->write_seq)
		return DURATION_UNKNOWN;
	return now - track->since;
}
