//! tcpstall: connections that do not move, sums of them, their ends, or every connection.

mod events;
mod passes;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::hooks::{CONNECTIONS, SEND_WAIT};
use super::{Args, Conn, Stall, StallEnd, StallShare};
use crate::cli::{MeasureArgs, usage_error};
use crate::hooks::{CHILD, DESTROY, OWNERS, STATE, maps};
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;
use crate::report::Record;
use crate::tool::{Asked, Measurement, Mode, Spec, Task, Tool};

const NAME: &str = "tcpstall";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpstall.bpf.o"));

/// Stalls whose ends are awaited at a time.
const MARKS: u32 = 65_536;

/// Passes over all connections.
pub static TCPSTALL: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &OWNERS, &SEND_WAIT, &CONNECTIONS],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: "connections without owner: socket table full (raise --track-max)",
    counts_in_kernel: true,
};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[Mode { flag: None, spec: &TCPSTALL }],
    kinds: &[Stall::KIND, Conn::KIND, StallShare::KIND, StallEnd::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.check().map_err(usage_error::<Args>)?;
    let interval = &args.interval;
    let column = match (args.all, args.by) {
        (true, _) => interval.sort_column::<Conn>().map(drop),
        (_, Some(_)) => interval.sort_column::<StallShare>().map(drop),
        _ => interval.sort_column::<Stall>().map(drop),
    };
    column.map_err(usage_error::<Args>)?;
    Ok(Box::new(Asked { args, filter }))
}

impl Measurement for Asked<Args> {
    fn spec(&self) -> &'static Spec {
        &TCPSTALL
    }

    fn setup(&self, plan: &Plan, _: &MeasureArgs) -> Result<Setup> {
        let Self { args, filter } = self;
        let mut setup =
            Setup::new(OBJECT, (filter.to_wire(), filter.wanted()), args.common.output.verbose);
        setup.options = args.options();
        let waits = plan.method_of(&SEND_WAIT).is_some();
        setup.set_options(&args.stall_options(waits));
        setup.size_if(args.events, maps::STALL_MARKS, MARKS);
        Ok(setup)
    }

    fn shows_events(&self) -> bool {
        false
    }
}

impl Task for Asked<Args> {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(self)
    }

    fn run(&self) -> Result<ExitCode> {
        if self.args.events { events::run(self) } else { passes::run(self) }
    }
}
