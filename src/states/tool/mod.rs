//! tcpstates: every TCP state change, or with --summary the sockets in each state.

mod events;
mod summary;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

pub use summary::print as print_summary;

use super::socket_summary::{CloseWait, ClosingSocket, Sockets};
use super::{Args, StateChange, settle};
use crate::cli::{MeasureArgs, usage_error};
use crate::hooks::maps;
use crate::hooks::{CHILD, DESTROY, OWNERS, SOCKETS, STATE, TIME_WAIT, TIME_WAIT_CAUSE, USE};
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;
use crate::life::hooks::RESET;
use crate::report::Record;
use crate::tool::{Asked, Measurement, Mode, Spec, Task, Tool};

const NAME: &str = "tcpstates";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpstates.bpf.o"));

/// Bytes of a ring buffer that nothing is written to.
const NO_EVENTS: u32 = 4096;

/// State changes as they come.
pub static TCPSTATES: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &RESET, &USE, &TIME_WAIT, &TIME_WAIT_CAUSE, &OWNERS],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: "events without owner or duration, or CLOSE shown for TIME_WAIT: socket table \
                      full (raise --track-max)",
    counts_in_kernel: false,
};

/// Sockets in each state.
pub static TCPSTATES_SUMMARY: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &USE, &OWNERS, &SOCKETS],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: "events without owner or duration: socket table full (raise --track-max)",
    counts_in_kernel: false,
};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[
        Mode { flag: None, spec: &TCPSTATES },
        Mode { flag: Some("--summary"), spec: &TCPSTATES_SUMMARY },
    ],
    kinds: &[StateChange::KIND, Sockets::KIND, CloseWait::KIND, ClosingSocket::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    args.check().map_err(usage_error::<Args>)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.interval.sort_column::<Sockets>().map_err(usage_error::<Args>)?;
    Ok(Box::new(Asked { args, filter }))
}

impl Measurement for Asked<Args> {
    fn spec(&self) -> &'static Spec {
        if self.args.summary { &TCPSTATES_SUMMARY } else { &TCPSTATES }
    }

    fn setup(&self, plan: &Plan, measure: &MeasureArgs) -> Result<Setup> {
        let args = &self.args;
        let (events, closers) =
            if args.summary { (NO_EVENTS, settle::CLOSERS) } else { (args.buffer, 1) };
        let mut setup = Setup::new(
            OBJECT,
            (self.filter.to_wire(), self.filter.wanted()),
            args.common.output.verbose,
        );
        setup.options = args.options(&self.filter);
        setup.map_sizes.extend([(maps::EVENTS, events), (maps::CLOSERS, closers)]);
        settle::settle(&mut setup, args.states_options(), plan, measure.track_max);
        Ok(setup)
    }

    fn shows_events(&self) -> bool {
        !self.args.summary
    }
}

impl Task for Asked<Args> {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(self)
    }

    fn run(&self) -> Result<ExitCode> {
        if self.args.summary { summary::run(self) } else { events::run(self) }
    }
}
