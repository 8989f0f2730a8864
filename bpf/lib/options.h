/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Options from user space, constant once the programs are loaded. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

/* A section of its own, so that user space writes it as one record. */
const volatile struct options options SEC(".rodata.options") = {};
