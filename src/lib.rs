//! tcpscope.
pub mod cli;
pub mod report;
