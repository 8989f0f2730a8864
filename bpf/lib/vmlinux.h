/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The kernel types that our programs read, and of these only the fields they read.
 * Every access is relocated (CO-RE): offsets and sizes here mean nothing, names and
 * nesting do. A field that some supported kernel lacks is read behind
 * bpf_core_field_exists() in compat.h.
 */
#ifndef __VMLINUX_H__ /* bpf_tracing.h knows it by this name, and then the kernel's names of       \
			 registers */
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef short int __s16;
typedef short unsigned int __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long int __s64;
typedef long long unsigned int __u64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;

enum {
	false = 0,
	true = 1,
};

/* include/uapi/linux/bpf.h; needed before bpf_helpers.h */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

enum {
	BPF_F_NO_PREALLOC = 1,
	BPF_F_CLONE = 512,
};

enum {
	BPF_SK_STORAGE_GET_F_CREATE = 1,
};

enum {
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
};

enum {
	BPF_RB_AVAIL_DATA = 0,
};

/* include/net/tcp_states.h; the name is ours, for src/tcp_state.rs */
enum tcp_state {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_SYN_RECV = 3,
	TCP_FIN_WAIT1 = 4,
	TCP_FIN_WAIT2 = 5,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LAST_ACK = 9,
	TCP_LISTEN = 10,
	TCP_CLOSING = 11,
	TCP_NEW_SYN_RECV = 12,
};

enum {
	IPPROTO_TCP = 6,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Registers as bpf_tracing.h names them: of the calling convention and the result alone. */
struct pt_regs {
	unsigned long r8;
	unsigned long ax;
	unsigned long cx;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
};

struct user_pt_regs {
	__u64 regs[31];
};

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

struct kernfs_node {
	u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	int level;
};

/* The numbers differ between kernels, by their configuration. */
enum cgroup_subsys_id {
	cpu_cgrp_id,
	memory_cgrp_id,
	pids_cgrp_id,
};

struct css_set {
	struct cgroup *dfl_cgrp;
	struct cgroup_subsys_state *subsys[3]; /* by enum cgroup_subsys_id */
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	struct file *exe_file;
};

struct task_struct {
	unsigned int flags;
	struct mm_struct *mm;
	int exit_code;
	int tgid;
	struct task_struct *group_leader;
	u64 start_time;
	char comm[16];
	u64 self_exec_id;
	struct pid *thread_pid;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
};

typedef struct {
	int counter;
} atomic_t;

typedef struct refcount_struct {
	atomic_t refs;
} refcount_t;

struct inet_timewait_death_row {
	refcount_t tw_refcount;
	atomic_t tw_count; /* in its place before 5.17 */
	int sysctl_max_tw_buckets;
};

struct ns_common {
	unsigned int inum;
};

struct netns_ipv4 {
	struct inet_timewait_death_row tcp_death_row; /* a pointer from 5.17 to 6.0 */
	u8 sysctl_tcp_syncookies; /* an int up to 5.12, of which this is the low byte */
	int sysctl_max_syn_backlog;
	u8 sysctl_tcp_retries2;		/* an int up to 5.12 ... */
	u8 sysctl_tcp_keepalive_probes; /* ... this too */
	int sysctl_tcp_keepalive_intvl;
	unsigned int sysctl_tcp_notsent_lowat;
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
	u64 net_cookie; /* another type before 5.12 */
};

struct nsproxy {
	struct net *net_ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[];
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

typedef struct {
	s64 counter;
} atomic64_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	short unsigned int skc_family;
	long unsigned int skc_flags;
	volatile unsigned char skc_state;
	unsigned char skc_ipv6only : 1;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};

struct socket;

struct sk_buff_head {
	__u32 qlen;
};

struct timer_list {
	unsigned long expires;
};

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue;
	int sk_rcvbuf;
	int sk_sndbuf;
	unsigned long sk_pacing_rate;
	struct timer_list sk_timer;
	struct timer_list tcp_retransmit_timer; /* in inet_connection_sock up to 6.18 */
	u16 sk_type;
	u16 sk_protocol;
	u8 sk_shutdown;
	void *sk_user_data;
	int sk_err;
	int sk_wmem_queued;
	int sk_write_pending;
	unsigned long sk_lingertime;
	struct socket *sk_socket;
	atomic_t sk_drops;
	u32 sk_ack_backlog;
	u32 sk_max_ack_backlog;
};

struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
	u32 local_port_range; /* 6.8 and newer */
};

/* 6.3 to 6.7 */
struct inet_sock___pair {
	struct {
		__u16 lo;
		__u16 hi;
	} local_port_range;
};

struct inet_bind_bucket {
	signed char fastreuse;
	signed char fastreuseport;
};

struct request_sock_queue {
	atomic_t qlen;
};

struct tcp_congestion_ops {
	char name[16];
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct inet_bind_bucket *icsk_bind_hash;
	unsigned long icsk_timeout; /* the timer's own time is exact where it is gone (6.18) */
	struct timer_list icsk_retransmit_timer;
	struct timer_list icsk_keepalive_timer; /* sk_timer of struct sock up to 6.18 */
	const struct tcp_congestion_ops *icsk_ca_ops;
	__u32 icsk_rto_max; /* 6.15 and newer */
	__u8 icsk_retransmits;
	__u8 icsk_backoff;
	void *icsk_ulp_data;
	struct request_sock_queue icsk_accept_queue;
	__u32 icsk_rto;
	__u8 icsk_ca_state : 5;
	__u8 icsk_pending;
	__u8 icsk_probes_out;
	struct {
		__u32 lrcvtime;
	} icsk_ack;
	__u32 icsk_user_timeout;
};

