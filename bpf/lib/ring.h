/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The ring buffer to user space. */
#pragma once

#include "lib/options.h"

/* Shared by all CPUs: records arrive in the order of reservation. Sized at start. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/*
 * A wake-up for each record costs more than the record. The reader polls many times a second;
 * it is woken only when the buffer fills faster than that.
 */
static __always_inline __u64 ring_wake_flags(void)
{
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= options.wake_bytes)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}
