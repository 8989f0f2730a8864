/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * All listening sockets: found among the open files at the start, later by their transitions.
 */
#pragma once

#include "listen/options.h"
#include "lib/mptcp.h"
#include "lib/owner_search.h"
#include "lib/sock.h"
#include "lib/stats.h"

/* By address; removed with the listener. Preallocated; sized at start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct listener);
} listeners SEC(".maps");

/* The interval that peaks belong to; user space increments it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} epoch SEC(".maps");

/* A listener has its own address here; BPF_F_CLONE copies it to each child. */
struct child_listener {
	__u64 listener;
	__u64 born;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct child_listener);
} child_listeners SEC(".maps");

struct queues {
	__u32 accept;
	__u32 limit;
	__u32 syn;
	__u32 drops;
};

static __always_inline bool queues_read(struct queues *q, const struct sock *sk, enum access how)
{
	struct tcp_sock *tp;

	if (how == PROBE_READ) {
		const struct inet_connection_sock *icsk = (const void *)sk;

		q->syn = BPF_CORE_READ(icsk, icsk_accept_queue.qlen.counter);
	} else {
		tp = bpf_skc_to_tcp_sock((void *)sk);
		if (!tp)
			return false;
		q->syn = tp->inet_conn.icsk_accept_queue.qlen.counter;
	}
	q->accept = READ(how, sk, sk_ack_backlog);
	q->limit = READ(how, sk, sk_max_ack_backlog);
	q->drops = READ(how, sk, sk_drops.counter);
	return true;
}

static __always_inline bool is_listening(const struct sock *sk, enum access how)
{
	return READ(how, sk, __sk_common.skc_state) == TCP_LISTEN;
}

/* CPUs that do this at the same time may lose the smaller of two values. */
static __always_inline void peak_note(struct listener *l, __u32 accept, __u32 syn)
{
	__u32 zero = 0, *now = bpf_map_lookup_elem(&epoch, &zero), at;

	if (!now)
		return;
	at = *now & 1;
	if (l->peak_epoch[at] != *now) {
		l->peak_epoch[at] = *now;
		l->accept_peak[at] = accept;
		l->syn_peak[at] = syn;
		return;
	}
	if (accept > l->accept_peak[at])
		l->accept_peak[at] = accept;
	if (syn > l->syn_peak[at])
		l->syn_peak[at] = syn;
}

/* Stores the present lengths of the queues. */
static __always_inline void listener_sample(struct listener *l, const struct queues *q)
{
	l->accept_now = q->accept;
	l->accept_limit = q->limit;
	l->syn_now = q->syn;
	l->drops = q->drops;
	peak_note(l, q->accept, q->syn);
}

/*
 * The accept queue now holds accept connections, and held some before this event. Each
 * arrival is a look: so if it was not empty right before one, it was not since the last one, and
 * accept() needed all that time for those that it took. If it was, accept() needed that or less.
 * CPUs that do this at the same time may lose one look.
 */
static __always_inline void accept_queue_note(struct listener *l, __u64 taken, __u32 accept,
					      __u32 held)
{
	__u64 now = bpf_ktime_get_ns(), passed = l->looked ? now - l->looked : 0;

	if (held) {
		l->waiting_ns += passed;
		l->waiting_accepts += taken - l->taken;
	} else if (l->waiting) {
		l->emptied_ns += passed;
		l->emptied_accepts += taken - l->taken;
	}
	l->looked = now;
	l->taken = taken;
	l->waiting = accept;
}

static __always_inline void accept_queue_look(struct listener *l, __u32 accept, __u32 held)
{
	__u64 taken = l->accepted;

	if (listen_options.child_storage)
		taken = l->accept_before + l->established - accept;
	else if (!listen_options.waits)
		return;
	accept_queue_note(l, taken, accept, held);
}

static __always_inline void listener_name(struct listener *l, struct sock *sk, enum access how)
{
	flow_read(&l->flow, &sk->__sk_common, how);
	if (is_v6only(&sk->__sk_common, how))
		l->flags |= LISTENER_V6ONLY;
}

