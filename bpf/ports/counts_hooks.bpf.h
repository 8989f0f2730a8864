/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The iterator of the hook "port-counts". */
#pragma once

#include "ports/counts.bpf.h"

SEC("iter/bpf_map_elem")
int dump_port_counts(struct bpf_iter__bpf_map_elem *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	void *key = ctx->key, *value = ctx->value;

	if (!key || !value)
		return 0;
	bpf_seq_write(seq, key, sizeof(struct port_key));
	bpf_seq_write(seq, value, sizeof(struct port_counts));
	return 0;
}
