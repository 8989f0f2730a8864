/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The iterator of the hook "sockets". */
#pragma once

#include "states/socket_summary.bpf.h"

SEC("iter/tcp")
int dump_sockets(struct bpf_iter__tcp *ctx)
{
	struct sock_entry entry = {.age = DURATION_UNKNOWN, .at_least = DURATION_UNKNOWN};
	struct sock_common *skc = ctx->sk_common;
	__u64 now = bpf_ktime_get_ns();
	struct tcp_timewait_sock *tw;
	struct tcp_sock *tp;
	__u32 wildcard = 0;
	bool keep;

	if (!skc)
		return 0;
	flow_read(&entry.flow, skc, BTF_PTR);
	entry.state = skc->skc_state;
	if (entry.state == TCP_LISTEN)
		wildcard = wildcard_families(entry.flow.laddr, is_v6only(skc, BTF_PTR));
	if (!ends_match(&entry.flow, wildcard))
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	tw = bpf_skc_to_tcp_timewait_sock(skc);
	if (states_options.timewait_only && !tw)
		return 0;
	if (tp)
		keep = summary_full(&entry, tp, now);
	else if (tw)
		keep = summary_timewait(&entry, tw, now);
	else
		keep = !owner_filtered();
	if (keep)
		bpf_seq_write(ctx->meta->seq, &entry, sizeof(entry));
	return 0;
}
