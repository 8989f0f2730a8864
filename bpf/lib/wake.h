/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* When the reader of a ring buffer is woken. */
#pragma once

#include "lib/options.h"

/*
 * What the reader does; it says so before it waits, and who wakes it says that it is awake. A
 * reader that is behind finds what is there: to wake it again and again, by an interrupt of this
 * CPU to itself, took half the time of a state change. A record that finds no room may spend the
 * word without a wake-up: the reader looks once more after it was woken.
 */
volatile __u32 reader_does SEC(".data.reader") = READER_POLLS;

/*
 * A wake-up for each record costs more than the record. While records come the reader polls many
 * times a second, and is woken only when the buffer fills faster than that. When none come it
 * sleeps, and the next one wakes it.
 */
static __always_inline __u64 wake_flags_of(void *ring)
{
	__u32 does = reader_does;

	if (does == READER_AWAKE ||
	    (does == READER_POLLS &&
	     bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < options.wake_bytes))
		return BPF_RB_NO_WAKEUP;
	reader_does = READER_AWAKE;
	return BPF_RB_FORCE_WAKEUP;
}

/* Below this a buffer is looked at with each record. */
#define WAKE_BYTES_MANY (1 << 16)
#define WAKE_STRIDE	8

/* Of the nth record of this CPU, where they are many: to look at the buffer is a call, too. */
static __always_inline __u64 wake_flags_of_many(void *ring, __u64 nth)
{
	if (options.wake_bytes >= WAKE_BYTES_MANY && nth % WAKE_STRIDE &&
	    reader_does != READER_SLEEPS)
		return BPF_RB_NO_WAKEUP;
	return wake_flags_of(ring);
}
