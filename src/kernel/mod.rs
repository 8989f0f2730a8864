//! Facts about the kernel, the plan, and loading.
//!
//! `facts` are read once; `plan` decides from facts and request alone, so plans for other
//! kernels are unit tests; `session` carries a plan out. Nothing outside this module
//! calls libbpf.

pub mod attach;
mod batch;
pub mod btf;
pub mod btf_subset;
pub mod calls;
pub mod devices;
pub mod error;
pub mod facts;
pub mod map;
pub mod netns;
pub mod netns_list;
pub mod netns_names;
pub mod plan;
mod probe;
mod procfs;
mod program_info;
pub mod rcu;
pub mod reader;
pub mod ring;
mod section_reader;
pub mod session;
pub mod sock_diag;

use anyhow::{Context, Result};
pub use procfs::pid_namespace;

/// How many values each key of a per-CPU map has.
///
/// # Errors
/// The kernel does not say.
pub fn possible_cpus() -> Result<usize> {
    libbpf_rs::num_possible_cpus().context("cannot count CPUs")
}
