/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The event of a socket: how it does, which type of retransmit it is, whether it is wanted. */
#pragma once

#include "lib/ring.h"
#include "lib/track.h"
#include "retrans/options.h"

/* include/uapi/linux/tcp.h: enum tcp_ca_state */
#define TCP_CA_RECOVERY	     3
#define TCP_CA_LOSS	     4
/* include/net/inet_connection_sock.h */
#define ICSK_TIME_LOSS_PROBE 5

static __always_inline __u8 ca_state(struct tcp_sock *tp, enum access how)
{
	if (how == PROBE_READ)
		return BPF_CORE_READ_BITFIELD_PROBED(&tp->inet_conn, icsk_ca_state);
	return BPF_CORE_READ_BITFIELD(&tp->inet_conn, icsk_ca_state);
}

/*
 * The timer of a retransmission clears icsk_pending before it enters TCP_CA_Loss and sends; while
 * acknowledgements are handled a timer is pending, for segments are in flight. That of a tail
 * loss probe stays pending, and is only set outside recovery.
 */
static __always_inline __u8 retrans_type_of(struct tcp_sock *tp, __u8 state, enum access how)
{
	__u8 pending = READ(how, tp, inet_conn.icsk_pending), ca = ca_state(tp, how);

	if (state == TCP_SYN_SENT)
		return RETRANS_SYN;
	if (state == TCP_SYN_RECV)
		return RETRANS_SYNACK;
	if (ca == TCP_CA_LOSS)
		return pending ? RETRANS_SLOW_START : RETRANS_RTO;
	if (ca == TCP_CA_RECOVERY)
		return RETRANS_FAST;
	return pending == ICSK_TIME_LOSS_PROBE ? RETRANS_TLP : RETRANS_UNKNOWN;
}

static __always_inline bool retrans_wanted(const struct retrans_event *ev,
					   const struct owner *owner)
{
	if (owner_filtered() && !(owner && owner->flags & OWNER_MATCHES))
		return false;
	if (retrans_options.type_mask && !(retrans_options.type_mask & 1 << ev->why))
		return false;
	return ev->attempt >= retrans_options.min_attempt && flow_matches(&ev->flow);
}

static __always_inline void retrans_emit(struct retrans_event *ev, const struct track *track,
					 struct stats *st)
{
	const struct owner *owner = track ? &track->owner : NULL;

	if (!retrans_wanted(ev, owner)) {
		st->filtered++;
		return;
	}
	if (owner) {
		ev->cgroup = owner->cgroup;
		ev->pid = owner->pid;
		__builtin_memcpy(ev->comm, owner->comm, COMM_LEN);
	}
	if (bpf_ringbuf_output(&events, ev, sizeof(*ev),
			       wake_flags_of_many(&events, st->attempted - st->filtered)))
		st->lost++;
}

/* What a socket is, and how it does. */
static __always_inline void socket_read(struct retrans_event *ev, struct sock *sk,
					struct tcp_sock *tp, enum access how)
{
	ev->ts = bpf_ktime_get_ns();
	flow_read_closing(&ev->flow, sk, how);
	ev->state = READ(how, sk, __sk_common.skc_state);
	ev->cookie = cookie_of(sk, how);
	ev->rto = (__u64)READ(how, tp, inet_conn.icsk_rto) * retrans_options.tick_ns;
	/* srtt_us is eight times as much */
	ev->srtt = (__u64)READ(how, tp, srtt_us) * 1000 / 8;
	ev->cwnd = READ(how, tp, snd_cwnd);
	ev->ssthresh = READ(how, tp, snd_ssthresh);
	ev->in_flight = READ(how, tp, packets_out) + READ(how, tp, retrans_out) -
			READ(how, tp, sacked_out) - READ(how, tp, lost_out);
}

/* Makes the event of a socket one of needless retransmits, and sends it. */
static __always_inline void needless_emit(struct retrans_event *ev, __u32 needless,
					  const struct track *track, struct stats *st)
{
	st->attempted++;
	ev->why = RETRANS_SPURIOUS;
	ev->attempt = 0;
	ev->segs = needless;
	retrans_emit(ev, track, st);
}
