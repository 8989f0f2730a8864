/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The state of a socket's exchange with its peer. It changes under the socket's lock, which
 * orders sends, segments and transitions; only sends that are seen as they return
 * (latency_options.send_returns) are not under it.
 */
#pragma once

#include "latency/options.h"
#include "latency/latency_record.bpf.h"
#include "lib/per_socket.h"
#include "lib/sock.h"

/* Kept in exchange.flags */
#define EXCHANGE_SEEN	  1  /* base_seq, srtt and mdev are initialised */
#define EXCHANGE_OLD	  2  /* older than the tool, no send was seen since */
#define EXCHANGE_UNREAD	  4  /* a child without data so far */
#define EXCHANGE_ASKING	  8  /* a request is being sent: retrans is from its beginning */
#define EXCHANGE_FINISHED 16 /* our FIN has, or will have, a place in write_seq */
#define EXCHANGE_CLEAN	  32 /* at the last sample nothing in flight was a retransmit */
#define EXCHANGE_DATA	  64 /* the last segment had new data */

struct exchange {
	__u64 begun;	  /* the last send, until write_seq shows whether TCP accepted it; 0 */
	__u64 sent;	  /* the last send accepted since the last answer; 0 */
	__u64 asked;	  /* first data of the request that we have not answered; 0 */
	__u64 again;	  /* first data of the next one, where sends are seen as they return */
	__u64 entered;	  /* SYN_SENT, or a child's ESTABLISHED; 0 */
	__u32 begun_seq;  /* write_seq at begun */
	__u32 begun_left; /* bytes that the send had yet to take then; 0 = unknown */
	__u32 base_seq;	  /* write_seq when the last answer came */
	__u32 asked_seq;  /* write_seq when the request came */
	__u32 sent_seq;	  /* write_seq at sent, where sends are seen as they return */
	__u32 rx_bytes;	  /* of the request so far */
	__u32 retrans;	  /* total_retrans when the request began */
	__u32 srtt;
	__u32 mdev;
	__u32 una;	  /* snd_una at the last sample */
	struct user user; /* who has sent last, or pid 0 */
	__u8 role;	  /* enum socket_role */
	__u8 flags;
	__u8 reserved[2];
	__u32 rx_before; /* bytes received before our FIN, if it left a request open */
};

/* Not cloned: a child begins without. */
PER_SOCKET(exchange, exchanges, 0)

/* A port with a listener. */
struct listening {
	__u32 netns;
	__u32 port;
};

/* Listeners at the start: from them follow the roles of older sockets. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct listening);
	__type(value, __u8);
} listening SEC(".maps");

/* write_seq without our FIN. */
static __always_inline __u32 written(const struct exchange *ex, struct tcp_sock *tp,
				     enum access how)
{
	__u32 seq = READ(how, tp, write_seq);

	return ex->flags & EXCHANGE_FINISHED ? seq - 1 : seq;
}

/* The first event of a socket: counters begin at their present values. */
static __always_inline void exchange_init(struct exchange *ex, struct tcp_sock *tp, enum access how)
{
	if (ex->flags & EXCHANGE_SEEN)
		return;
	ex->flags |= EXCHANGE_SEEN;
	ex->base_seq = READ(how, tp, write_seq);
	if (ex->entered)
		return;
	ex->flags |= EXCHANGE_OLD;
	ex->srtt = READ(how, tp, srtt_us);
	ex->mdev = READ(how, tp, mdev_us);
	ex->una = READ(how, tp, snd_una);
}

static __always_inline bool listens(__u32 netns, __u16 port)
{
	struct listening key = {.netns = netns, .port = port};

	return bpf_map_lookup_elem(&listening, &key);
}

/* The peer is on this host: it has our own address, or one of 127.0.0.0/8. */
static __always_inline bool peer_is_local(const struct flow *flow)
{
	const __u64 *laddr = (const __u64 *)flow->laddr, *raddr = (const __u64 *)flow->raddr;

	return (laddr[0] == raddr[0] && laddr[1] == raddr[1]) ||
	       (is_mapped_v4(flow->raddr) && flow->raddr[12] == 127);
}

/* The role of a socket older than the tool is derived; false: its listeners are not known yet. */
static __always_inline bool role_known(struct exchange *ex, struct sock *sk, enum access how)
{
	struct flow flow = {};
	__u32 netns;

	if (ex->role != ROLE_UNKNOWN)
		return true;
	if (!turn.ready)
		return false;
	flow_read(&flow, &sk->__sk_common, how);
	netns = READ(how, sk, __sk_common.skc_net.net, ns.inum);
	if (listens(netns, flow.lport))
		ex->role = ROLE_SERVER;
	else if (peer_is_local(&flow) && listens(netns, flow.rport))
		ex->role = ROLE_CLIENT;
	return true;
}

static __always_inline void listening_learn(struct sock *sk, enum access how)
{
	struct listening key = {};
	__u8 there = 1;

	if ((!is_tcp(sk, how) && !is_mptcp(sk, how)) ||
	    READ(how, sk, __sk_common.skc_state) != TCP_LISTEN)
		return;
	key.netns = READ(how, sk, __sk_common.skc_net.net, ns.inum);
	key.port = READ(how, sk, __sk_common.skc_num);
	bpf_map_update_elem(&listening, &key, &there, BPF_ANY);
}

static __always_inline void exchange_measured(struct batch *batch, const struct exchange *ex,
					      enum latency_kind kind, __u64 ns, __u32 tx_bytes,
					      __u32 rx_bytes, __u32 retrans)
{
	struct latency lat = {
		.ns = ns,
		.tx_bytes = tx_bytes,
		.rx_bytes = rx_bytes,
		.retrans = retrans,
		.kind = kind,
		.role = ex->role,
	};

	batch_add(batch, &lat);
}
