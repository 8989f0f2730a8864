/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Bytes and segments of sockets for --light, from TCP's own counters: read as a socket closes, and
 * by an iterator of those that live, so that no program runs when one sends or receives. What a
 * process receives after the end of its connection is read as it closes the socket. Each reading
 * counts what came since the one before. A socket whose connection began before the tool
 * counts from its first reading on.
 */
#pragma once

#include "count/count.bpf.h"
#include "lib/per_socket.h"

/* Only those that an iterator has seen have one. */
PER_SOCKET(reading, readings, 0)

/* What send() has returned: acknowledged or not, without the SYN of connect() and our FIN. */
static __always_inline __u64 bytes_accepted(struct tcp_sock *tp, __u8 state, bool client,
					    enum access how)
{
	return READ(how, tp, bytes_acked) +
	       (__u32)(READ(how, tp, write_seq) - READ(how, tp, snd_una)) - client -
	       fin_queued(state);
}

/* What has come and was not taken from the socket. */
static __always_inline __u32 bytes_unread(struct sock *sk, struct tcp_sock *tp, bool done,
					  enum access how)
{
	/* no process takes what a verdict program gets */
	if (has_verdict(sk, how))
		return 0;
	return bytes_between(READ(how, tp, copied_seq), READ(how, tp, rcv_nxt), done);
}

/* What recv() has returned: what came, without the FIN and what was not taken. */
static __always_inline __u64 bytes_delivered(struct sock *sk, struct tcp_sock *tp, __u32 *unread,
					     enum access how)
{
	bool done = READ(how, sk, __sk_common.skc_flags) & SOCK_DONE;

	*unread = bytes_unread(sk, tp, done, how);
	return READ(how, tp, bytes_received) - done - *unread;
}

/* Returns the bytes that wait to be received. */
static __always_inline __u32 reading_take(struct reading *now, struct sock *sk, struct tcp_sock *tp,
					  __u8 state, bool client, enum access how)
{
	__u32 unread = 0;

	now->segs_in = READ(how, tp, segs_in);
	now->retrans_segs = READ(how, tp, total_retrans);
	/* before the handshake is done, sequence numbers may be an earlier connection's */
	if (state == TCP_SYN_SENT || state == TCP_SYN_RECV)
		return 0;
	now->tx_bytes = bytes_accepted(tp, state, client, how);
	now->rx_bytes = bytes_delivered(sk, tp, &unread, how);
	return unread;
}

/* A reading without the socket lock (before 5.15) may see half of a change: it never goes back. */
static __always_inline __u64 grown(__u64 now, __u64 *before)
{
	__u64 more = now - *before;

	if ((__s64)more <= 0)
		return 0;
	*before = now;
	return more;
}

static __always_inline void grow(__u64 *sum, __u64 more)
{
	/* an interrupt may come to the same counter */
	if (more)
		__sync_fetch_and_add(sum, more);
}

/* Counts what a socket has done since before, which becomes now. */
static __always_inline void light_count(struct sock *sk, struct owner *owner,
					const struct reading *now, struct reading *before,
					struct stats *st, enum access how)
{
	struct reading more = {
		.tx_bytes = grown(now->tx_bytes, &before->tx_bytes),
		.rx_bytes = grown(now->rx_bytes, &before->rx_bytes),
		.segs_in = grown(now->segs_in, &before->segs_in),
		.retrans_segs = grown(now->retrans_segs, &before->retrans_segs),
	};
	struct count_value *value;
	struct flow flow = {};

	if (!(more.tx_bytes | more.rx_bytes | more.segs_in | more.retrans_segs))
		return;
	st->attempted++;
	if (reads_owner(count_options.by))
		owner_from_mptcp(owner, sk, how);
	if (reads_flow(count_options.by))
		flow_read_closing(&flow, sk, how);
	if ((owner_filtered() && !(owner->flags & OWNER_MATCHES)) || !flow_matches(&flow)) {
		st->filtered++;
		return;
	}
	value = value_for(&flow, owner, st);
	if (!value)
		return;
	grow(&value->tx_bytes, more.tx_bytes);
	grow(&value->rx_bytes, more.rx_bytes);
	grow(&value->segs_in, more.segs_in);
	grow(&value->retrans_segs, more.retrans_segs);
}

static __always_inline void light_begin(struct track *track, __u32 client)
{
	track->marks &= ~(TRACK_READ | TRACK_UNREAD | TRACK_CLIENT);
	track->marks |= TRACK_COUNTED | client;
}

/* The process may receive what its connection has left, until it closes the socket. */
static __always_inline void light_defer(struct track *track, struct sock *sk,
					const struct reading *now, struct stats *st)
{
	struct reading *last = reading_make(sk);

	if (!last) {
		st->untracked++;
		return;
	}
	*last = *now;
	track->marks |= TRACK_UNREAD;
}

