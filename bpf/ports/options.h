/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What user space asks of local ports. It is constant once the programs are loaded. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

const volatile struct ports_options ports_options SEC(".rodata.ports") = {};
