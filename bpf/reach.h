/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The two ways to read kernel memory. */
#ifndef TCPSCOPE_REACH_H
#define TCPSCOPE_REACH_H

/*
 * fentry, BTF tracepoint and iterator programs are handed pointers whose type the verifier
 * knows: they are followed like any pointer, under every lockdown. kprobes and raw
 * tracepoints are handed mere numbers, behind which memory is copied.
 */
enum reach { TRUSTED, PROBED };

/* READ(how, sk, a, b.c) is sk->a->b.c; how must be known when compiling. */
#define READ(how, from, ...)                                                                       \
	((how) == PROBED ? BPF_CORE_READ(from, __VA_ARGS__) : ___arrow(from, __VA_ARGS__))

#endif /* TCPSCOPE_REACH_H */
