/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What is stored of each connection: when it began, and who opened it. */
#pragma once

#include "lib/options.h"

/* Freed with the socket. A child gets its own when its handshake ends. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct life);
} lives SEC(".maps");

/* By address of the socket, see tracked_hash. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct life);
} lives_hash SEC(".maps");

static __always_inline struct life *life_find(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (!options.use_hash)
		return bpf_sk_storage_get(&lives, sk, NULL, 0);
	return bpf_map_lookup_elem(&lives_hash, &key);
}

static __always_inline struct life *life_make(struct sock *sk)
{
	static const struct life fresh;
	struct life *life;
	__u64 key = (__u64)sk;

	if (!options.use_hash) {
		life = bpf_sk_storage_get(&lives, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		/* fails if another CPU has just created it */
		return life ?: bpf_sk_storage_get(&lives, sk, NULL, 0);
	}
	life = bpf_map_lookup_elem(&lives_hash, &key);
	if (life)
		return life;
	bpf_map_update_elem(&lives_hash, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&lives_hash, &key);
}

static __always_inline void life_forget(struct sock *sk)
{
	__u64 key = (__u64)sk;

	bpf_map_delete_elem(&lives_hash, &key);
}
