/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How often a segment has been sent again. */
#pragma once

#include "lib/sock.h"

/* Freed with the socket; only those that retransmit have one. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct retransmitted);
} retransmitted SEC(".maps");

/* By address of the socket, see tracked_hash. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct retransmitted);
} retransmitted_hash SEC(".maps");

static __always_inline struct retransmitted *retransmitted_make(struct sock *sk)
{
	static const struct retransmitted fresh;
	struct retransmitted *known;
	__u64 key = (__u64)sk;

	if (!options.use_hash)
		return bpf_sk_storage_get(&retransmitted, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	known = bpf_map_lookup_elem(&retransmitted_hash, &key);
	if (known)
		return known;
	bpf_map_update_elem(&retransmitted_hash, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&retransmitted_hash, &key);
}

static __always_inline struct retransmitted *retransmitted_find(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (!options.use_hash)
		return bpf_sk_storage_get(&retransmitted, sk, NULL, 0);
	return bpf_map_lookup_elem(&retransmitted_hash, &key);
}

static __always_inline void retransmitted_forget(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&retransmitted_hash, &key);
}

/* Sequence numbers wrap. */
static __always_inline bool before(__u32 seq, __u32 than)
{
	return (__s32)(seq - than) < 0;
}

/*
 * The kernel marks a segment that was ever sent again, without a count. 0: not known, for it was
 * sent again before the tool started, or there are too many such segments at a time.
 */
static __always_inline __u32 attempt_of(struct retransmitted *known, __u32 seq, __u32 una)
{
	struct retrans_segment *one;

	for (int i = 0; i < RETRANS_SEGMENTS; i++) {
		one = &known->segments[i];
		if (one->times && one->seq == seq)
			return ++one->times;
	}
	if (before(known->unsure, una))
		known->unsure = una;
	if (before(seq, known->unsure))
		return 0;
	for (int i = 0; i < RETRANS_SEGMENTS; i++) {
		one = &known->segments[i];
		if (!one->times || before(one->seq, una)) {
			one->seq = seq;
			one->times = 1;
			return 1;
		}
	}
	known->unsure = seq + 1;
	return 0;
}
