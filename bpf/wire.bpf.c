// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Everything that crosses to user space, as one object's BTF: clang writes the types of variables
 * there, and what these contain. build.rs makes Rust of it; nothing is ever loaded.
 */
#include "lib/vmlinux.h"
#pragma clang diagnostic error "-Wpadded" /* bytes without a name cross uninitialised */
#include "wire.h"

struct flow flow;
struct owner owner;
struct owner_search owner_search;
struct ending ending;
struct state_event state_event;
struct sock_entry sock_entry;
struct stats stats;
struct group_key group_key;
struct count_value count_value;
struct latency_key latency_key;
struct latency_value latency_value;
struct latency_head latency_head;
struct latency_turn latency_turn;
struct latency_event latency_event;
struct listener listener;
struct listener_entry listener_entry;
struct holder holder;
struct listen_event listen_event;
struct wait_key wait_key;
struct wait_slots wait_slots;
struct retrans_event retrans_event;
struct retransmitted retransmitted;
struct reading reading;
struct end_key end_key;
struct end_counts end_counts;
struct life life;
struct life_event life_event;
struct port_entry port_entry;
struct port_key port_key;
struct port_counts port_counts;
struct port_search_key port_search_key;
struct port_event port_event;
struct drop_event drop_event;
struct place_name place_name;
struct conn_entry conn_entry;
struct stall_mark stall_mark;
struct filter filter;
struct wanted wanted;
struct options options;
struct states_options states_options;
struct count_options count_options;
struct latency_options latency_options;
struct listen_options listen_options;
struct retrans_options retrans_options;
struct life_options life_options;
struct ports_options ports_options;
struct stall_options stall_options;
struct drop_options drop_options;

enum limits limits;
enum hist_limits hist_limits;
enum latency_limits latency_limits;
enum pid_flags pid_flags;
enum reader reader;
enum ending_flags ending_flags;
enum state_flags state_flags;
enum count_flags count_flags;
enum listener_flags listener_flags;
enum family_flags family_flags;
enum end_cause end_cause;
enum cookie_source cookie_source;
enum cgroup_source cgroup_source;
enum group_by group_by;
enum latency_kind latency_kind;
enum socket_role socket_role;
enum latency_outcome latency_outcome;
enum listen_cause listen_cause;
enum retrans_type retrans_type;
enum retrans_limits retrans_limits;
enum life_end life_end;
enum life_kind life_kind;
enum life_flags life_flags;
enum port_flags port_flags;
enum port_call port_call;
enum drop_direction drop_direction;
enum drop_flags drop_flags;
enum drop_limits drop_limits;
enum send_limit send_limit;
enum sock_timer sock_timer;
enum conn_flags conn_flags;
enum tcp_state tcp_state;

const __u64 duration_unknown = DURATION_UNKNOWN;
