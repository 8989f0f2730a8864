/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The kernel's types and libbpf's macros, in the one order in which these compile. */
#pragma once

#include "lib/vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

/*
 * A function that is called, where copies of it would be many or large. Not every object that
 * includes it calls it.
 */
#define SUBPROG static __noinline __attribute__((unused))
