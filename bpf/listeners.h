/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * All listening sockets: found at the start among the open files, then as they begin and end to
 * listen, and read from here with their queues as they are at that moment.
 */
#ifndef TCPSCOPE_LISTENERS_H
#define TCPSCOPE_LISTENERS_H

/* By address; an entry ends with its listener. Preallocated; sized at start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct listener);
} listeners SEC(".maps");

/* The interval that peaks belong to; user space counts it up. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} epoch SEC(".maps");

/* Whose child a socket is: a copy of what its listener has, made with the child. */
struct heir {
	__u64 listener;
	__u64 born;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct heir);
} heirs SEC(".maps");

struct queues {
	__u32 accept;
	__u32 limit;
	__u32 syn;
	__u32 drops;
};

static __always_inline bool queues_read(struct queues *q, const struct sock *sk, enum reach how)
{
	struct tcp_sock *tp;

	if (how == PROBED) {
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

static __always_inline bool is_listening(const struct sock *sk, enum reach how)
{
	return READ(how, sk, __sk_common.skc_state) == TCP_LISTEN;
}

/* CPUs that do this at the same moment may forget the smaller of two values. */
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

/* Takes a look at the queues. */
static __always_inline void listener_look(struct listener *l, const struct queues *q)
{
	l->accept_now = q->accept;
	l->accept_limit = q->limit;
	l->syn_now = q->syn;
	l->drops = q->drops;
	peak_note(l, q->accept, q->syn);
}

static __always_inline void listener_name(struct listener *l, struct sock *sk, enum reach how)
{
	flow_read(&l->flow, &sk->__sk_common, how);
	if (how == PROBED ? BPF_CORE_READ_BITFIELD_PROBED(&sk->__sk_common, skc_ipv6only)
			  : BPF_CORE_READ_BITFIELD(&sk->__sk_common, skc_ipv6only))
		l->flags |= LISTENER_V6ONLY;
}

static __always_inline void heir_bequeath(struct sock *sk, __u64 born)
{
	struct heir *heir;

	if (!options.heirs)
		return;
	heir = bpf_sk_storage_get(&heirs, sk, NULL, born ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (!heir)
		return;
	heir->listener = (__u64)sk;
	heir->born = born;
}

/* A listener that was not known. NULL: it is of no interest, or there is no room. */
static __always_inline struct listener *listener_add(struct sock *sk, struct stats *st,
						     enum reach how)
{
	static const struct listener fresh;
	__u64 key = (__u64)sk, now = bpf_ktime_get_ns();
	struct listener *l;
	struct queues q;

	if (filter.netns && READ(how, sk, __sk_common.skc_net.net, ns.inum) != filter.netns)
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
	l->drops_before = q.drops;
	l->accept_before = q.accept;
	listener_look(l, &q);
	l->born = now;
	heir_bequeath(sk, now);
	return l;
}

/* One that nobody has open, a kernel's, is found by what happens to it. */
static __always_inline struct listener *listener_get(struct sock *sk, struct stats *st,
						     enum reach how)
{
	__u64 key = (__u64)sk;
	struct listener *l = bpf_map_lookup_elem(&listeners, &key);

	return l ?: listener_add(sk, st, how);
}

static __always_inline void listener_write(struct seq_file *seq, const __u64 *key,
					   struct listener *l)
{
	l->flags &= ~LISTENER_MATCHES;
	if (flow_matches(&l->flow) && (!owner_filtered() || l->owner.flags & OWNER_MATCHES))
		l->flags |= LISTENER_MATCHES;
	bpf_seq_write(seq, key, sizeof(*key));
	bpf_seq_write(seq, l, sizeof(*l));
}

/* The kernel tells of a state before the socket has it. */
#define JUST_BORN_NS 1000000000ULL

/*
 * Each listener of every namespace. Its address is followed by copying: an entry ends with its
 * listener, and if one had escaped us, there would be no listener at the place.
 */
SEC("iter/bpf_map_elem")
int dump_listeners(struct bpf_iter__bpf_map_elem *ctx)
{
	__u64 *at = ctx->key, key;
	struct listener *l;
	struct queues q;
	struct sock *sk;

	if (!at)
		return 0;
	/* the iterator's own view of the value is not for variable offsets */
	key = *at;
	l = bpf_map_lookup_elem(&listeners, &key);
	if (!l || !l->born)
		return 0;
	if (options.may_copy) {
		sk = (struct sock *)key;
		if (is_listening(sk, PROBED)) {
			queues_read(&q, sk, PROBED);
			listener_look(l, &q);
			/* listen() finds a port for who has none after it has told of its state */
			if (!l->flow.lport)
				listener_name(l, sk, PROBED);
		} else if (bpf_ktime_get_ns() - l->born > JUST_BORN_NS) {
			l->flags |= LISTENER_GONE;
		}
	}
	listener_write(ctx->meta->seq, &key, l);
	return 0;
}

/* Those of the reader's network namespace, with a look at their queues. */
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
	l = listener_get(sk, st, TRUSTED);
	if (!l)
		return 0;
	if (!l->flow.lport)
		listener_name(l, sk, TRUSTED);
	if (queues_read(&q, sk, TRUSTED))
		listener_look(l, &q);
	return 0;
}

static __always_inline void found_open(struct sock *sk, struct task_struct *task, enum reach how)
{
	struct stats *st = stats_here();
	struct listener *l;

	if (!st || !is_tcp(sk, how) || !is_listening(sk, how))
		return;
	l = listener_get(sk, st, how);
	/* the first holder, mostly the eldest, is taken */
	if (l && !l->owner.pid)
		owner_learn(&l->owner, task);
}

SEC("iter/task_file")
int find_listeners(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *sock;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	sk = sock->sk;
	if (sk)
		found_open(sk, task, TRUSTED);
	return 0;
}

/* Likewise on kernels before 5.11. */
SEC("iter/task_file")
int find_listeners_by_inode(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sk = sock_of_file_probed(file);
	if (sk)
		found_open(sk, task, PROBED);
	return 0;
}

#endif /* TCPSCOPE_LISTENERS_H */
