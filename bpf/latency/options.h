/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What user space asks of latencies. It is constant once the programs are loaded. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

const volatile struct latency_options latency_options SEC(".rodata.latency") = {};
