/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The iterator of the hook "counts". */
#pragma once

#include "count/count.bpf.h"

/* One read for the whole map: a key, then its value on every CPU. */
SEC("iter/bpf_map_elem")
int dump_counts(struct bpf_iter__bpf_map_elem *ctx)
{
	struct group_key *key = ctx->key;
	void *values = ctx->value;

	if (!key || !values)
		return 0;
	bpf_seq_write(ctx->meta->seq, key, sizeof(*key));
	bpf_seq_write(ctx->meta->seq, values, options.nr_cpus * sizeof(struct count_value));
	return 0;
}
