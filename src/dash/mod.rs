//! The dashboard: all subjects on one screen.
//!
//! ```text
//! recording ─▶ replay ─┐                                        ┌▶ orders ─▶ replay, live, loop
//!                      ├▶ Record ─▶ Model ─▶ rows ─▶ Table ─▶ Dash
//! models' rows ─▶ live ┘            (what is so)     (what is shown)      └▶ view ─▶ screen
//! ```
//!
//! `record` has the lines of the kit's JSON as types, `model` keeps the last of each, `rows` puts
//! together what the tables show. `state` with `keys`, `table` and `layout` is the state machine:
//! pure, it knows no terminal, no file and no clock. `view` draws it.

mod args;
mod commands;
pub mod demo;
mod events;
pub mod filter;
mod filter_line;
mod input;
mod keys;
mod layout;
pub mod live;
mod past;
mod recorder;
pub mod replay;
pub mod rows;
mod run;
mod save;
mod scope;
mod state;
mod table;
mod tables;
pub mod terminal;
mod tool;
pub mod view;
mod views;

/// What is known, and what is wrong with it.
pub mod model {
    pub use crate::findings::{Finding, Findings, Severity as Weight, findings};
    pub use crate::model::*;
}

pub use args::Args;
pub use events::{Action, Control, Event, Message, Programs, Progress, SelfCost};
pub use filter_line::FilterLine;
pub use keys::{HELP, KeyPress};
pub use layout::{Area, Layout, Place, columns};
pub use recorder::{Recorder, Target};
pub use run::{Feed, run};
pub use save::save;
pub use scope::Scope;
pub use state::{Dash, InputMode};
pub use table::TableState;
pub use tables::Tables;
pub use tool::TOOL;
pub use view::snapshot;
pub use views::View;
