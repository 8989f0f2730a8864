/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* connect() takes a local port, or finds none; and who closes first. */
#pragma once

#include "lib/closers.h"
#include "lib/stats.h"
#include "ports/counts.bpf.h"

/* include/uapi/asm-generic/errno.h */
#define EADDRINUSE    98
#define EADDRNOTAVAIL 99

static __always_inline void port_fail(struct port_event *ev, const struct track *track,
				      struct stats *st)
{
	const struct owner *owner = track ? &track->owner : NULL;

	st->attempted++;
	if (!flow_matches(&ev->flow) ||
	    (owner_filtered() && !(owner && owner->flags & OWNER_MATCHES))) {
		st->filtered++;
		return;
	}
	if (owner) {
		ev->cgroup = owner->cgroup;
		ev->pid = owner->pid;
		__builtin_memcpy(ev->comm, owner->comm, COMM_LEN);
	}
	if (bpf_ringbuf_output(&events, ev, sizeof(*ev), ring_wake_flags()))
		st->lost++;
}

/*
 * connect() has found no port: it fails before a SYN is queued, without an error of the network and
 * without close(). tcp_connect() itself fails so only for lack of memory.
 */
static __always_inline bool found_no_port(struct sock *sk, struct tcp_sock *tp, enum access how)
{
	return !READ(how, sk, sk_err) && !READ(how, sk, sk_shutdown) && !READ(how, tp, packets_out);
}

static __always_inline void ports_on_failure(struct sock *sk, struct tcp_sock *tp,
					     const struct port_key *key, struct track *track,
					     struct stats *st, enum access how)
{
	struct port_event ev = {
		.ts = bpf_ktime_get_ns(),
		.error = EADDRNOTAVAIL,
		.call = PORT_CONNECT,
		.range = key->range,
		.flow = key->flow,
	};
	struct port_counts *counts;

	if (ports_options.events) {
		if (track && track->marks & TRACK_BOUND)
			ev.flow.lport = bpf_ntohs(READ(how, tp, inet_conn.icsk_inet.inet_sport));
		port_fail(&ev, track, st);
		return;
	}
	search_done(key, track, st);
	counts = counts_make(key, track ? &track->owner : NULL, st);
	if (counts)
		__sync_fetch_and_add(&counts->failed, 1);
}

static __always_inline void ports_on_open(struct sock *sk, const struct port_key *key,
					  struct track *track, struct stats *st, enum access how)
{
	bool bound = READ(how, sk, __sk_common.skc_num);
	struct port_counts *counts;

	if (track) {
		track->marks &= ~(TRACK_CLIENT | TRACK_BOUND);
		track->marks |= TRACK_CLIENT | (bound ? TRACK_BOUND : 0);
		if (ports_options.searches)
			track->since = bpf_ktime_get_ns();
	}
	if (ports_options.events)
		return;
	counts = counts_make(key, track ? &track->owner : NULL, st);
	if (counts)
		__sync_fetch_and_add(bound ? &counts->bound : &counts->opens, 1);
}

static __always_inline void ports_on_close(const struct port_key *key, const struct track *track,
					   int new_state, struct stats *st)
{
	struct port_counts *counts;

	if (ports_options.events)
		return;
	counts = counts_make(key, &track->owner, st);
	if (counts)
		__sync_fetch_and_add(
			new_state == TCP_FIN_WAIT1 ? &counts->closed_us : &counts->closed_peer, 1);
}

/* The owner of a timewait socket is that of the connection. */
static __always_inline void ports_on_end(struct sock *sk, const struct track *track,
					 enum access how)
{
	struct flow flow;

	if (ports_options.events)
		return;
	flow_read_closing(&flow, sk, how);
	remember_closer(&flow, &track->owner, 0);
}

/* What a transition means to ports; its owner is already learned. */
static __always_inline void ports_count(struct sock *sk, struct tcp_sock *tp, struct track *track,
					int old_state, int new_state, struct stats *st,
					enum access how)
{
	struct owner *owner = track ? &track->owner : NULL;
	struct port_key key = {};

	if (old_state == TCP_CLOSE && new_state == TCP_SYN_SENT) {
		port_key_fill(&key, sk, tp, owner, how);
		ports_on_open(sk, &key, track, st, how);
	} else if (old_state == TCP_SYN_SENT && new_state == TCP_CLOSE &&
		   found_no_port(sk, tp, how)) {
		port_key_fill(&key, sk, tp, owner, how);
		ports_on_failure(sk, tp, &key, track, st, how);
	} else if (old_state == TCP_SYN_SENT && is_searching(track)) {
		port_key_fill(&key, sk, tp, owner, how);
		search_until_syn(&key, tp, track, st, how);
	} else if (track && track->marks & TRACK_CLIENT && old_state == TCP_ESTABLISHED &&
		   (new_state == TCP_FIN_WAIT1 || new_state == TCP_CLOSE_WAIT)) {
		port_key_fill(&key, sk, tp, owner, how);
		ports_on_close(&key, track, new_state, st);
	}
}

static __always_inline void ports_on_transition(struct sock *sk, int old_state, int new_state,
						enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	struct stats *st = stats_here();
	struct track *track;

	if (!st || !tp || !is_tcp(sk, how))
		return;
	track = old_state == TCP_CLOSE ? track_make(sk) : track_find(sk);
	if (track)
		owner_on_transition(track, sk, old_state, new_state, how);
	if (!ports_options.events && old_state == TCP_CLOSE && new_state == TCP_SYN_SENT)
		st->attempted++;
	ports_count(sk, tp, track, old_state, new_state, st, how);
	if (track && becomes_timewait(old_state, new_state))
		ports_on_end(sk, track, how);
}

/* bind() with port 0 has found none. The owner is the current process. */
static __always_inline void ports_on_bind(struct sock *sk, enum access how)
{
	struct port_event ev = {
		.ts = bpf_ktime_get_ns(),
		.error = EADDRINUSE,
		.call = PORT_BIND,
	};
	struct tcp_sock *tp = tcp_of(sk, how);
	struct stats *st = stats_here();
	struct port_counts *counts;
	struct port_key key = {};
	struct track track = {};

	if (!st || !tp || !is_tcp(sk, how))
		return;
	owner_settle(&track.owner);
	port_key_fill(&key, sk, tp, &track.owner, how);
	if (!ports_options.events) {
		counts = counts_make(&key, &track.owner, st);
		if (counts)
			__sync_fetch_and_add(&counts->failed, 1);
		return;
	}
	ev.flow = key.flow;
	ev.range = key.range;
	port_fail(&ev, &track, st);
}

/* connect() has found a port and is about to send the SYN. */
static __always_inline void ports_on_found(struct sock *sk, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	struct track *track = track_find(sk);
	struct stats *st = stats_here();
	struct port_key key = {};

	if (!st || !tp || !track || !track->since)
		return;
	port_key_fill(&key, sk, tp, &track->owner, how);
	search_done(&key, track, st);
}

/* connect() takes the port of a timewait socket. */
static __always_inline void ports_on_reuse(struct sock *sk, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	struct track *track = track_find(sk);
	struct port_counts *counts;
	struct port_key key = {};

	if (!tp || !track)
		return;
	port_key_fill(&key, sk, tp, &track->owner, how);
	counts = counts_find(&key);
	if (counts)
		__sync_fetch_and_add(&counts->reused, 1);
}
