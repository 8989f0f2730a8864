/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Time of connect(), and of the wait for accept(). */
#pragma once

#include "latency/exchange.bpf.h"
#include "latency/unanswered.bpf.h"
#include "lib/track.h"

static __always_inline void connect_ended(struct batch *batch, struct sock *sk,
					  const struct exchange *ex, struct tcp_sock *tp,
					  int new_state, __u64 now, enum access how)
{
	__u32 outcome = OUTCOME_DONE;
	struct latency lat;

	if (new_state == TCP_CLOSE)
		outcome = outcome_of_closing(sk, TCP_SYN_SENT, how);
	lat = (struct latency){
		.ns = now - ex->entered,
		.error = outcome >> 16,
		.retrans = READ(how, tp, total_retrans),
		.kind = LATENCY_CONNECT,
		.role = ROLE_CLIENT,
		.outcome = outcome,
	};
	if (ex->entered)
		batch_add(batch, &lat);
}

static __always_inline void record_wait(struct sock *sk, __u64 wait, const struct owner *owner,
					enum access how)
{
	struct latency lat = {.ns = wait, .kind = LATENCY_ACCEPT, .role = ROLE_SERVER};
	struct batch batch = {};

	batch_add(&batch, &lat);
	if (wait != DURATION_UNKNOWN)
		batch_record(sk, &batch, owner, how);
}

/* The current process has accepted, and owns the child from now on. */
static __always_inline void latency_on_accept(struct sock *child, __u64 wait, enum access how)
{
	struct owner owner = {};

	owner_settle(&owner);
	record_wait(child, wait, &owner, how);
	/* socket storage needs a pointer that the verifier knows */
	if (how == BTF_PTR || options.use_hash)
		owner_on_accept(child);
}
