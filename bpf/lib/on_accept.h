/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the attach points of accept() call. */
#pragma once

#include "lib/mem_access.h"

/*
 * Each object defines what it does when accept() has returned child, never NULL. With PROBE_READ
 * both sockets may be freed already: their addresses are valid only as keys.
 */
static __always_inline void on_accept(struct sock *listener, struct sock *child, enum access how);
