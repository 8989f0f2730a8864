/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the socket of a connection knows: how much is queued, what keeps the kernel from sending it,
 * and when the connection last moved. Read under the socket's lock, from iterators alone.
 */
#pragma once

#include "lib/mptcp.h"
#include "lib/sock.h"
#include "lib/track.h"
#include "stall/options.h"
#include "stall/wait.bpf.h"

#define NR_LIMITS      (LIMIT_SNDBUF + 1)
/* include/net/tcp.h */
#define TCP_NAGLE_OFF  1
#define TCP_NAGLE_CORK 2
#define TCP_RTO_MAX_NS 120000000000ULL
#define NS_OF_US       1000ULL
#define US_OF_S	       1000000ULL

/* By address of the socket: the stalls that user space waits for the end of. Sized at start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct stall_mark);
} stall_marks SEC(".maps");

static __always_inline struct stall_mark *mark_of(const void *sk)
{
	__u64 key = (__u64)sk;

	return stall_options.ends ? bpf_map_lookup_elem(&stall_marks, &key) : NULL;
}

/* A difference of jiffies in ns; 0 where the second lies behind the first. */
static __always_inline __u64 ticks_ns(__u32 from, __u32 to)
{
	__u32 ticks = to - from;

	return (__s32)ticks < 0 ? 0 : (__u64)ticks * stall_options.tick_ns;
}

/* Sequence numbers are an earlier connection's before the handshake is done. */
static __always_inline bool in_handshake(__u8 state)
{
	return state == TCP_SYN_SENT || state == TCP_SYN_RECV;
}

/* Nothing is queued, nothing waits to be read, and no probe is out. */
static __always_inline bool is_idle(const struct sock_common *skc, const struct tcp_sock *tp)
{
	__u32 rcv_nxt = tp->rcv_nxt, copied = tp->copied_seq;

	if (skc->skc_flags & SOCK_DONE && rcv_nxt != copied)
		rcv_nxt--;
	return tp->write_seq == tp->snd_una && rcv_nxt == copied && !tp->inet_conn.icsk_probes_out;
}

static __always_inline void conn_queues(struct conn_entry *conn, const struct tcp_sock *tp,
					bool done)
{
	bool fin = fin_queued(conn->state), sent_all = tp->snd_nxt == tp->write_seq;

	conn->copied = tp->copied_seq;
	conn->written = tp->write_seq;
	if (in_handshake(conn->state))
		return;
	conn->unacked = bytes_between(tp->snd_una, tp->snd_nxt, fin && sent_all);
	conn->unsent = bytes_between(tp->snd_nxt, tp->write_seq, fin);
	conn->unread = bytes_between(tp->copied_seq, tp->rcv_nxt, done);
}

static __always_inline __u8 limit_of(const struct tcp_sock *tp)
{
	return BPF_CORE_READ_BITFIELD(tp, chrono_type);
}

/* As tcp_get_info_chrono_stats() of the kernel does. */
static __always_inline void conn_limits(struct conn_entry *conn, const struct tcp_sock *tp,
					__u32 now)
{
	__u64 running = ticks_ns(tp->chrono_start, now);

	conn->limit = limit_of(tp);
	conn->limited = running;
	conn->busy = (__u64)tp->chrono_stat[LIMIT_BUSY - 1] * stall_options.tick_ns;
	conn->rwnd_limited = (__u64)tp->chrono_stat[LIMIT_RWND - 1] * stall_options.tick_ns;
	conn->sndbuf_limited = (__u64)tp->chrono_stat[LIMIT_SNDBUF - 1] * stall_options.tick_ns;
	if (conn->limit == LIMIT_RWND)
		conn->rwnd_limited += running;
	if (conn->limit == LIMIT_SNDBUF)
		conn->sndbuf_limited += running;
	if (conn->limit == LIMIT_BUSY)
		conn->busy += running;
	conn->busy += conn->rwnd_limited + conn->sndbuf_limited;
}

