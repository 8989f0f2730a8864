/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A measured latency, and whether it is wanted: kinds, --slower, and the filters of all tools. */
#pragma once

#include "latency/options.h"
#include "lib/filter.h"
#include "lib/group.h"
#include "wire.h"

struct latency {
	__u64 ns; /* or DURATION_UNKNOWN */
	__u32 tx_bytes;
	union {
		__u32 rx_bytes;
		__u32 error; /* of what failed */
	};
	__u32 retrans;
	__u8 kind;
	__u8 role;
	__u8 outcome;
	__u8 measured;
};

static __always_inline bool measures(enum latency_kind kind)
{
	return latency_options.kinds & 1 << kind;
}

/* Whether anything is measured between the handshake and the end. */
static __always_inline bool measures_exchanges(void)
{
	return measures(LATENCY_RESPONSE) || measures(LATENCY_SERVICE) || measures(LATENCY_RTT);
}

/* --slower leaves out unknown durations. */
static __always_inline bool latency_wanted(const struct latency *lat, const struct flow *flow,
					   const struct owner *owner)
{
	if (owner_filtered() && !(owner->flags & OWNER_MATCHES))
		return false;
	if (latency_options.slower &&
	    (lat->ns == DURATION_UNKNOWN || lat->ns < latency_options.slower))
		return false;
	return flow_matches(flow);
}

static __always_inline bool wants_flow(void)
{
	return latency_options.events || reads_flow(latency_options.by);
}

static __always_inline bool wants_owner(void)
{
	return latency_options.events || reads_owner(latency_options.by);
}
