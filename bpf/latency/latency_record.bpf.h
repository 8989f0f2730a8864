/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Records what one run of a program has measured of one socket: owner and flow are read once. */
#pragma once

#include "latency/options.h"
#include "latency/latency_map.bpf.h"
#include "lib/forget.h"
#include "lib/stats.h"
#include "lib/track.h"

/* Kinds that one run can measure together differ in kind % BATCH_PLACES. */
#define BATCH_PLACES 3

struct batch {
	struct latency all[BATCH_PLACES];
};

/*
 * Empty, for programs with many ways to fill it: by a zero that the verifier does not know as one,
 * in halves of words, of which it keeps no values. What follows is then checked once, not once for
 * each way. Where there are few, a batch of known zeros is checked faster.
 */
static __always_inline void batch_begin(struct batch *batch)
{
	volatile __u32 *half = (volatile __u32 *)batch;
	__u32 zero = turn.zero;

	for (__u32 i = 0; i < sizeof(*batch) / sizeof(*half); i++)
		half[i] = zero;
}

static __always_inline void batch_add(struct batch *batch, const struct latency *lat)
{
	/* kind is a constant at compile time */
	struct latency *to = &batch->all[lat->kind % BATCH_PLACES];
	volatile __u32 *ns = (volatile __u32 *)&to->ns;

	if (!measures(lat->kind))
		return;
	ns[0] = lat->ns;
	ns[1] = lat->ns >> 32;
	to->tx_bytes = lat->tx_bytes;
	to->rx_bytes = lat->rx_bytes;
	to->retrans = lat->retrans;
	to->kind = lat->kind;
	to->role = lat->role;
	to->outcome = lat->outcome;
	to->measured = 1;
}

/* Not inlined, so that its paths do not multiply with those of the next call. */
static __noinline int latency_record(const struct latency *lat, const struct flow *flow,
				     const struct owner *owner, struct stats *st)
{
	__sync_fetch_and_add(&st->attempted, 1);
	if (!latency_wanted(lat, flow, owner))
		__sync_fetch_and_add(&st->filtered, 1);
	else if (latency_options.events)
		latency_send(lat, flow, owner, st);
	else
		latency_count(lat, flow, owner, st);
	return 0;
}

/* owner may be NULL: unknown. */
static __always_inline void batch_record(struct sock *sk, const struct batch *batch,
					 const struct owner *owner, enum access how)
{
	static const struct owner unknown;
	struct stats *st = stats_here();
	struct flow flow = {};

	if (!st)
		return;
	if (!owner)
		owner = &unknown;
	if (wants_flow()) {
		flow_read_closing(&flow, sk, how);
		forget(&flow, sizeof(flow));
	}
	for (__u32 i = 0; i < BATCH_PLACES; i++)
		if (batch->all[i].measured)
			latency_record(&batch->all[i], &flow, owner, st);
}

static __always_inline const struct owner *owner_of(struct sock *sk)
{
	struct track *track = wants_owner() ? track_find(sk) : NULL;

	return track ? &track->owner : NULL;
}

/* Not inlined: the verifier does not check the rest of the program once for each of their paths. */
static __noinline int record_btf_ptr(struct sock *sk, const struct batch *batch)
{
	batch_record(sk, batch, owner_of(sk), BTF_PTR);
	return 0;
}

static __noinline int record_probe_read(struct sock *sk, const struct batch *batch)
{
	batch_record(sk, batch, owner_of(sk), PROBE_READ);
	return 0;
}

static __always_inline void record(struct sock *sk, struct batch *batch, enum access how)
{
	if (!batch->all[0].measured && !batch->all[1].measured && !batch->all[2].measured)
		return;
	forget(batch, sizeof(*batch));
	if (how == BTF_PTR)
		record_btf_ptr(sk, batch);
	else
		record_probe_read(sk, batch);
}
