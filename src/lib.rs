//! tcpscope.
pub mod report;
