//! listenoverflow: queues and drops of listeners, by cause and client.

mod show;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::{Advice, Args, DropClient, DropEvent, ListenerRecord, settle};
use crate::cli::{MeasureArgs, usage_error};
use crate::hooks::{
    ACCEPT_RETURN, ACCEPT_RETURN_ASKED, CHILD, FINAL_ACK, FIND_LISTENERS, LISTENER_QUEUES,
    LISTENERS, STATE, SYN, SYNACK_RETRANS, WAITS, keep_accept_waits,
};
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;
use crate::report::Record;
use crate::tool::{Asked, Measurement, Mode, Spec, Task, Tool};

const NAME: &str = "listenoverflow";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/listenoverflow.bpf.o"));

/// As it is without flags.
pub static LISTENOVERFLOW: Spec = Spec {
    name: NAME,
    hooks: &[
        &STATE,
        &SYN,
        &FINAL_ACK,
        &SYNACK_RETRANS,
        &CHILD,
        &ACCEPT_RETURN,
        &FIND_LISTENERS,
        &LISTENER_QUEUES,
        &LISTENERS,
        &WAITS,
    ],
    hash_hooks: &[],
    untracked_means: "listeners or waits not counted: table full (raise --max-listeners)",
    counts_in_kernel: false,
};

/// Waits for `accept()` at any price.
pub static LISTENOVERFLOW_WAIT: Spec = Spec {
    hooks: &[
        &STATE,
        &SYN,
        &FINAL_ACK,
        &SYNACK_RETRANS,
        &CHILD,
        &ACCEPT_RETURN_ASKED,
        &FIND_LISTENERS,
        &LISTENER_QUEUES,
        &LISTENERS,
        &WAITS,
    ],
    ..LISTENOVERFLOW
};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[
        Mode { flag: None, spec: &LISTENOVERFLOW },
        Mode { flag: Some("--wait"), spec: &LISTENOVERFLOW_WAIT },
    ],
    kinds: &[ListenerRecord::KIND, DropEvent::KIND, DropClient::KIND, Advice::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.check(&filter).map_err(usage_error::<Args>)?;
    let sorted = if args.clients {
        args.interval.sort_column::<DropClient>().map(drop)
    } else {
        args.interval.sort_column::<ListenerRecord>().map(drop)
    };
    sorted.map_err(usage_error::<Args>)?;
    Ok(Box::new(Asked { args, filter }))
}

impl Measurement for Asked<Args> {
    fn spec(&self) -> &'static Spec {
        if self.args.wait { &LISTENOVERFLOW_WAIT } else { &LISTENOVERFLOW }
    }

    fn setup(&self, plan: &Plan, _: &MeasureArgs) -> Result<Setup> {
        let mut setup = Setup::new(
            OBJECT,
            (self.filter.to_wire(), self.filter.wanted()),
            self.args.common.output.verbose,
        );
        setup.options = self.args.options();
        setup.map_sizes.extend(self.args.map_sizes());
        settle::settle(&mut setup, plan, self.shows_events());
        keep_accept_waits(&mut setup, plan);
        Ok(setup)
    }

    fn shows_events(&self) -> bool {
        self.args.events || self.args.clients
    }
}

impl Task for Asked<Args> {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(self)
    }

    fn run(&self) -> Result<ExitCode> {
        watch::run(self)
    }
}