static __always_inline void set_child_listener(struct sock *sk, __u64 born)
{
	struct child_listener *link;

	if (!listen_options.child_storage)
		return;
	link = bpf_sk_storage_get(&child_listeners, sk, NULL,
				  born ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (!link)
		return;
	link->listener = (__u64)sk;
	link->born = born;
}

/* Adds a listener. NULL: filtered, or the map is full. */
static __always_inline struct listener *listener_add(struct sock *sk, struct stats *st,
						     enum access how)
{
	static const struct listener fresh;
	__u64 key = (__u64)sk, now = bpf_ktime_get_ns();
	struct owner *mptcp;
	struct listener *l;
	struct queues q;

	if (filter.by_netns && netns_of(&sk->__sk_common, how) != wanted.netns)
		return NULL;
	if (!queues_read(&q, sk, how))
		return NULL;
	bpf_map_update_elem(&listeners, &key, &fresh, BPF_NOEXIST);
	l = bpf_map_lookup_elem(&listeners, &key);
	if (!l) {
		st->untracked++;
		return NULL;
	}
	listener_name(l, sk, how);
	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_TCP_LISTEN_OVERFLOW))
		l->flags |= LISTENER_KNOWS_ACK;
	mptcp = mptcp_owner_of(sk, how);
	if (mptcp)
		l->owner = *mptcp;
	l->drops_before = q.drops;
	l->accept_before = q.accept;
	listener_sample(l, &q);
	accept_queue_look(l, q.accept, 0);
	l->born = now;
	/* socket storage needs a pointer that the verifier knows */
	if (how == BTF_PTR)
		set_child_listener(sk, now);
	else if (listen_options.child_storage)
		l->flags |= LISTENER_UNLINKED;
	if (is_subflow(sk, how))
		l->flags |= LISTENER_MPTCP;
	return l;
}

/* The kernel's own listeners are in no table of files: their first event adds them. */
static __always_inline struct listener *listener_get(struct sock *sk, struct stats *st,
						     enum access how)
{
	__u64 key = (__u64)sk;
	struct listener *l = bpf_map_lookup_elem(&listeners, &key);

	return l ?: listener_add(sk, st, how);
}

/* client: the flow of one of its clients, or its own. */
static __always_inline bool listener_matches(const struct listener *l, const struct flow *client)
{
	__u32 wildcard = wildcard_families(l->flow.laddr, l->flags & LISTENER_V6ONLY);

	if (client->rport)
		wildcard &= is_mapped_v4(client->raddr) ? FAMILY_V4 : FAMILY_V6;
	return ends_match(client, wildcard) &&
	       (!owner_filtered() || l->owner.flags & OWNER_MATCHES);
}

/* The state tracepoint runs before the socket has the new state. */
#define JUST_BORN_NS 1000000000ULL

static __always_inline void holder_write(struct seq_file *seq, __u64 sk, const struct listener *l,
					 struct task_struct *task)
{
	struct holder holder = {.sk = sk, .born = l->born, .pid = number_of(task)};
	struct task_struct *leader = task->group_leader;
	const __u64 *name = (const __u64 *)__builtin_preserve_access_index(&leader->comm);
	__u64 *comm = (__u64 *)holder.comm;

	comm[0] = name[0];
	comm[1] = name[1];
	bpf_seq_write(seq, &holder, sizeof(holder));
}

static __always_inline void listener_met(struct seq_file *seq, struct sock *sk,
					 struct task_struct *task, struct stats *st,
					 enum access how)
{
	struct listener *l = listener_get(sk, st, how);

	if (!l)
		return;
	owner_met(&l->owner, task, holder_rank(service_of(sk, how), task));
	if (!search.replaces)
		holder_write(seq, (__u64)sk, l, task);
}

/* A task has sk open. */
static __always_inline void listener_from_file(struct seq_file *seq, struct sock *sk,
					       struct task_struct *task, enum access how)
{
	struct stats *st = stats_here();

	if (st && is_mptcp(sk, how) && is_listening(sk, how)) {
		mptcp_from_file(sk, task, how);
		sk = first_subflow(sk);
		if (sk && is_listening(sk, PROBE_READ))
			listener_met(seq, sk, task, st, PROBE_READ);
		return;
	}
	if (!st || (!is_tcp(sk, how) && !is_mptcp(sk, how)))
		return;
	if (!is_listening(sk, how)) {
		serves_note(service_of(sk, how), program_of(task));
		return;
	}
	listener_met(seq, sk, task, st, how);
}