/* The last reading of a connection. */
static __always_inline void light_end(struct track *track, struct sock *sk, int state,
				      struct stats *st, enum access how)
{
	struct reading now = {}, before = {}, *last;
	struct tcp_sock *tp = tcp_of(sk, how);
	__u32 unread;

	if (!tp || !(track->marks & TRACK_COUNTED))
		return;
	if (track->marks & TRACK_READ) {
		last = reading_find(sk);
		if (!last)
			return;
		before = *last;
	}
	unread = reading_take(&now, sk, tp, state, track->marks & TRACK_CLIENT, how);
	light_count(sk, &track->owner, &now, &before, st, how);
	track->marks &= ~(TRACK_COUNTED | TRACK_READ);
	if (unread)
		light_defer(track, sk, &now, st);
	else if (count_options.by == BY_CONNECTION)
		mark_counters(sk, COUNT_GONE, how);
}

/* What the process has received since the end of the connection. */
static __always_inline void light_count_rest(struct sock *sk, enum access how)
{
	struct track *track = track_find(sk);
	struct stats *st = stats_here();
	struct reading now, *last;
	struct tcp_sock *tp;
	__u32 unread;

	if (!st || !track || !(track->marks & TRACK_UNREAD))
		return;
	last = reading_find(sk);
	tp = tcp_of(sk, how);
	if (!last || !tp)
		return;
	now = *last;
	now.rx_bytes = bytes_delivered(sk, tp, &unread, how);
	light_count(sk, &track->owner, &now, last, st, how);
	if (count_options.by == BY_CONNECTION)
		mark_counters(sk, COUNT_GONE, how);
}

static __always_inline void light_on_destroy(struct sock *sk, enum access how)
{
	light_count_rest(sk, how);
	if (options.use_hash) {
		track_forget(sk);
		reading_forget(sk);
	}
}

/* A reading of a connection that goes on. */
static __always_inline void light_on_visit(struct sock *sk, struct tcp_sock *tp)
{
	__u8 state = sk->__sk_common.skc_state;
	struct stats *st = stats_here();
	struct reading now = {}, *last;
	struct track *track;

	if (!st || state == TCP_LISTEN || state == TCP_CLOSE)
		return;
	track = track_make(sk);
	/* a child of a listener counts from the end of its handshake on */
	if (track && state == TCP_SYN_RECV && !(track->marks & TRACK_COUNTED))
		return;
	last = track ? reading_make(sk) : NULL;
	/* what it does is counted at its end, if it is known by then */
	if (!last) {
		st->untracked++;
		return;
	}
	if (state == TCP_SYN_SENT)
		track->marks |= TRACK_CLIENT;
	reading_take(&now, sk, tp, state, track->marks & TRACK_CLIENT, BTF_PTR);
	if (!(track->marks & TRACK_READ)) {
		if (track->marks & TRACK_COUNTED)
			__builtin_memset(last, 0, sizeof(*last));
		else
			*last = now;
		track->marks |= TRACK_COUNTED | TRACK_READ;
	}
	light_count(sk, &track->owner, &now, last, st, BTF_PTR);
}

/* Our FIN, and that of the peer, change nothing that is read at the end. */
static __always_inline bool light_needs(int new_state)
{
	return new_state != TCP_FIN_WAIT2 && new_state != TCP_CLOSE_WAIT &&
	       new_state != TCP_CLOSING;
}

/* A transition that light_needs(); the owner is already learned from it. */
static __always_inline void light_follow(struct track *track, struct sock *sk, int old_state,
					 int new_state, struct stats *st, enum access how)
{
	if (new_state == TCP_LISTEN)
		track->marks &= ~TRACK_COUNTED; /* its children begin with a copy */
	else if (new_state == TCP_SYN_SENT)
		light_begin(track, TRACK_CLIENT);
	else if (old_state == TCP_SYN_RECV && !(track->marks & TRACK_COUNTED))
		light_begin(track, 0);
	if (new_state == TCP_CLOSE)
		light_end(track, sk, old_state, st, how);
}

static __always_inline void light_on_transition(struct sock *sk, int old_state, int new_state,
						enum access how)
{
	bool begins = old_state == TCP_CLOSE || old_state == TCP_SYN_RECV;
	struct stats *st = stats_here();
	struct track *track;

	if (!st || !is_tcp(sk, how) || !light_needs(new_state))
		return;
	track = begins ? track_make(sk) : track_find(sk);
	if (!track) {
		if (begins)
			st->untracked++;
		return;
	}
	owner_on_transition(track, sk, old_state, new_state, how);
	light_follow(track, sk, old_state, new_state, st, how);
}
