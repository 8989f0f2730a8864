/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What user space asks of drops. It is constant once the programs are loaded. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

const volatile struct drop_options drop_options SEC(".rodata.drop") = {};
