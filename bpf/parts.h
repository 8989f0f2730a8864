/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What a transition means for each tool whose handlers are in the object. */
#ifndef TCPSCOPE_PARTS_H
#define TCPSCOPE_PARTS_H

/*
 * A function for each tool: together they need more stack than a program has. Before 6.13 all that
 * are under way share 512 bytes.
 */
static __noinline int inventory_part_trusted(struct sock *sk, int old_state, int new_state)
{
	handle_transition(sk, old_state, new_state, TRUSTED);
	return 0;
}

static __noinline int inventory_part_probed(struct sock *sk, int old_state, int new_state)
{
	handle_transition(sk, old_state, new_state, PROBED);
	return 0;
}

static __noinline int latency_part_trusted(struct sock *sk, int old_state, int new_state)
{
	struct stats *st = stats_here();

	if (st)
		latency_transition(sk, old_state, new_state, st, TRUSTED);
	return 0;
}

static __noinline int wait_part_trusted(struct sock *sk, int old_state, int new_state)
{
	struct stats *st = stats_here();

	if (st)
		wait_transition(sk, old_state, new_state, st, TRUSTED);
	return 0;
}

static __noinline int latency_part_probed(struct sock *sk, int old_state, int new_state)
{
	struct stats *st = stats_here();

	if (st)
		latency_transition(sk, old_state, new_state, st, PROBED);
	return 0;
}

static __noinline int wait_part_probed(struct sock *sk, int old_state, int new_state)
{
	struct stats *st = stats_here();

	if (st)
		wait_transition(sk, old_state, new_state, st, PROBED);
	return 0;
}

static __noinline int listener_part_trusted(struct sock *sk, int old_state, int new_state)
{
	listener_transition(sk, old_state, new_state, TRUSTED);
	return 0;
}

static __noinline int listener_part_probed(struct sock *sk, int old_state, int new_state)
{
	listener_transition(sk, old_state, new_state, PROBED);
	return 0;
}

/* The inventory's part is first: it tells the owner to the others. */
static __always_inline void at_transition_trusted(struct sock *sk, int old_state, int new_state)
{
	if (!is_tcp(sk, TRUSTED))
		return;
	inventory_part_trusted(sk, old_state, new_state);
	listener_part_trusted(sk, old_state, new_state);
	if (old_state == TCP_LISTEN || new_state == TCP_LISTEN)
		return;
	wait_part_trusted(sk, old_state, new_state);
	latency_part_trusted(sk, old_state, new_state);
}

static __always_inline void at_transition_probed(struct sock *sk, int old_state, int new_state)
{
	if (!is_tcp(sk, PROBED))
		return;
	inventory_part_probed(sk, old_state, new_state);
	listener_part_probed(sk, old_state, new_state);
	if (old_state == TCP_LISTEN || new_state == TCP_LISTEN)
		return;
	wait_part_probed(sk, old_state, new_state);
	latency_part_probed(sk, old_state, new_state);
}

#endif /* TCPSCOPE_PARTS_H */
