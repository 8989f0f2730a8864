/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The slot of a duration in a log-linear histogram; src/hist.rs reads them. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

/* BPF has no instruction for the highest bit. value must not be 0. */
static __always_inline __u32 log2_of(__u64 value)
{
	__u32 log = 0;

	if (value >> 32) {
		value >>= 32;
		log += 32;
	}
	if (value >> 16) {
		value >>= 16;
		log += 16;
	}
	if (value >> 8) {
		value >>= 8;
		log += 8;
	}
	if (value >> 4) {
		value >>= 4;
		log += 4;
	}
	if (value >> 2) {
		value >>= 2;
		log += 2;
	}
	return log + (value >> 1);
}

/* 0 to HIST_SLOTS - 1; slot / HIST_SUBS is its octave. */
static __always_inline __u32 hist_slot(__u64 ns)
{
	const __u64 shortest = 1ULL << HIST_SHORTEST;
	const __u64 longest = (1ULL << (HIST_SHORTEST + HIST_OCTAVES)) - 1;
	__u32 log;

	if (ns < shortest)
		ns = shortest;
	if (ns > longest)
		ns = longest;
	log = log2_of(ns);
	return (log - HIST_SHORTEST) * HIST_SUBS +
	       ((ns >> (log - HIST_SUB_BITS)) & (HIST_SUBS - 1));
}
