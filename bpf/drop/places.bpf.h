/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Names of the functions that drop segments: each is looked up once. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

/* By address. Preallocated: some dozens are ever used. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DROP_PLACES);
	__type(key, __u64);
	__type(value, struct place_name);
} places SEC(".maps");

/* Volatile: a constant that equal ones may be merged with has a section of its own. */
static const volatile char symbol_format[] = "%ps";

/* Before 5.13 user space reads /proc/kallsyms. */
static __always_inline void place_note(__u64 place)
{
	struct place_name fresh = {};

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_snprintf))
		return;
	if (bpf_map_lookup_elem(&places, &place))
		return;
	bpf_snprintf((char *)fresh.name, sizeof(fresh.name), (const char *)symbol_format, &place,
		     sizeof(place));
	bpf_map_update_elem(&places, &place, &fresh, BPF_NOEXIST);
}
