/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A listener is about to queue its child: the programs of the hook child. What happens there is up
 * to the object that includes this.
 */
#ifndef TCPSCOPE_QUEUED_H
#define TCPSCOPE_QUEUED_H

static __always_inline void at_child(struct sock *listener, struct sock *child, enum reach how);

SEC("fentry/inet_csk_complete_hashdance")
int BPF_PROG(child_fentry, struct sock *sk, struct sock *child)
{
	at_child(sk, child, TRUSTED);
	return 0;
}

/* with SYN cookies and TCP Fast Open */
SEC("fentry/inet_csk_reqsk_queue_add")
int BPF_PROG(child_queued_fentry, struct sock *sk, struct request_sock *req, struct sock *child)
{
	at_child(sk, child, TRUSTED);
	return 0;
}

SEC("kprobe/inet_csk_complete_hashdance")
int BPF_KPROBE(child_kprobe, struct sock *sk, struct sock *child)
{
	at_child(sk, child, PROBED);
	return 0;
}

SEC("kprobe/inet_csk_reqsk_queue_add")
int BPF_KPROBE(child_queued_kprobe, struct sock *sk, struct request_sock *req, struct sock *child)
{
	at_child(sk, child, PROBED);
	return 0;
}

#endif /* TCPSCOPE_QUEUED_H */
