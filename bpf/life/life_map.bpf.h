/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What is stored of each connection: when it began, and who opened it. */
#pragma once

#include "lib/per_socket.h"

/* A child gets its own when its handshake ends. */
PER_SOCKET(life, lives, 0)
