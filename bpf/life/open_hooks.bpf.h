/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The iterator of the hook "open-connections": one life_event for each that has not ended. */
#pragma once

#include "life/life.bpf.h"

SEC("iter/tcp")
int dump_open(struct bpf_iter__tcp *ctx)
{
	struct life_event ev = {.ts = bpf_ktime_get_ns(), .ending.end = LIFE_OPEN};
	struct sock_common *skc = ctx->sk_common;
	const struct owner *owner = NULL;
	struct tcp_sock *tp;
	struct track *track;

	if (!skc)
		return 0;
	ev.state = skc->skc_state;
	if (ev.state == TCP_LISTEN || ev.state == TCP_CLOSE)
		return 0;
	flow_read(&ev.flow, skc, BTF_PTR);
	/* timewait and half-open sockets are no connections of a process */
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp)
		return 0;
	life_tell(&ev, life_find((struct sock *)tp));
	life_count(&ev, tp, skc->skc_flags & SOCK_DONE, BTF_PTR);
	ev.cookie = skc->skc_cookie.counter;
	track = track_find((struct sock *)tp);
	if (track)
		owner = &track->owner;
	if (!life_wanted(&ev, owner))
		return 0;
	life_own(&ev, owner);
	bpf_seq_write(ctx->meta->seq, &ev, sizeof(ev));
	return 0;
}
