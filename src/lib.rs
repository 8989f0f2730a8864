//! tcpscope.

pub mod report;
pub mod tcp_state;
