/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * MPTCP: the application's socket has a protocol of its own, and TCP sockets as subflows. Programs
 * see the process at the first, and segments and transitions at the second. From one to the other
 * lead only untyped pointers, so kernel memory is copied; where that is forbidden, the owners of
 * subflows are those that opened or inherited them.
 */
#pragma once

#include "lib/owner_search.h"
#include "lib/sock.h"

#define IPPROTO_MPTCP 262

/*
 * Owners of MPTCP sockets by address, removed as they close. LRU: those that are pushed out are
 * learned again at their next use. Sized at start.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct owner);
} mptcp_owners SEC(".maps");

/* The application's socket. */
static __always_inline bool is_mptcp(const struct sock *sk, enum access how)
{
	return options.mptcp && READ(how, sk, sk_protocol) == IPPROTO_MPTCP;
}

static __always_inline bool is_subflow(struct sock *sk, enum access how)
{
	struct tcp_sock *tp;

	if (!options.mptcp)
		return false;
	tp = tcp_of(sk, how);
	return tp && READ(how, tp, is_mptcp);
}

/* NULL also where memory may not be copied. */
static __always_inline struct mptcp_subflow_context *subflow_of(struct sock *sk, enum access how)
{
	if (!options.may_copy || !is_subflow(sk, how))
		return NULL;
	return BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_ulp_data);
}

/* A further subflow of its connection: accept() has returned, or will return, the first. */
static __always_inline bool joins(struct sock *sk, enum access how)
{
	struct mptcp_subflow_context *subflow = subflow_of(sk, how);

	return subflow && BPF_CORE_READ_BITFIELD_PROBED(subflow, mp_join);
}

/* The first subflow, which a listener has for all of its life; for reading by PROBE_READ alone. */
static __always_inline struct sock *first_subflow(struct sock *sk)
{
	return options.may_copy ? BPF_CORE_READ((struct mptcp_sock *)sk, first) : NULL;
}

/* The owner of a subflow's MPTCP socket; NULL: no subflow, or unknown. */
static __always_inline struct owner *mptcp_owner_of(struct sock *subflow, enum access how)
{
	struct mptcp_subflow_context *context = subflow_of(subflow, how);
	__u64 key;

	if (!context)
		return NULL;
	key = (__u64)BPF_CORE_READ(context, conn);
	return bpf_map_lookup_elem(&mptcp_owners, &key);
}

/* The current process uses an MPTCP socket. NULL: it is unknown who does. */
static __always_inline struct owner *mptcp_use(struct sock *sk, enum access how)
{
	__u64 key = (__u64)sk;
	struct owner *owner = bpf_map_lookup_elem(&mptcp_owners, &key), fresh = {};

	if ((owner && owner_is(owner, current_user())) || in_kernel_thread())
		return owner;
	if (!owner)
		serves_note(service_of(sk, how), current_program());
	owner_settle(&fresh);
	bpf_map_update_elem(&mptcp_owners, &key, &fresh, BPF_ANY);
	return bpf_map_lookup_elem(&mptcp_owners, &key);
}

/* task has it open. */
static __always_inline void mptcp_from_file(struct sock *sk, struct task_struct *task,
					    enum access how)
{
	static const struct owner fresh;
	__u64 key = (__u64)sk;
	struct owner *owner = bpf_map_lookup_elem(&mptcp_owners, &key);
	bool listens = READ(how, sk, __sk_common.skc_state) == TCP_LISTEN;

	if (!owner) {
		bpf_map_update_elem(&mptcp_owners, &key, &fresh, BPF_NOEXIST);
		owner = bpf_map_lookup_elem(&mptcp_owners, &key);
	}
	if (owner)
		owner_met(owner, task, listens ? holder_rank(service_of(sk, how), task) : HOLDER);
}

/* Its address may be another's from now on. */
static __always_inline void mptcp_on_transition(struct sock *sk, int new_state, enum access how)
{
	__u64 key = (__u64)sk;

	if (new_state == TCP_CLOSE && is_mptcp(sk, how))
		bpf_map_delete_elem(&mptcp_owners, &key);
}

/* Copies the owner of its MPTCP socket to a subflow that has none, or had it from there. */
static __always_inline void owner_from_mptcp(struct owner *owner, struct sock *subflow,
					     enum access how)
{
	struct owner *of;

	if (!options.mptcp || (owner_settled(owner) && !(owner->flags & OWNER_OF_MPTCP)))
		return;
	of = mptcp_owner_of(subflow, how);
	if (!of || !of->pid)
		return;
	*owner = *of;
	owner->flags |= OWNER_OF_MPTCP;
}
