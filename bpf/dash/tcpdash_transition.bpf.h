/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a state transition means to each subject of tcpdash.
 *
 * A function for each and for each way to read memory: together they need more stack than one
 * program has. Before 6.13 all functions that have not returned share 512 bytes.
 */
#pragma once

#include "count/light.bpf.h"
#include "dash/endings.bpf.h"
#include "latency/transition.bpf.h"
#include "listen/listen.bpf.h"
#include "ports/ports.bpf.h"
#include "states/states.bpf.h"

/*
 * Each function reads the states from memory: see lib/forget.h. What one finds out about a state
 * would otherwise divide the paths through all that follow it.
 */
struct change {
	__u8 reserved;
	__u8 old_state;
	__u8 new_state;
} __attribute__((aligned(8)));

#define PART(name, handler)                                                                        \
	static __noinline int name##_btf_ptr(struct sock *sk, const struct change *change)         \
	{                                                                                          \
		handler(sk, change->old_state, change->new_state, BTF_PTR);                        \
		return 0;                                                                          \
	}                                                                                          \
	static __noinline int name##_probe_read(struct sock *sk, const struct change *change)      \
	{                                                                                          \
		handler(sk, change->old_state, change->new_state, PROBE_READ);                     \
		return 0;                                                                          \
	}                                                                                          \
	static __always_inline void name##_part(struct sock *sk, const struct change *change,      \
						enum access how)                                   \
	{                                                                                          \
		if (how == BTF_PTR)                                                                \
			name##_btf_ptr(sk, change);                                                \
		else                                                                               \
			name##_probe_read(sk, change);                                             \
	}

static __always_inline void light_of(struct sock *sk, int old_state, int new_state, enum access how)
{
	struct track *track = track_find(sk);
	struct stats *st = stats_here();

	if (st && track)
		light_follow(track, sk, old_state, new_state, st, how);
}

static __always_inline void ports_of(struct sock *sk, int old_state, int new_state, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	struct stats *st = stats_here();

	if (st && tp)
		ports_count(sk, tp, track_find(sk), old_state, new_state, st, how);
}

static __always_inline void latency_of(struct sock *sk, int old_state, int new_state,
				       enum access how)
{
	struct stats *st = stats_here();

	if (st)
		latency_on_transition(sk, old_state, new_state, st, how);
}

static __always_inline void accept_wait_of(struct sock *sk, int old_state, int new_state,
					   enum access how)
{
	struct stats *st = stats_here();

	if (st)
		latency_wait_on_transition(sk, old_state, new_state, st, how);
}

PART(states, states_on_transition)
PART(listen, listen_on_transition)
PART(light, light_of)
PART(endings, endings_on_transition)
PART(count, count_on_end)
PART(ports, ports_of)
PART(accept_wait, accept_wait_of)
PART(latency, latency_of)

/* states is first: it sets the owner for the others. */
static __always_inline void all_on_transition(struct sock *sk, int old_state, int new_state,
					      enum access how)
{
	struct change change;

	if (!is_tcp(sk, how))
		return;
	*(volatile __u8 *)&change.old_state = old_state;
	*(volatile __u8 *)&change.new_state = new_state;
	states_part(sk, &change, how);
	listen_part(sk, &change, how);
	if (count_options.light && light_needs(new_state))
		light_part(sk, &change, how);
	if (old_state == TCP_LISTEN || new_state == TCP_LISTEN)
		return;
	endings_part(sk, &change, how);
	if (!count_options.light)
		count_part(sk, &change, how);
	ports_part(sk, &change, how);
	accept_wait_part(sk, &change, how);
	latency_part(sk, &change, how);
}
