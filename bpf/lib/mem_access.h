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

/* Since 6.2; costs no instruction. */
extern void *bpf_rdonly_cast(const void *from, __u32 btf_id) __ksym __weak;

/*
 * The same typed pointer, which the verifier does not trust. At each pointer that is read through
 * a trusted one it searches the kernel's whole BTF for up to four names which would make
 * the result trusted too: a millisecond each time, on every path.
 */
#define DISTRUST(from)                                                                             \
	(bpf_ksym_exists(bpf_rdonly_cast)                                                          \
		 ? (typeof(from))bpf_rdonly_cast(from, bpf_core_type_id_kernel(typeof(*(from))))   \
		 : (from))

/* pointer_type_class of GCC's typeclass.h */
#define POINTER_CLASS 5

#define YIELDS_POINTER(from, ...)                                                                  \
	(__builtin_classify_type(___arrow(from, __VA_ARGS__)) == POINTER_CLASS)

/* What it yields, is only read. */
#define READ_TYPED(from, ...)                                                                      \
	(___narg(__VA_ARGS__) > 1 || YIELDS_POINTER(from, __VA_ARGS__)                             \
		 ? ___arrow(DISTRUST(from), __VA_ARGS__)                                           \
		 : ___arrow(from, __VA_ARGS__))

/* READ(how, sk, a, b.c) is sk->a->b.c; how must be known when compiling. */
#define READ(how, from, ...)                                                                       \
	((how) == PROBE_READ ? BPF_CORE_READ(from, __VA_ARGS__) : READ_TYPED(from, __VA_ARGS__))
