//! What this kernel offers, what is to be loaded, and the loading.
//!
//! `facts` are read once; `plan` decides from facts and request alone, so plans for other
//! kernels are unit tests; `session` carries a plan out and is the only place that calls
//! libbpf.

pub mod btf;
pub mod facts;
pub mod failure;
pub mod grace;
pub mod netns;
pub mod plan;
mod probe;
pub mod refusal;
pub mod ring;
pub mod rung;
pub mod session;
mod stream;
mod told;
