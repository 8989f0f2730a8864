/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Records that are kept for each socket. */
#pragma once

#include "lib/options.h"

/*
 * PER_SOCKET(record, map, clone): struct record for each socket, with record_find(), record_make()
 * (NULL: no room) and record_forget().
 *
 * In socket storage it is freed with the socket; clone is BPF_F_CLONE where the children of a
 * listener begin with a copy of its record, else 0.
 *
 * Kernels that refuse socket storage to tracing programs (5.10) have map_hash, by address of the
 * socket. Preallocated, sized at start; record_forget() has to remove it with the socket.
 *
 * The first record of a socket in any map, of any program, is refused while another CPU adds one
 * (EAGAIN of bpf_local_storage_alloc()): by the second time there is a list to add to.
 */
#define PER_SOCKET(record, map, clone)                                                             \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_SK_STORAGE);                                             \
		__uint(map_flags, BPF_F_NO_PREALLOC | (clone));                                    \
		__type(key, int);                                                                  \
		__type(value, struct record);                                                      \
	} map SEC(".maps");                                                                        \
                                                                                                   \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                                                   \
		__uint(max_entries, 1);                                                            \
		__type(key, __u64);                                                                \
		__type(value, struct record);                                                      \
	} map##_hash SEC(".maps");                                                                 \
                                                                                                   \
	static __always_inline struct record *record##_find(struct sock *sk)                       \
	{                                                                                          \
		__u64 key = (__u64)sk;                                                             \
                                                                                                   \
		if (!options.use_hash)                                                             \
			return bpf_sk_storage_get(&map, sk, NULL, 0);                              \
		return bpf_map_lookup_elem(&map##_hash, &key);                                     \
	}                                                                                          \
                                                                                                   \
	static __always_inline struct record *record##_make(struct sock *sk)                       \
	{                                                                                          \
		static const struct record fresh;                                                  \
		struct record *kept;                                                               \
		__u64 key = (__u64)sk;                                                             \
                                                                                                   \
		if (!options.use_hash) {                                                           \
			kept = bpf_sk_storage_get(&map, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);    \
			if (!kept)                                                                 \
				kept = bpf_sk_storage_get(&map, sk, NULL,                          \
							  BPF_SK_STORAGE_GET_F_CREATE);            \
			return kept;                                                               \
		}                                                                                  \
		kept = bpf_map_lookup_elem(&map##_hash, &key);                                     \
		if (kept)                                                                          \
			return kept;                                                               \
		bpf_map_update_elem(&map##_hash, &key, &fresh, BPF_NOEXIST);                       \
		return bpf_map_lookup_elem(&map##_hash, &key);                                     \
	}                                                                                          \
                                                                                                   \
	static __always_inline void record##_forget(struct sock *sk)                               \
	{                                                                                          \
		__u64 key = (__u64)sk;                                                             \
                                                                                                   \
		bpf_map_delete_elem(&map##_hash, &key);                                            \
	}
