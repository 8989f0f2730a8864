/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a connection has done, from the counters of its socket. */
#pragma once

#include "life/options.h"
#include "lib/mptcp.h"
#include "lib/sock.h"

/* Bytes count data alone: no SYN, no FIN, nothing twice. */
static __always_inline void life_count_bytes(struct life_event *ev, struct tcp_sock *tp, bool done,
					     enum access how)
{
	/* before the handshake is done, sequence numbers may be an earlier connection's */
	if (ev->state == TCP_SYN_SENT || ev->state == TCP_SYN_RECV)
		return;
	ev->tx_bytes = bytes_handed(tp, ev->state, how);
	ev->rx_bytes = bytes_taken(tp, done, how);
	ev->unacked = bytes_unacked(tp, ev->state, how);
	ev->unread = bytes_to_read(tp, done, how);
}

/* How long ago data was last sent and received, in ticks. */
struct last_use {
	__u32 sent;
	__u32 received;
};

static __always_inline struct last_use last_use_of(struct tcp_sock *tp, enum access how)
{
	__u32 now = bpf_jiffies64();

	return (struct last_use){
		.sent = now - READ(how, tp, lsndtime),
		.received = now - READ(how, tp, inet_conn.icsk_ack.lrcvtime),
	};
}

/* ns */
static __always_inline __u64 unused_for(const struct last_use *last)
{
	__u32 ticks = last->sent < last->received ? last->sent : last->received;

	return (__u64)ticks * life_options.tick_ns;
}

/* Nothing has come since data was sent. */
static __always_inline bool is_waiting(const struct last_use *last, __u64 tx_bytes, __u64 rx_bytes)
{
	return tx_bytes &&
	       (last->sent < last->received || (last->sent == last->received && !rx_bytes));
}

static __always_inline void life_count(struct life_event *ev, struct tcp_sock *tp, bool done,
				       enum access how)
{
	struct last_use last;

	life_count_bytes(ev, tp, done, how);
	ev->segs_out = READ(how, tp, segs_out);
	ev->segs_in = READ(how, tp, segs_in);
	ev->retrans = READ(how, tp, total_retrans);
	ev->rtt_min = READ(how, tp, rtt_min.s[0].v);
	/* srtt_us is eight times as much */
	ev->srtt = READ(how, tp, srtt_us) / 8;
	last = last_use_of(tp, how);
	ev->idle = unused_for(&last);
	if (is_waiting(&last, ev->tx_bytes, ev->rx_bytes))
		ev->flags |= LIFE_WAITING;
}