static __always_inline void conn_since(struct conn_entry *conn, const struct tcp_sock *tp,
				       __u32 now)
{
	__u64 us = conn->ktime / NS_OF_US, stamp = tp->delivered_mstamp;

	conn->delivered = us > stamp ? (us - stamp) * NS_OF_US : 0;
	conn->heard = ticks_ns(tp->rcv_tstamp, now);
	conn->received = ticks_ns(tp->inet_conn.icsk_ack.lrcvtime, now);
	conn->read = conn->resent = DURATION_UNKNOWN;
	stamp = tp->rcvq_space.time;
	/* the kernel notes a read if the last one was a round trip ago */
	if (tp->rcvq_space.seq == tp->copied_seq)
		conn->read = us > stamp ? (us - stamp) * NS_OF_US : 0;
	if (!tp->retrans_stamp)
		return;
	if (bpf_core_field_exists(tp->tcp_usec_ts) && BPF_CORE_READ_BITFIELD(tp, tcp_usec_ts))
		conn->resent = (__u64)((__u32)us - tp->retrans_stamp) * NS_OF_US;
	else
		conn->resent = (__u64)((__u32)(us / 1000) - tp->retrans_stamp) * 1000000;
}

/* When its timer expires, in jiffies. */
static __always_inline unsigned long timer_of(const struct tcp_sock *tp)
{
	const struct inet_connection_sock *icsk = &tp->inet_conn;

	if (bpf_core_field_exists(icsk->icsk_timeout))
		return icsk->icsk_timeout;
	if (bpf_core_field_exists(icsk->icsk_retransmit_timer))
		return icsk->icsk_retransmit_timer.expires;
	return icsk->icsk_inet.sk.tcp_retransmit_timer.expires;
}

static __always_inline unsigned long keepalive_timer_of(const struct tcp_sock *tp)
{
	const struct inet_connection_sock *icsk = &tp->inet_conn;

	if (bpf_core_field_exists(icsk->icsk_keepalive_timer))
		return icsk->icsk_keepalive_timer.expires;
	return icsk->icsk_inet.sk.sk_timer.expires;
}

static __always_inline void conn_timers(struct conn_entry *conn, const struct tcp_sock *tp,
					const struct net *net, __u32 now)
{
	const struct inet_connection_sock *icsk = &tp->inet_conn;
	__u32 interval = tp->keepalive_intvl;

	conn->pending = icsk->icsk_pending;
	conn->retransmits = icsk->icsk_retransmits;
	conn->backoff = icsk->icsk_backoff;
	conn->probes = icsk->icsk_probes_out;
	conn->rto = (__u64)icsk->icsk_rto * stall_options.tick_ns;
	conn->rto_max = TCP_RTO_MAX_NS;
	if (bpf_core_field_exists(icsk->icsk_rto_max))
		conn->rto_max = (__u64)icsk->icsk_rto_max * stall_options.tick_ns;
	conn->user_timeout = icsk->icsk_user_timeout;
	conn->retries = BPF_CORE_READ_BITFIELD(net, ipv4.sysctl_tcp_retries2);
	conn->keepalive_probes = tp->keepalive_probes;
	if (!conn->keepalive_probes)
		conn->keepalive_probes =
			BPF_CORE_READ_BITFIELD(net, ipv4.sysctl_tcp_keepalive_probes);
	if (!interval)
		interval = net->ipv4.sysctl_tcp_keepalive_intvl;
	conn->keepalive_interval = (__u64)interval * stall_options.tick_ns;
	conn->timer = DURATION_UNKNOWN;
	if (conn->pending) {
		conn->timer = ticks_ns(now, timer_of(tp));
	} else if (conn->flags & CONN_KEEPALIVE) {
		conn->pending = TIMER_KEEPALIVE;
		conn->timer = ticks_ns(now, keepalive_timer_of(tp));
	}
}

