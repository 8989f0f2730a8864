//! The library behind the tools of tcpscope.
//!
//! Data flows one way:
//!
//! ```text
//! kernel hook → BPF program → map or ring buffer → wire → model → row → table │ JSON
//!               bpf/*.bpf.c   bpf/wire.h                  states,  report
//!                                                         count, …
//! ```
//!
//! `kernel` finds out what the running kernel offers, plans which program serves which hook,
//! and loads it. `wire` decodes records. The models (`states`, `count`, `latency`, `listen`, `retrans`, `life`, `drop`) turn
//! records into rows and know nothing of libbpf or terminals. `report` prints rows whose
//! columns are declared once. `cli`, `clock` and `wait` are what all tools have in common.

pub mod cgroup;
pub mod check;
pub mod cli;
pub mod clock;
pub mod count;
pub mod dash;
pub mod doctor;
pub mod drop;
pub mod filter;
pub mod findings;
pub mod flow;
pub mod group;
pub mod hist;
pub mod hooks;
pub mod interfaces;
pub mod kernel;
pub mod latency;
pub mod life;
pub mod listen;
pub mod model;
pub mod nstat;
pub mod ports;
pub mod record;
pub mod registry;
pub mod report;
pub mod retrans;
pub mod settings;
pub mod stall;
pub mod states;
pub mod tcp_state;
pub mod tool;
pub mod wait;
pub mod wire;
