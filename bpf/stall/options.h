/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What user space asks of connections. It is constant once the programs are loaded. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

const volatile struct stall_options stall_options SEC(".rodata.stall") = {};
