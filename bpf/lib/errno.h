/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Errors that sockets end with (include/uapi/asm-generic/errno.h). */
#pragma once

#define EPIPE	      32
#define EADDRNOTAVAIL 99
#define ENETUNREACH   101
#define ECONNABORTED  103
#define ECONNRESET    104
#define ETIMEDOUT     110
#define ECONNREFUSED  111
#define EHOSTUNREACH  113
