/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a state transition means to each subject of tcpdash.
 *
 * A function for each: together they need more stack than one program has. Before 6.13 all
 * functions that have not returned share 512 bytes.
 */
#pragma once

#include "count/light.bpf.h"
#include "dash/endings.bpf.h"
#include "latency/transition.bpf.h"
#include "listen/listen.bpf.h"
#include "ports/ports.bpf.h"
#include "states/states.bpf.h"

static __noinline int states_btf_ptr(struct sock *sk, int old_state, int new_state)
{
	states_on_transition(sk, old_state, new_state, BTF_PTR);
	return 0;
}

static __noinline int states_probe_read(struct sock *sk, int old_state, int new_state)
{
	states_on_transition(sk, old_state, new_state, PROBE_READ);
	return 0;
}

static __noinline int count_btf_ptr(struct sock *sk, int old_state, int new_state)
{
	count_on_end(sk, old_state, new_state, BTF_PTR);
	return 0;
}

static __noinline int count_probe_read(struct sock *sk, int old_state, int new_state)
{
	count_on_end(sk, old_state, new_state, PROBE_READ);
	return 0;
}

static __always_inline void light_after_states(struct sock *sk, int old_state, int new_state,
					       enum access how)
{
	struct track *track = track_find(sk);
	struct stats *st = stats_here();

	if (st && track)
		light_follow(track, sk, old_state, new_state, st, how);
}

static __noinline int light_btf_ptr(struct sock *sk, int old_state, int new_state)
{
	light_after_states(sk, old_state, new_state, BTF_PTR);
	return 0;
}

static __noinline int light_probe_read(struct sock *sk, int old_state, int new_state)
{
	light_after_states(sk, old_state, new_state, PROBE_READ);
	return 0;
}

static __noinline int endings_btf_ptr(struct sock *sk, int old_state, int new_state)
{
	endings_on_transition(sk, old_state, new_state, BTF_PTR);
	return 0;
}

static __noinline int endings_probe_read(struct sock *sk, int old_state, int new_state)
{
	endings_on_transition(sk, old_state, new_state, PROBE_READ);
	return 0;
}

static __noinline int latency_btf_ptr(struct sock *sk, int old_state, int new_state)
{
	struct stats *st = stats_here();

	if (st)
		latency_on_transition(sk, old_state, new_state, st, BTF_PTR);
	return 0;
}

static __noinline int latency_probe_read(struct sock *sk, int old_state, int new_state)
{
	struct stats *st = stats_here();

	if (st)
		latency_on_transition(sk, old_state, new_state, st, PROBE_READ);
	return 0;
}

static __noinline int accept_wait_btf_ptr(struct sock *sk, int old_state, int new_state)
{
	struct stats *st = stats_here();

	if (st)
		latency_wait_on_transition(sk, old_state, new_state, st, BTF_PTR);
	return 0;
}

static __noinline int accept_wait_probe_read(struct sock *sk, int old_state, int new_state)
{
	struct stats *st = stats_here();

	if (st)
		latency_wait_on_transition(sk, old_state, new_state, st, PROBE_READ);
	return 0;
}

static __noinline int listen_btf_ptr(struct sock *sk, int old_state, int new_state)
{
	listen_on_transition(sk, old_state, new_state, BTF_PTR);
	return 0;
}

static __noinline int listen_probe_read(struct sock *sk, int old_state, int new_state)
{
	listen_on_transition(sk, old_state, new_state, PROBE_READ);
	return 0;
}

static __always_inline void ports_of(struct sock *sk, int old_state, int new_state, enum access how)
{
	struct tcp_sock *tp = tcp_of(sk, how);
	struct stats *st = stats_here();

	if (st && tp)
		ports_count(sk, tp, track_find(sk), old_state, new_state, st, how);
}

static __noinline int ports_btf_ptr(struct sock *sk, int old_state, int new_state)
{
	ports_of(sk, old_state, new_state, BTF_PTR);
	return 0;
}

static __noinline int ports_probe_read(struct sock *sk, int old_state, int new_state)
{
	ports_of(sk, old_state, new_state, PROBE_READ);
	return 0;
}

/* states is first: it sets the owner for the others. */
static __always_inline void all_on_transition_btf_ptr(struct sock *sk, int old_state, int new_state)
{
	if (!is_tcp(sk, BTF_PTR))
		return;
	states_btf_ptr(sk, old_state, new_state);
	listen_btf_ptr(sk, old_state, new_state);
	if (count_options.light && light_needs(new_state))
		light_btf_ptr(sk, old_state, new_state);
	if (old_state == TCP_LISTEN || new_state == TCP_LISTEN)
		return;
	endings_btf_ptr(sk, old_state, new_state);
	if (!count_options.light)
		count_btf_ptr(sk, old_state, new_state);
	ports_btf_ptr(sk, old_state, new_state);
	accept_wait_btf_ptr(sk, old_state, new_state);
	latency_btf_ptr(sk, old_state, new_state);
}

static __always_inline void all_on_transition_probe_read(struct sock *sk, int old_state,
							 int new_state)
{
	if (!is_tcp(sk, PROBE_READ))
		return;
	states_probe_read(sk, old_state, new_state);
	listen_probe_read(sk, old_state, new_state);
	if (count_options.light && light_needs(new_state))
		light_probe_read(sk, old_state, new_state);
	if (old_state == TCP_LISTEN || new_state == TCP_LISTEN)
		return;
	endings_probe_read(sk, old_state, new_state);
	if (!count_options.light)
		count_probe_read(sk, old_state, new_state);
	ports_probe_read(sk, old_state, new_state);
	accept_wait_probe_read(sk, old_state, new_state);
	latency_probe_read(sk, old_state, new_state);
}
