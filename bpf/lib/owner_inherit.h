/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A child begins with its listener's owner, where a hash map is its memory. */
#pragma once

#include "lib/owner.h"

/*
 * A listener is about to queue its child. Socket storage was copied when the child was made; of
 * a hash map the entry is copied here.
 */
static __always_inline void owner_on_child(struct sock *listener, struct sock *child)
{
	struct track *from = track_find(listener), *to = track_make(child);
	__u32 flags;

	if (!from || !to || owner_settled(&to->owner))
		return;
	flags = to->owner.flags & ~OWNER_MATCHES;
	to->owner = from->owner;
	to->owner.flags = flags | (from->owner.flags & OWNER_MATCHES);
}
