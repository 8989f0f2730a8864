/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The two methods to read kernel memory. */
#pragma once

#include "lib/bpf.h"

/*
 * fentry, BTF tracepoint and iterator programs get typed pointers, which they can follow under
 * every lockdown. kprobes and raw
 * tracepoints get plain numbers, and must copy the memory they point to.
 */
enum access { BTF_PTR, PROBE_READ };

/* READ(how, sk, a, b.c) is sk->a->b.c; how must be known when compiling. */
#define READ(how, from, ...)                                                                       \
	((how) == PROBE_READ ? BPF_CORE_READ(from, __VA_ARGS__) : ___arrow(from, __VA_ARGS__))
