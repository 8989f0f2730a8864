/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Makes the verifier forget what it knows of a record on the stack. */
#pragma once

#include "lib/bpf.h"

/*
 * The verifier follows each path until it is in a state that it has met before, and keeps apart
 * what paths have written into a record: a constant, a register, half of one. Of a word of which a
 * single byte was written last it knows nothing, so that what follows is checked once and not once
 * for each way to fill the record. The record begins and ends at a word.
 */
static __always_inline void forget(void *record, __u32 size)
{
	for (__u32 at = 1; at < size; at += 8) {
		volatile __u8 *byte = record + at;

		*byte = *byte;
	}
}
