/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What user space asks of retransmits. It is constant once the programs are loaded. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

const volatile struct retrans_options retrans_options SEC(".rodata.retrans") = {};
