//! The dashboard.
pub mod board;
pub mod record;
