/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The ring buffer to user space. */
#pragma once

#include "lib/wake.h"

/* Shared by all CPUs: records arrive in the order of reservation. Sized at start. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

static __always_inline __u64 ring_wake_flags(void)
{
	return wake_flags_of(&events);
}
