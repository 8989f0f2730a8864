//! tcpports: local ports by destination, or with --events each failure.

mod events;
mod intervals;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::hooks::{BIND, BOUND, PORT_COUNTS, PORT_FOUND, PORT_REUSE, PORT_SEARCHES, PORT_SOCKETS};
use super::{Args, PortAdvice, PortFail, PortPool, Ports};
use crate::cli::{MeasureArgs, usage_error};
use crate::hooks::{CHILD, DESTROY, OWNERS, STATE, maps};
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;
use crate::report::Record;
use crate::states::settle::CLOSERS;
use crate::tool::{Asked, Measurement, Mode, Spec, Task, Tool};

const NAME: &str = "tcpports";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpports.bpf.o"));

/// Bytes of a ring buffer that nothing is written to.
const NO_EVENTS: u32 = 4096;

const UNTRACKED: &str = "connects not counted by destination, or without owner: table full (raise \
                         --max-keys or --track-max)";

/// Sums of an interval.
pub static TCPPORTS: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &OWNERS, &PORT_SOCKETS, &BOUND, &PORT_COUNTS, &BIND, &PORT_REUSE],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: UNTRACKED,
    counts_in_kernel: true,
};

/// The same with times of searches.
pub static TCPPORTS_COST: Spec = Spec {
    name: NAME,
    hooks: &[
        &STATE,
        &OWNERS,
        &PORT_SOCKETS,
        &BOUND,
        &PORT_COUNTS,
        &BIND,
        &PORT_REUSE,
        &PORT_FOUND,
        &PORT_SEARCHES,
    ],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: UNTRACKED,
    counts_in_kernel: true,
};

/// Failures as they come.
pub static TCPPORTS_EVENTS: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &OWNERS, &BIND],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: "failures without owner: socket table full (raise --track-max)",
    counts_in_kernel: false,
};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[
        Mode { flag: None, spec: &TCPPORTS },
        Mode { flag: Some("--cost"), spec: &TCPPORTS_COST },
        Mode { flag: Some("--events"), spec: &TCPPORTS_EVENTS },
    ],
    kinds: &[Ports::KIND, PortPool::KIND, PortFail::KIND, PortAdvice::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.check(&filter).map_err(usage_error::<Args>)?;
    args.interval.sort_column::<Ports>().map_err(usage_error::<Args>)?;
    Ok(Box::new(Asked { args, filter }))
}

impl Measurement for Asked<Args> {
    fn spec(&self) -> &'static Spec {
        match (self.args.events, self.args.cost) {
            (true, _) => &TCPPORTS_EVENTS,
            (_, true) => &TCPPORTS_COST,
            _ => &TCPPORTS,
        }
    }

    fn setup(&self, _: &Plan, _: &MeasureArgs) -> Result<Setup> {
        let Self { args, filter } = self;
        let mut setup =
            Setup::new(OBJECT, (filter.to_wire(), filter.wanted()), args.common.output.verbose);
        setup.options = args.options();
        setup.set_options(&args.ports_options());
        let events = if args.events { args.buffer } else { NO_EVENTS };
        setup.map_sizes.push((maps::EVENTS, events));
        setup.size_if(!args.events, maps::CLOSERS, CLOSERS);
        setup.size_if(!args.events, maps::PORT_COUNTS, args.max_keys);
        setup.size_if(args.cost, maps::PORT_SEARCHES, args.max_keys);
        Ok(setup)
    }

    fn shows_events(&self) -> bool {
        self.args.events
    }
}

impl Task for Asked<Args> {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(self)
    }

    fn run(&self) -> Result<ExitCode> {
        if self.args.events { events::run(self) } else { intervals::run(self) }
    }
}
