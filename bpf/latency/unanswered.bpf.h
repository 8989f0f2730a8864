/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Requests that get no answer: their connection ends first, or the peer sends its FIN. And why a
 * connect() fails. Both by the end of the connection, as tcplife shows it.
 */
#pragma once

#include "latency/exchange.bpf.h"
#include "life/ending.bpf.h"

/*
 * A process that closes sooner than this after its last send, or within a round trip, has not
 * waited for an answer: it said goodbye, like TLS with close_notify. ns
 */
#define WAITS_AT_LEAST 1000000ULL

#define NS_PER_US 1000ULL

static __always_inline __u8 outcome_of(__u8 end, bool peer_closed)
{
	switch (end) {
	case LIFE_CLOSED_US:
	case LIFE_CLOSED_PEER:
	case LIFE_CLOSED_BOTH:
		return peer_closed ? OUTCOME_CLOSED : OUTCOME_GIVEN_UP;
	case LIFE_LINGER_ZERO:
	case LIFE_UNREAD:
	case LIFE_KILLED:
	case LIFE_DISCONNECTED:
	case LIFE_GIVEN_UP:
		return OUTCOME_GIVEN_UP;
	case LIFE_AFTER_CLOSE:
	case LIFE_RESET:
		return OUTCOME_RESET;
	case LIFE_REFUSED:
		return OUTCOME_REFUSED;
	case LIFE_TIMEOUT_CONNECT:
	case LIFE_TIMEOUT_DATA:
	case LIFE_TIMEOUT_KEEPALIVE:
	case LIFE_TIMEOUT_USER:
		return OUTCOME_TIMED_OUT;
	case LIFE_UNREACHABLE_NET:
	case LIFE_UNREACHABLE_HOST:
		return OUTCOME_UNREACHABLE;
	case LIFE_NO_PORT:
		return OUTCOME_NO_PORT;
	}
	return OUTCOME_FAILED;
}

/*
 * Outcome, and in the upper half errno, of a socket that leaves old_state for TCP_CLOSE. With a
 * zero that the verifier does not know as one, it does not check the rest once for each outcome.
 */
static __always_inline __u32 closing_outcome(struct sock *sk, int old_state, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	const struct verdict *verdict;

	verdict = tp ? verdict_of(sk, tp, NULL, old_state, how) : NULL;
	if (!verdict)
		return OUTCOME_FAILED + turn.zero;
	return turn.zero + (outcome_of(verdict->ending.end, verdict->sock.flags & SOCK_DONE) |
			    (__u32)verdict->ending.error << 16);
}

/* Not inlined: the verifier does not check the rest of the program once for each end. */
static __noinline int closing_outcome_btf_ptr(struct sock *sk, int old_state)
{
	return closing_outcome(sk, old_state, BTF_PTR);
}

static __noinline int closing_outcome_probe_read(struct sock *sk, int old_state)
{
	return closing_outcome(sk, old_state, PROBE_READ);
}

static __always_inline __u32 outcome_of_closing(struct sock *sk, int old_state, enum access how)
{
	if (how == BTF_PTR)
		return closing_outcome_btf_ptr(sk, old_state);
	return closing_outcome_probe_read(sk, old_state);
}

/* Whether the process has waited for an answer before it gave up. */
static __always_inline bool has_waited(struct tcp_sock *tp, __u64 waited, enum access how)
{
	/* srtt_us is eight times as much */
	__u64 round_trip = READ(how, tp, srtt_us) / 8 * NS_PER_US;

	return waited >= WAITS_AT_LEAST && waited >= round_trip;
}

/* The request that ends with write_seq seq, if there is one, gets no answer; or one is not seen. */
static __always_inline void request_ends(struct batch *batch, struct exchange *ex,
					 struct tcp_sock *tp, __u32 seq, __u32 outcome,
					 enum access how)
{
	struct latency lat = {
		.ns = DURATION_UNKNOWN,
		.tx_bytes = seq - ex->base_seq,
		.error = outcome >> 16,
		.retrans = READ(how, tp, total_retrans) - ex->retrans,
		.kind = LATENCY_RESPONSE,
		.role = ex->role,
		.outcome = outcome,
	};

	if (lat.outcome && ex->sent && (!latency_options.send_returns || ex->sent_seq == seq))
		lat.ns = bpf_ktime_get_ns() - ex->sent;
	ex->flags &= ~EXCHANGE_ASKING;
	ex->base_seq = seq;
	ex->sent = 0;
	if (lat.outcome != OUTCOME_GIVEN_UP || has_waited(tp, lat.ns, how))
		batch_add(batch, &lat);
}

/* Bytes of the peer. */
static __always_inline __u32 bytes_from_peer(struct sock *sk, struct tcp_sock *tp, enum access how)
{
	bool fin = READ(how, sk, __sk_common.skc_flags) & SOCK_DONE;

	return READ(how, tp, bytes_received) - fin;
}

/*
 * A transition from a state in which an answer could come. seq: write_seq, without our FIN.
 *
 * After our own FIN not every attach method sees data (SEGMENT_STATES, tcp_probe): then the bytes
 * that the socket has received tell that there was an answer.
 */
static __always_inline void request_on_transition(struct batch *batch, struct sock *sk,
						  struct exchange *ex, struct tcp_sock *tp,
						  int old_state, int new_state, __u32 seq,
						  enum access how)
{
	__u32 outcome = OUTCOME_CLOSED;

	if (!(ex->flags & EXCHANGE_SEEN) || ex->role == ROLE_SERVER || seq == ex->base_seq)
		return;
	if (ex->flags & EXCHANGE_FINISHED && bytes_from_peer(sk, tp, how) != ex->rx_before) {
		request_ends(batch, ex, tp, seq, OUTCOME_DONE, how);
		return;
	}
	if (new_state == TCP_FIN_WAIT1 && !(READ(how, sk, sk_shutdown) & RCV_SHUTDOWN)) {
		ex->rx_before = bytes_from_peer(sk, tp, how);
		return;
	}
	if (new_state == TCP_FIN_WAIT1 || new_state == TCP_LAST_ACK)
		outcome = OUTCOME_GIVEN_UP;
	else if (new_state == TCP_CLOSE)
		outcome = outcome_of_closing(sk, old_state, how);
	request_ends(batch, ex, tp, seq, outcome, how);
}
