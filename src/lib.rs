//! tcpscope.
pub mod kernel;
pub mod report;
pub mod run;
pub mod wire;
