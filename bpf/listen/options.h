/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What user space asks of listeners. It is constant once the programs are loaded. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

const volatile struct listen_options listen_options SEC(".rodata.listen") = {};
