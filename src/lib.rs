//! tcpscope.

pub mod cli;
pub mod filter;
pub mod report;
pub mod tcp_state;
