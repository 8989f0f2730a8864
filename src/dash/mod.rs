//! The dashboard: all subjects on one screen.
//!
//! ```text
//! recording ─▶ replay ─┐                                        ┌▶ orders ─▶ replay, live, loop
//!                      ├▶ Record ─▶ Model ─▶ rows ─▶ Table ─▶ Dash
//! models' rows ─▶ live ┘            (what is so)     (what is shown)      └▶ view ─▶ screen
//! ```
//!
//! `record` has the lines of the kit's JSON as types, `model` keeps the last of each, `rows` puts
//! together what the tables show. `state` with `keys`, `table`, `found` and `layout` is the state machine:
//! pure, it knows no terminal, no file and no clock. `view` draws it.

mod args;
mod commands;
mod config;
pub mod demo;
mod events;
pub mod filter;
mod filter_line;
mod found;
mod input;
mod keys;
mod layout;
pub mod live;
mod mouse;
mod order;
mod past;
mod recorder;
mod related;
pub mod replay;
pub mod rows;
mod run;
mod save;
mod scope;
mod state;
mod table;
mod tables;
pub mod terminal;
mod timeline;
mod tool;
pub mod view;
mod views;

/// What is known, and what is wrong with it.
pub mod model {
    pub use crate::findings::{Finding, Findings, Severity as Weight, findings};
    pub use crate::model::*;
}

pub use args::Args;
pub use config::{Config, ConfigFile};
pub use events::{Action, Control, Event, Message, Programs, Progress, SelfCost};
pub use filter_line::FilterLine;
pub use found::{Found, Item, ListLine};
pub use keys::{HELP, InputMode, KeyPress};
pub use layout::{Area, Layout, Place, columns};
pub use recorder::{Recorder, Target};
pub use run::{Feed, run};
pub use save::save;
pub use scope::Scope;
pub use state::Dash;
pub use table::TableState;
pub use tables::Tables;
pub use tool::TOOL;
pub use view::snapshot;
pub use views::View;
