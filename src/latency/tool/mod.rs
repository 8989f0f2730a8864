//! tcplatency: latencies by socket: histograms every interval, or with --events every latency.

mod events;
mod intervals;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

pub use intervals::{draw, print};

use super::{
    Args, Exchange, Kinds, Latency, LatencyKind, entries_for, learn_listeners, max_rows, settle,
};
use crate::cli::{MeasureArgs, usage_error};
use crate::hooks::maps;
use crate::hooks::{
    ACCEPT_RETURN, ACCEPT_WAIT, CHILD, DESTROY, LATENCIES, LISTENING, OWNERS, SEGMENT, SEND_BEGIN,
    STATE,
};
use crate::kernel::attach::Hook;
use crate::kernel::plan::Plan;
use crate::kernel::possible_cpus;
use crate::kernel::session::Setup;
use crate::report::Record;
use crate::tool::{Asked, Measurement, Mode, Running, Spec, Task, Tool};

const NAME: &str = "tcplatency";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcplatency.bpf.o"));

/// Bytes of a ring buffer that nothing is written to.
const NO_EVENTS: u32 = 4096;

const UNTRACKED: &str = "latencies not measured or counted as (other): table full (raise --track-max or \
     --max-keys)";

/// tcplatency by interval.
pub static TCPLATENCY: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &SEND_BEGIN, &SEGMENT, &ACCEPT_RETURN, &OWNERS, &LISTENING, &LATENCIES],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: UNTRACKED,
    counts_in_kernel: true,
};

/// tcplatency --events.
pub static TCPLATENCY_EVENTS: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &SEND_BEGIN, &SEGMENT, &OWNERS, &LISTENING],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: UNTRACKED,
    counts_in_kernel: false,
};

/// The hooks of the chosen kinds alone: those of no other kind cost anything then. It lives as long
/// as the program.
pub fn spec_of(kinds: Kinds, chosen: bool, events: bool) -> &'static Spec {
    let base = if events { &TCPLATENCY_EVENTS } else { &TCPLATENCY };
    if !chosen {
        return base;
    }
    let exchanges = kinds.has(LatencyKind::Response) || kinds.has(LatencyKind::Service);
    let wanted = |hook: &&'static Hook| match hook.name {
        name if name == SEND_BEGIN.name || name == LISTENING.name => exchanges,
        name if name == SEGMENT.name => exchanges || kinds.has(LatencyKind::Rtt),
        name => name != ACCEPT_RETURN.name,
    };
    let mut hooks: Vec<_> = base.hooks.iter().copied().filter(wanted).collect();
    if kinds.has(LatencyKind::Accept) {
        hooks.push(&ACCEPT_WAIT);
    }
    Box::leak(Box::new(Spec { hooks: hooks.leak(), ..*base }))
}

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[
        Mode { flag: None, spec: &TCPLATENCY },
        Mode { flag: Some("--events"), spec: &TCPLATENCY_EVENTS },
    ],
    kinds: &[Latency::KIND, Exchange::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    args.check().map_err(usage_error::<Args>)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.interval.sort_column::<Latency>().map_err(usage_error::<Args>)?;
    Ok(Box::new(Asked { args, filter }))
}

impl Measurement for Asked<Args> {
    fn spec(&self) -> &'static Spec {
        spec_of(self.args.kinds(), !self.args.kinds.is_empty(), self.args.events)
    }

    fn setup(&self, plan: &Plan, measure: &MeasureArgs) -> Result<Setup> {
        let Self { args, filter } = self;
        let cpus = possible_cpus()?;
        let rows = args.max_keys.unwrap_or_else(|| max_rows(args.grouping(), cpus));
        let mut setup =
            Setup::new(OBJECT, (filter.to_wire(), filter.wanted()), args.common.output.verbose);
        setup.options = args.options(filter);
        setup.options.nr_cpus = u32::try_from(cpus)?;
        let (entries, buffer) =
            if args.events { (1, args.buffer) } else { (entries_for(rows), NO_EVENTS) };
        setup.map_sizes.extend([
            (maps::LATENCIES_EVEN, entries),
            (maps::LATENCIES_ODD, entries),
            (maps::EVENTS, buffer),
        ]);
        if args.grouping().has_lasting_keys() {
            setup.grow(&[maps::LATENCIES_EVEN, maps::LATENCIES_ODD]);
        }
        settle::settle(&mut setup, args.latency_options(rows), plan, measure.track_max);
        Ok(setup)
    }
}

impl Task for Asked<Args> {
    fn measurement(&self) -> Option<&dyn Measurement> {
        Some(self)
    }

    fn run(&self) -> Result<ExitCode> {
        let args = &self.args;
        let mut running = Running::start(self, &args.common, args.interval.interval())?;
        learn_listeners(&running.session)?;
        if args.events {
            let mut events = events::Events::new(&mut running, args)?;
            let work = events.watch(&mut running);
            return running.finish(work, |running| events.print(running, true));
        }
        let work = intervals::watch(&mut running, args, possible_cpus()?);
        running.finish(work, |_| Ok(()))
    }
}