struct minmax_sample {
	u32 t;
	u32 v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 mss_cache;
	u8 tcp_usec_ts : 1; /* 6.7 and newer */
	u8 chrono_type : 2;
	u32 chrono_start;
	u32 chrono_stat[3];
	u8 nonagle : 4;
	u32 rate_delivered;
	u32 rate_interval_us;
	u64 delivered_mstamp;
	u64 tcp_wstamp_ns;
	struct {
		u32 seq;
		u64 time;
	} rcvq_space;
	u8 keepalive_probes;
	unsigned int keepalive_intvl;
	u32 retrans_stamp;
	u32 write_seq;
	u32 notsent_lowat;
	u32 packets_out;
	u32 sacked_out;
	u32 snd_cwnd;
	u32 snd_nxt;
	u32 snd_ssthresh;
	u32 lost_out;
	u32 mdev_us;
	u32 rcv_nxt;
	u32 copied_seq;
	u32 retrans_out;
	u32 snd_una;
	u32 srtt_us;
	u32 rcv_wnd;
	u32 rcv_tstamp;
	u64 bytes_received;
	u64 bytes_acked;
	u64 bytes_sent;
	u64 bytes_retrans;
	u32 segs_in;
	u32 lsndtime;
	struct minmax rtt_min;
	int linger2;
	u32 rcv_wup;
	u32 total_retrans;
	u32 segs_out;
	u32 dsack_dups;
	u32 undo_marker;
	u32 prior_ssthresh;
	u32 snd_wnd;
	bool is_mptcp;
};

struct sk_psock_progs {
	struct bpf_prog *stream_verdict; /* skb_verdict before 5.13 */
	struct bpf_prog *skb_verdict;
};

struct sk_psock {
	struct sock *sk;
	struct sk_psock_progs progs;
};

struct mptcp_sock {
	struct sock *first;
};

struct mptcp_subflow_context {
	u32 mp_join : 1;
	struct sock *conn;
};

struct inet_timewait_sock {
	struct sock_common __tw_common;
	volatile unsigned char tw_substate;
	u32 tw_entry_stamp; /* 6.14 and newer (tcp: Measure TIME-WAIT reuse delay ...) */
	struct timer_list tw_timer;
	struct inet_bind_bucket *tw_tb;
};

struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
	int tw_ts_recent_stamp;
};

struct tcphdr {
	__u16 syn : 1;
	__u16 rst : 1;
};

struct net_device {
	possible_net_t nd_net;
};

struct dst_entry {
	struct net_device *dev;
};

/* Routes, which begin with their dst_entry. */
struct rtable {
	unsigned int rt_flags;
};

struct rt6_info {
	u32 rt6i_flags;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	char cb[48];
	unsigned int len;
	unsigned int data_len;
	__be16 protocol;
	int skb_iif;
	u16 transport_header;
	u16 network_header;
	unsigned int tail;
	unsigned int end;
	unsigned char *head;
};

struct skb_shared_info {
	unsigned short gso_segs;
};

struct iov_iter {
	unsigned long count;
};

struct msghdr {
	struct iov_iter msg_iter;
};

struct request_sock {
	struct sock_common __req_common;
	u8 num_retrans;
};

/* include/trace/events/tcp.h */
struct trace_event_raw_tcp_retransmit_skb {
	int err;
};

struct tcp_skb_cb {
	__u32 seq;
	u16 tcp_gso_segs;
};

/* include/uapi/linux/bpf.h */
enum bpf_func_id {
	BPF_FUNC_snprintf = 165, /* 5.13 */
};

/* The numbers differ between kernels, and older ones lack some. */
enum skb_drop_reason {
	SKB_CONSUMED,
	SKB_DROP_REASON_NO_SOCKET,
	SKB_DROP_REASON_OTHERHOST,
	SKB_DROP_REASON_PACKET_SOCK_ERROR,
	SKB_DROP_REASON_TCP_CSUM,
	SKB_DROP_REASON_TCP_FLAGS,
	SKB_DROP_REASON_SECURITY_HOOK,
	SKB_DROP_REASON_IP_OUTNOROUTES,
	SKB_DROP_REASON_TCP_LISTEN_OVERFLOW,
};

/* include/trace/events/skb.h: reason since 5.17, rx_sk since 6.11 */
struct trace_event_raw_kfree_skb {
	enum skb_drop_reason reason;
	void *rx_sk;
};

struct super_block {
	unsigned long s_magic;
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct socket {
	struct sock *sk;
};

#pragma clang attribute pop

/*
 * What iterators are called with: __bpf_md_ptr() fields of 8 bytes, the same since 5.8. Not
 * relocated, for each relocated type costs half a millisecond of the start.
 */
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd __attribute__((aligned(8)));
	struct file *file __attribute__((aligned(8)));
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_map;

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

#endif /* __VMLINUX_H__ */
