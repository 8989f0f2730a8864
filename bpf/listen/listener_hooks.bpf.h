/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The programs of the hooks "find-listeners", "listener-queues", "listeners" and "waits". */
#pragma once

#include "lib/compat.h"
#include "listen/listener_map.bpf.h"
#include "listen/wait.bpf.h"

/*
 * A listener of any namespace as it is now; NULL: there is none. The memory at its address is
 * copied: entries are removed with their listeners, and if an end was missed, the state there is
 * not LISTEN.
 */
static __always_inline struct listener *listener_now(__u64 key)
{
	struct listener *l = bpf_map_lookup_elem(&listeners, &key);
	struct sock *sk = (struct sock *)key;
	struct queues q;

	if (!l || !l->born)
		return NULL;
	if (options.may_copy) {
		if (is_listening(sk, PROBE_READ)) {
			queues_read(&q, sk, PROBE_READ);
			listener_sample(l, &q);
			accept_queue_look(l, q.accept, q.accept);
			/* listen() may choose a port only after the transition */
			if (!l->flow.lport)
				listener_name(l, sk, PROBE_READ);
		} else if (bpf_ktime_get_ns() - l->born > JUST_BORN_NS) {
			l->flags |= LISTENER_GONE;
		}
	}
	l->flags &= ~LISTENER_MATCHES;
	if (listener_matches(l, &l->flow))
		l->flags |= LISTENER_MATCHES;
	return l;
}

/* All listeners. */
SEC("iter/bpf_map_elem")
int dump_listeners(struct bpf_iter__bpf_map_elem *ctx)
{
	__u64 *at = ctx->key, key;
	struct listener *l;

	if (!at)
		return 0;
	/* ctx->value cannot be accessed at variable offsets */
	key = *at;
	l = listener_now(key);
	if (!l)
		return 0;
	bpf_seq_write(ctx->meta->seq, &key, sizeof(key));
	bpf_seq_write(ctx->meta->seq, l, sizeof(*l));
	return 0;
}

/* Where user space looks into the map, it has this run for each listener first. */
SEC("raw_tp")
int BPF_PROG(look_at_listener, __u64 key)
{
	listener_now(key);
	return 0;
}

/* Listeners of the reader's network namespace, with their queues. */
SEC("iter/tcp")
int look_at_listeners(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct stats *st = stats_here();
	struct listener *l;
	struct tcp_sock *tp;
	struct queues q;
	struct sock *sk;

	if (!skc || !st || skc->skc_state != TCP_LISTEN)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;
	sk = (struct sock *)tp;
	l = listener_get(sk, st, BTF_PTR);
	if (!l)
		return 0;
	if (!l->flow.lport)
		listener_name(l, sk, BTF_PTR);
	if (l->flags & LISTENER_UNLINKED) {
		l->flags &= ~LISTENER_UNLINKED;
		l->accept_before = sk->sk_ack_backlog;
		set_child_listener(sk, l->born);
	}
	if (queues_read(&q, sk, BTF_PTR))
		listener_sample(l, &q);
	return 0;
}

static __always_inline void listeners_visit(struct bpf_iter__task_file *ctx, enum access how)
{
	static const struct holder nothing;
	struct task_struct *task = DISTRUST(ctx->task);
	struct file *file = ctx->file;
	struct sock *sk;

	if (search_may_pause(ctx->meta))
		bpf_seq_write(ctx->meta->seq, &nothing, sizeof(nothing));
	if (!task || !file)
		return;
	sk = sock_of_file(file, how);
	if (sk)
		listener_from_file(ctx->meta->seq, sk, task, how);
}

SEC("iter/task_file")
int find_listeners(struct bpf_iter__task_file *ctx)
{
	learn_wanted_netns(ctx->meta);
	listeners_visit(ctx, BTF_PTR);
	return 0;
}

/* before 5.11 */
SEC("iter/task_file")
int find_listeners_by_inode(struct bpf_iter__task_file *ctx)
{
	listeners_visit(ctx, PROBE_READ);
	return 0;
}

SEC("iter/bpf_map_elem")
int dump_waits(struct bpf_iter__bpf_map_elem *ctx)
{
	struct wait_key *key = ctx->key;
	struct wait_slots *slots = ctx->value;

	if (!key || !slots)
		return 0;
	bpf_seq_write(ctx->meta->seq, key, sizeof(*key));
	bpf_seq_write(ctx->meta->seq, slots, sizeof(*slots));
	return 0;
}