static __always_inline void conn_path(struct conn_entry *conn, const struct tcp_sock *tp)
{
	const struct inet_connection_sock *icsk = &tp->inet_conn;
	const struct tcp_congestion_ops *ca = DISTRUST(icsk)->icsk_ca_ops;
	unsigned long pacing = icsk->icsk_inet.sk.sk_pacing_rate;
	__u64 *algorithm = (__u64 *)conn->algorithm;
	const __u64 *name;

	conn->snd_wnd = tp->snd_wnd;
	conn->rcv_wnd = tp->rcv_wnd;
	conn->mss = tp->mss_cache;
	conn->cwnd = tp->snd_cwnd;
	conn->ssthresh = tp->snd_ssthresh;
	conn->packets_out = tp->packets_out;
	conn->in_flight = tp->packets_out - tp->sacked_out - tp->lost_out + tp->retrans_out;
	/* eight and four times as much */
	conn->srtt = tp->srtt_us / 8;
	conn->rttvar = tp->mdev_us / 4;
	conn->rtt_min = tp->rtt_min.s[0].v;
	conn->total_retrans = tp->total_retrans;
	conn->ca_state = BPF_CORE_READ_BITFIELD(icsk, icsk_ca_state);
	conn->pacing_rate = pacing;
	if (tp->rate_interval_us)
		conn->delivery_rate =
			(__u64)tp->rate_delivered * tp->mss_cache * US_OF_S / tp->rate_interval_us;
	if (!ca)
		return;
	name = (const __u64 *)__builtin_preserve_access_index(&ca->name);
	algorithm[0] = name[0];
	algorithm[1] = name[1];
}

static __always_inline void conn_flags(struct conn_entry *conn, const struct sock_common *skc,
				       const struct tcp_sock *tp)
{
	__u8 nonagle = BPF_CORE_READ_BITFIELD(tp, nonagle);

	if (skc->skc_flags & SOCK_KEEPOPEN)
		conn->flags |= CONN_KEEPALIVE;
	if (skc->skc_flags & SOCK_DEAD)
		conn->flags |= CONN_ORPHAN;
	if (nonagle & TCP_NAGLE_CORK)
		conn->flags |= CONN_CORK;
	if (nonagle & TCP_NAGLE_OFF)
		conn->flags |= CONN_NODELAY;
}

static __always_inline void conn_blocked(struct conn_entry *conn, const struct track *track,
					 struct tcp_sock *tp)
{
	conn->blocked = DURATION_UNKNOWN;
	if (is_subflow((struct sock *)tp, BTF_PTR)) {
		conn->flags |= CONN_MPTCP;
	} else if (tp->inet_conn.icsk_inet.sk.sk_write_pending) {
		conn->flags |= CONN_BLOCKED;
		conn->blocked = send_waits(track, tp, conn->ktime);
	}
}

/* All but the ends and the owner. */
static __always_inline void conn_read(struct conn_entry *conn, const struct sock_common *skc,
				      const struct tcp_sock *tp)
{
	const struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	__u32 now = bpf_jiffies64();

	conn->sk = (__u64)skc;
	conn->cookie = skc->skc_cookie.counter;
	conn->ktime = bpf_ktime_get_ns();
	conn_flags(conn, skc, tp);
	conn_queues(conn, tp, skc->skc_flags & SOCK_DONE);
	conn_limits(conn, tp, now);
	conn_since(conn, tp, now);
	conn_timers(conn, tp, DISTRUST(skc)->skc_net.net, now);
	conn_path(conn, tp);
	conn->sndbuf = sk->sk_sndbuf;
	conn->wmem = sk->sk_wmem_queued;
	conn->rcvbuf = sk->sk_rcvbuf;
}

static __always_inline bool conn_own(struct conn_entry *conn, struct track *track,
				     struct tcp_sock *tp)
{
	struct owner *owner = track ? &track->owner : NULL;

	if (!owner || !owner_settled(owner))
		owner = mptcp_owner_of((struct sock *)tp, BTF_PTR) ?: owner;
	if (!owner)
		return !owner_filtered();
	conn->cgroup = owner->cgroup;
	conn->pid = owner->pid;
	__builtin_memcpy(conn->comm, owner->comm, COMM_LEN);
	return !owner_filtered() || owner->flags & OWNER_MATCHES;
}

/* A connection closes: user space may wait for that. */
static __always_inline void stall_on_close(struct sock *sk, enum access how)
{
	struct stall_mark *mark = mark_of(sk);

	if (!mark || mark->closed)
		return;
	mark->error = READ(how, sk, sk_err);
	mark->closed = bpf_ktime_get_ns();
}
