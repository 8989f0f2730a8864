/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Attach points of the hook "connect-return": the transport's part of connect() returns. */
#pragma once

#include "lib/calls.h"
#include "life/connect.bpf.h"

SEC("fexit/tcp_v4_connect")
int BPF_PROG(connect4_fexit, struct sock *sk, void *uaddr, int addr_len, int ret)
{
	life_on_connect_return(sk, uaddr, ret, BTF_PTR);
	return 0;
}

SEC("fexit/tcp_v6_connect")
int BPF_PROG(connect6_fexit, struct sock *sk, void *uaddr, int addr_len, int ret)
{
	life_on_connect_return(sk, uaddr, ret, BTF_PTR);
	return 0;
}
