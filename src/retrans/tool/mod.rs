//! tcpretrans: every segment that is sent again, or with --summary sums by key.

mod events;
mod summary;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::hooks::{PROBE, RETRANSMIT, SOCKET_COUNTERS};
use super::{Args, RetransSum, Retransmit};
use crate::cli::{MeasureArgs, usage_error};
use crate::count::max_keys;
use crate::hooks::{CHILD, COUNTS, DESTROY, OWNERS, STATE, SYNACK_RETRANS, maps};
use crate::kernel::plan::Plan;
use crate::kernel::possible_cpus;
use crate::kernel::session::Setup;
use crate::report::Record;
use crate::tool::{Asked, Measurement, Mode, Running, Spec, Task, Tool};
use crate::wire::CountOptions;

const NAME: &str = "tcpretrans";
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tcpretrans.bpf.o"));

const EVENTS_UNTRACKED: &str =
    "retransmits without attempt or owner: socket table full (raise --track-max)";
const SUMS_UNTRACKED: &str = "retransmits without owner, sockets whose segments are not counted, \
                              or counted as (other): table full (raise --track-max)";

/// Each retransmit.
pub static TCPRETRANS: Spec = Spec {
    name: NAME,
    hooks: &[&STATE, &RETRANSMIT, &SYNACK_RETRANS, &DESTROY, &SOCKET_COUNTERS, &OWNERS],
    hash_hooks: &[&CHILD],
    untracked_means: EVENTS_UNTRACKED,
    counts_in_kernel: false,
};

/// Each retransmit, and probes of zero windows.
pub static TCPRETRANS_PROBES: Spec = Spec {
    hooks: &[&STATE, &RETRANSMIT, &SYNACK_RETRANS, &PROBE, &DESTROY, &SOCKET_COUNTERS, &OWNERS],
    ..TCPRETRANS
};

/// Sums of each interval.
static TCPRETRANS_SUMMARY: Spec = Spec {
    hooks: &[&STATE, &RETRANSMIT, &SYNACK_RETRANS, &DESTROY, &SOCKET_COUNTERS, &COUNTS, &OWNERS],
    untracked_means: SUMS_UNTRACKED,
    ..TCPRETRANS
};

static TCPRETRANS_SUMMARY_PROBES: Spec = Spec {
    hooks: &[
        &STATE,
        &RETRANSMIT,
        &SYNACK_RETRANS,
        &PROBE,
        &DESTROY,
        &SOCKET_COUNTERS,
        &COUNTS,
        &OWNERS,
    ],
    untracked_means: SUMS_UNTRACKED,
    ..TCPRETRANS
};

/// The tool.
pub static TOOL: Tool = Tool {
    name: NAME,
    object: OBJECT,
    command: Args::command,
    modes: &[
        Mode { flag: None, spec: &TCPRETRANS },
        Mode { flag: Some("--summary"), spec: &TCPRETRANS_SUMMARY },
        Mode { flag: Some("--probes"), spec: &TCPRETRANS_PROBES },
    ],
    kinds: &[Retransmit::KIND, RetransSum::KIND],
    task,
};

fn task(matches: &ArgMatches) -> Result<Box<dyn Task>, clap::Error> {
    let args = Args::from_arg_matches(matches)?;
    args.check().map_err(usage_error::<Args>)?;
    let filter = args.common.filters.filter().map_err(usage_error::<Args>)?;
    args.interval.sort_column::<RetransSum>().map_err(usage_error::<Args>)?;
    Ok(Box::new(Asked { args, filter }))
}

impl Measurement for Asked<Args> {
    fn spec(&self) -> &'static Spec {
        match (self.args.summary, self.args.probes) {
            (false, false) => &TCPRETRANS,
            (false, true) => &TCPRETRANS_PROBES,
            (true, false) => &TCPRETRANS_SUMMARY,
            (true, true) => &TCPRETRANS_SUMMARY_PROBES,
        }
    }

    fn setup(&self, plan: &Plan, measure: &MeasureArgs) -> Result<Setup> {
        let Self { args, filter } = self;
        let cpus = possible_cpus()?;
        let mut setup =
            Setup::new(OBJECT, (filter.to_wire(), filter.wanted()), args.common.output.verbose);
        setup.options = args.options(filter);
        setup.options.nr_cpus = u32::try_from(cpus)?;
        setup.map_sizes.extend([(maps::EVENTS, args.buffer)]);
        setup.set_options(&args.retrans_options());
        setup.set_options(&CountOptions { by: args.by.as_wire() as u32, light: 0 });
        setup.size_if(args.summary, maps::COUNTS, max_keys(args.by, cpus));
        if args.by.has_lasting_keys() {
            setup.grow(&[maps::COUNTS]);
        }
        setup.size_if(plan.use_hash, maps::RETRANSMITTED_HASH, measure.track_max);
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

/// Says what `--probes` cannot show.
fn note_probes(running: &mut Running, args: &Args) -> Result<()> {
    let choices = &running.session.plan().choices;
    let probe = choices.iter().find(|choice| choice.hook.name == PROBE.name);
    if let Some(Err(reason)) = probe.map(|choice| &choice.method).filter(|_| args.probes) {
        let text = format!("{NAME}: zero-window probes are not shown: {reason}");
        running.printer.note(&text)?;
    }
    Ok(())
}
