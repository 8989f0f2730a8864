/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A child begins with its listener's owner, where a hash map is its memory. */
#ifndef TCPSCOPE_CHILD_H
#define TCPSCOPE_CHILD_H

/*
 * A listener has queued its child. Socket storage is copied when the child is made; from a
 * hash map the listener's owner is taken here.
 */
static __always_inline void handle_child(struct sock *listener, struct sock *child)
{
	struct track *from = track_find(listener), *to = track_make(child);
	__u32 flags;

	if (!from || !to || owner_settled(&to->owner))
		return;
	flags = to->owner.flags & ~OWNER_MATCHES;
	to->owner = from->owner;
	to->owner.flags = flags | (from->owner.flags & OWNER_MATCHES);
}

SEC("fentry/inet_csk_complete_hashdance")
int BPF_PROG(child_fentry, struct sock *sk, struct sock *child)
{
	handle_child(sk, child);
	return 0;
}

/* with SYN cookies and TCP Fast Open */
SEC("fentry/inet_csk_reqsk_queue_add")
int BPF_PROG(child_queued_fentry, struct sock *sk, struct request_sock *req, struct sock *child)
{
	handle_child(sk, child);
	return 0;
}

SEC("kprobe/inet_csk_complete_hashdance")
int BPF_KPROBE(child_kprobe, struct sock *sk, struct sock *child)
{
	handle_child(sk, child);
	return 0;
}

SEC("kprobe/inet_csk_reqsk_queue_add")
int BPF_KPROBE(child_queued_kprobe, struct sock *sk, struct request_sock *req, struct sock *child)
{
	handle_child(sk, child);
	return 0;
}

#endif /* TCPSCOPE_CHILD_H */
