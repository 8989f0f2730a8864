//! The dashboard.
pub mod board;
pub mod filter;
pub mod record;
pub mod rows;
