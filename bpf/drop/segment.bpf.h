/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A TCP segment as it lies in a buffer. Its headers are read where the network header says: that of
 * TCP is not known yet at many places that drop, and the buffer may begin at any of them.
 */
#pragma once

#include "lib/sock.h"

#define ETH_P_IP   0x0800
#define ETH_P_IPV6 0x86dd

#define IP4_MORE_FRAGMENTS  0x2000
#define IP4_FRAGMENT_OFFSET 0x1fff
#define IP6_FRAGMENT_OFFSET 0xfff8

#define NEXTHDR_HOP	 0
#define NEXTHDR_ROUTING	 43
#define NEXTHDR_FRAGMENT 44
#define NEXTHDR_AUTH	 51
#define NEXTHDR_DEST	 60

/* More extension headers than senders use. */
#define MAX_EXTENSIONS 4

/* Headers of the wire: their layout is fixed, so nothing is relocated. */
struct ip4_header {
	__u8 version_length;
	__u8 tos;
	__be16 total;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 saddr;
	__be32 daddr;
};

struct ip6_header {
	__be32 version_class_flow;
	__be16 payload;
	__u8 next;
	__u8 hops;
	__u8 saddr[ADDR_LEN];
	__u8 daddr[ADDR_LEN];
};

/* Extension headers begin like this. */
struct ip6_extension {
	__u8 next;
	__u8 length; /* in 8 bytes beyond the first 8; AUTH: in 4 bytes, beyond the first 8 */
	__be16 fragment;
};

struct tcp_header {
	__be16 source;
	__be16 dest;
	__be32 seq;
	__be32 ack;
	__u8 length; /* upper half, in 4 bytes */
	__u8 flags;
	__be16 window;
};

/* flow: local is where it comes from, remote where it goes, until the socket is found. */
struct segment {
	struct drop_event ev;
	bool in_part; /* a fragment of a packet */
};

/* The headers of TCP at an offset of the buffer; after them come left bytes, 0 = unknown. */
static __always_inline void tcp_header_read(struct segment *seg, const struct sk_buff *skb,
					    unsigned char *head, __u32 at, __u32 left,
					    enum access how)
{
	struct tcp_header tcp = {};
	__u32 length;

	if (at + sizeof(tcp) > READ(how, skb, tail))
		return;
	bpf_probe_read_kernel(&tcp, sizeof(tcp), head + at);
	seg->ev.flow.lport = bpf_ntohs(tcp.source);
	seg->ev.flow.rport = bpf_ntohs(tcp.dest);
	seg->ev.tcp_flags = tcp.flags;
	seg->ev.flags |= DROP_HAS_FLAGS;
	length = (tcp.length >> 4) * 4;
	/* a packet beyond 64K does not say how long it is */
	if (!left)
		left = READ(how, skb, tail) - at + READ(how, skb, data_len);
	if (seg->in_part || left < length)
		return;
	seg->ev.len = left - length;
	seg->ev.flags |= DROP_HAS_LEN;
}

static __always_inline bool segment_read_v4(struct segment *seg, const struct sk_buff *skb,
					    enum access how)
{
	unsigned char *head = READ(how, skb, head);
	__u32 at = READ(how, skb, network_header), length, total;
	struct ip4_header ip;
	__u16 fragment;

	if (bpf_probe_read_kernel(&ip, sizeof(ip), head + at) || ip.protocol != IPPROTO_TCP)
		return false;
	*seg = (struct segment){};
	map_v4(seg->ev.flow.laddr, ip.saddr);
	map_v4(seg->ev.flow.raddr, ip.daddr);
	fragment = bpf_ntohs(ip.fragment);
	seg->in_part = fragment & (IP4_MORE_FRAGMENTS | IP4_FRAGMENT_OFFSET);
	if (fragment & IP4_FRAGMENT_OFFSET)
		return true;
	length = (ip.version_length & 0xf) * 4;
	total = bpf_ntohs(ip.total);
	tcp_header_read(seg, skb, head, at + length, total > length ? total - length : 0, how);
	return true;
}

/* Skips extension headers. False: no TCP follows, or this is a later fragment of it. */
static __always_inline bool skip_extensions(struct segment *seg, unsigned char *head, __u32 *at,
					    __u8 *next)
{
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		struct ip6_extension ext;

		if (*next == IPPROTO_TCP)
			return true;
		if (*next != NEXTHDR_HOP && *next != NEXTHDR_ROUTING && *next != NEXTHDR_FRAGMENT &&
		    *next != NEXTHDR_AUTH && *next != NEXTHDR_DEST)
			return false;
		if (bpf_probe_read_kernel(&ext, sizeof(ext), head + *at))
			return false;
		if (*next == NEXTHDR_FRAGMENT) {
			seg->in_part = true;
			if (bpf_ntohs(ext.fragment) & IP6_FRAGMENT_OFFSET) {
				*next = ext.next;
				return false;
			}
			*at += 8;
		} else if (*next == NEXTHDR_AUTH) {
			*at += (ext.length + 2) * 4;
		} else {
			*at += (ext.length + 1) * 8;
		}
		*next = ext.next;
	}
	return *next == IPPROTO_TCP;
}

static __always_inline bool segment_read_v6(struct segment *seg, const struct sk_buff *skb,
					    enum access how)
{
	/* copied: a typed pointer doubles what the verifier has to do below */
	unsigned char *head = BPF_CORE_READ(skb, head);
	__u32 begin = READ(how, skb, network_header), at = begin + sizeof(struct ip6_header), end;
	struct ip6_header ip;
	bool header;

	if (bpf_probe_read_kernel(&ip, sizeof(ip), head + begin))
		return false;
	*seg = (struct segment){};
	header = skip_extensions(seg, head, &at, &ip.next);
	if (ip.next != IPPROTO_TCP)
		return false;
	__builtin_memcpy(seg->ev.flow.laddr, ip.saddr, ADDR_LEN);
	__builtin_memcpy(seg->ev.flow.raddr, ip.daddr, ADDR_LEN);
	if (!header)
		return true;
	end = begin + sizeof(ip) + bpf_ntohs(ip.payload);
	tcp_header_read(seg, skb, head, at, ip.payload && end > at ? end - at : 0, how);
	return true;
}

/* False: it is not TCP. */
static __always_inline bool segment_read(struct segment *seg, const struct sk_buff *skb,
					 __be16 protocol, enum access how)
{
	if (protocol == bpf_htons(ETH_P_IP))
		return segment_read_v4(seg, skb, how);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return segment_read_v6(seg, skb, how);
	return false;
}
