/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What user space asks of transitions, timewait sockets and the summary. It is constant once the
 * programs are loaded. */
#pragma once

#include "lib/bpf.h"
#include "wire.h"

const volatile struct states_options states_options SEC(".rodata.states") = {};
