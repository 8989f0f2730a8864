/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* For objects where a child does nothing but begin with its listener's owner. */
#ifndef TCPSCOPE_CHILD_H
#define TCPSCOPE_CHILD_H

#include "inherit.h"
#include "queued.h"

static __always_inline void at_child(struct sock *listener, struct sock *child, enum reach how)
{
	handle_child(listener, child);
}

#endif /* TCPSCOPE_CHILD_H */
